"""Whether the sums of a product fit the accumulators, from its formats and, where they are known, its weights."""

import numpy as np
from numpy.typing import NDArray

from golden.codes import values
from golden.model import Format
from golden.qmm import correction_constant
from isa.config import AcceleratorConfig
from program.program import CompileError


def check_product(
    name: str, config: AcceleratorConfig, x: Format, w: Format, depth: int, weight: NDArray[np.integer] | None = None
) -> None:
    """Raise CompileError if a count, a border sum or the corrected sum of a product could exceed an accumulator.

    ``x`` and ``w`` are the formats of the two operands, ``weight`` (outputs, depth) the codes of the second one
    if they are fixed. Sums wrap, so what they pass through on the way does not matter, only where they end.
    """
    if weight is None:
        weight = np.repeat(np.array([w.range]).T, depth, axis=1)
    share = correction_constant(depth, x.kind, w.kind)
    low, high = _extremes(values(np.array(x.range), x.kind), values(weight, w.kind))
    sums = [_extremes(x.range, weight), (low - share, high - share), (depth * x.range[0], depth * x.range[1])]
    largest = max(max(-low - 1, high) for low, high in sums)
    if largest >= 1 << (config.accumulator_bits - 1):
        raise CompileError(
            f"{name}: a sum over {depth} products of {x.bits} by {w.bits} bits could reach {largest}, which does not "
            f"fit the {config.accumulator_bits} bits of an accumulator; raise accumulator_bits or use fewer bits per code"
        )


def _extremes(ends, weight):
    """Lowest and highest sum over weights (outputs, depth) of numbers between two ends, low <= 0 <= high."""
    positive, negative = np.maximum(weight, 0).sum(1), np.minimum(weight, 0).sum(1)
    low = (positive * ends[0] + negative * ends[1]).min()
    high = (positive * ends[1] + negative * ends[0]).max()
    return int(low), int(high)
