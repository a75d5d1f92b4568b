"""Footprints: which words of which memories an instruction reads and writes, from its fields alone."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isa.config import AcceleratorConfig
from isa.instruction import Memory
from isa.layout import ceil_div, round_up
from isa.memory import units_per_word


class Access(NamedTuple):
    """Part of a footprint.

    ``units`` (count,) int64 are parts of words: an operand memory's word has K / C of them, any other word is one.
    """

    memory: Memory
    units: NDArray[np.int64]
    write: bool
    padding: bool = False  #: read, but without effect on any result


def grid(base: int, *dimensions: tuple[int, int]) -> NDArray[np.int64]:
    """``base`` plus every combination of the given multiples, pairs of (count, stride): (words,) int64."""
    words = np.array([base], np.int64)
    for count, stride in dimensions:
        words = (words[:, None] + np.arange(count) * stride).ravel()
    return words


def whole(config: AcceleratorConfig, memory: Memory, words: NDArray[np.int64], write: bool, padding: bool = False) -> Access:
    """An access to whole words (words,)."""
    parts = units_per_word(config, memory)
    return Access(memory, (words[:, None] * parts + np.arange(parts)).ravel(), write, padding)


def codes(
    config: AcceleratorConfig, memory: Memory, tiles: int, columns: int, bits: int, base: int, plane: int, tile: int,
    first: int = 0,
) -> Access:  # fmt: skip
    """A write of codes: tiles x columns from column ``first`` on, and what the first part of a word clears with it."""
    parts = units_per_word(config, memory)
    starts = grid(base, (bits, plane), (tiles, tile)) * parts
    begin, end = first // config.columns, ceil_div(first + columns, config.columns)
    if begin % parts == 0 or begin // parts < (end - 1) // parts:
        end = round_up(end, parts)
    units = np.arange(begin, end)
    return Access(memory, (starts[:, None] + units).ravel(), True)
