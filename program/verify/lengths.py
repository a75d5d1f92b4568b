"""For which lengths an instruction touches what: as much as is needed to prove a program for all of them at once."""

import numpy as np
from numpy.typing import NDArray

from isa.config import AcceleratorConfig
from isa.footprint import Access
from isa.instruction import FLAGS, Instruction, operation
from isa.resolve import limit_units, resolve


def steps(instruction: Instruction, config: AcceleratorConfig, tokens: int) -> list[int]:
    """Lengths up to ``tokens`` at which it begins to touch more than with one token less, descending; every length between
    leaves it as the one before. None for an instruction that no length limits."""
    units, lengths = limit_units(config), set()
    for flag in FLAGS:
        if getattr(instruction, flag):
            first = instruction.first_token if flag == "limit_rows" else 0
            lengths.add(first + 1)
            limits = {
                name: units[limit.unit]
                for name, limit in operation(instruction.opcode).limits.items()
                if limit.flag == flag
            }
            # Where something is counted in more tokens than one, single ones only say which of its values count.
            coarse = {name: unit for name, unit in limits.items() if unit > 1} or limits
            for name, unit in coarse.items():
                lengths.update(range(first + 1, first + getattr(instruction, name) * unit + 1, unit))
    return sorted((length for length in lengths if length <= tokens), reverse=True)


def least_lengths(
    instruction: Instruction, accesses: list[Access], config: AcceleratorConfig, tokens: int
) -> list[NDArray[np.int64]]:
    """For each unit of each access, those of the instruction's footprint, the least length of its sample that touches it.

    0: every one, even where the sample is not there; ``tokens`` + 1: none. What a length touches, each longer one does.
    """
    lengths = steps(instruction, config, tokens)
    if not any(getattr(instruction, flag) for flag in FLAGS):
        return [np.zeros(len(access.units), np.int64) for access in accesses]
    least = [np.full(len(access.units), tokens + 1, np.int64) for access in accesses]
    samples = instruction.sample + 1
    for length in lengths:
        left = resolve(instruction, [length] * samples, config)
        if left is None:
            continue
        for access, mine, some in zip(
            accesses, least, operation(left.opcode).footprint(left, config), strict=True
        ):  # fmt: skip
            if len(some.units) == len(access.units):
                mine[:] = length
            else:
                mine[np.isin(access.units, some.units)] = length
    return least
