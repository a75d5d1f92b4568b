"""Rescale: accumulator to code, the only multiply per output."""

import numpy as np
from numpy.typing import NDArray

from golden import residual
from golden.model import Format

SCALE_BITS = 16
OFFSET_BITS = 40
MAX_SHIFT = 31


def rescale(
    t: NDArray[np.integer],
    scale: NDArray[np.integer] | int,
    offset: NDArray[np.integer] | int,
    shift: int,
    low: int,
    high: int,
) -> NDArray[np.int64]:
    """Map accumulators to codes: ``clip((t * scale + offset) >> shift)``, rounding half up.

    Parameters
    ----------
    t : int array, (rows, columns)
        Accumulators.
    scale, offset : int array, broadcastable to ``t``
        Requantization parameters of each column (or row), signed 16 and 40 bit.
    shift : int
        0..31.
    low, high : int
        Clip bounds of the target code; ``low=0`` is a ReLU.

    Returns
    -------
    int64 array, (rows, columns)
    """
    return rescale_folded(t, scale, fold_rounding(offset, shift), shift, low, high)


def fold_rounding(offset: NDArray[np.integer] | int, shift: int) -> NDArray[np.int64]:
    """The offset with the rounding half added, as the hardware holds it: no adder per lane for rounding."""
    return np.asarray(offset, np.int64) + ((1 << shift) >> 1)


def rescale_folded(
    t: NDArray[np.integer],
    scale: NDArray[np.integer] | int,
    offset: NDArray[np.integer] | int,
    shift: int,
    low: int,
    high: int,
) -> NDArray[np.int64]:
    """`rescale` with the rounding half already in ``offset``: what a hardware lane computes."""
    return np.clip((np.asarray(t, np.int64) * scale + offset) >> shift, low, high)


def clip_bounds(output: Format | None) -> tuple[int, int]:
    """``low`` and ``high`` of a target that is used whole: codes of a format, or (None) 16-bit residual units."""
    return output.range if output else (residual.LOW, residual.HIGH)


def quantize_constants(
    scale: NDArray[np.floating], offset: NDArray[np.floating] | float, max_shift: int = MAX_SHIFT
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Requantization parameters from real numbers: ``y = t * scale + offset`` becomes ``(t*m + o) >> s``.

    Parameters
    ----------
    scale, offset : float array, (channels,)
        Real factor and offset per channel, in units of the output code.

    Returns
    -------
    m : int64 (channels,), signed 16 bit;  o : int64 (channels,), signed 40 bit;  s : int
        ``s`` is the largest shift at which every constant fits. The relative error of the largest factor is then at
        most 2^-15, unless the offsets or ``max_shift`` keep the shift down.

    Raises
    ------
    ValueError
        If a constant does not fit even at shift 0.
    """
    scale, offset = np.broadcast_arrays(np.asarray(scale, np.float64), np.asarray(offset, np.float64))
    if not (np.isfinite(scale).all() and np.isfinite(offset).all()):
        raise ValueError("rescale constants must be finite")
    for shift in range(max_shift, -1, -1):
        m, o = np.rint(scale * 2.0**shift), np.rint(offset * 2.0**shift)
        # One bit of head room in the offset, for the static sums and the rounding half folded in later.
        if np.abs(m).max(initial=0) < 1 << (SCALE_BITS - 1) and np.abs(o).max(initial=0) < 1 << (OFFSET_BITS - 2):
            return m.astype(np.int64), o.astype(np.int64), shift
    raise ValueError(
        f"rescale constants up to {np.abs(scale).max():.3g} and {np.abs(offset).max():.3g} do not fit "
        f"{SCALE_BITS} and {OFFSET_BITS} bit at shift 0; scale the model's output down"
    )
