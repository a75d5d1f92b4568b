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
    #: Of a write of codes by rows: a bit for each bank of a unit that is written, (count,) uint64; None for all of them.
    banks: NDArray[np.uint64] | None = None


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
    first: int = 0, banks: NDArray[np.uint64] | None = None,
) -> Access:  # fmt: skip
    """A write of codes: tiles x columns from column ``first`` on, and what the first part of a word clears with it.

    ``banks`` (tiles,) has a bit for each bank that is written, all of them by default.
    """
    parts = units_per_word(config, memory)
    starts = grid(base, (bits, plane), (tiles, tile)) * parts
    begin, end = first // config.columns, ceil_div(first + columns, config.columns)
    if begin % parts == 0 or begin // parts < (end - 1) // parts:
        end = round_up(end, parts)
    units = np.arange(begin, end)
    masks = None if banks is None else np.repeat(np.tile(banks, bits), len(units))
    return Access(memory, (starts[:, None] + units).ravel(), True, banks=masks)


def bank_masks(first_row: int, rows: int, banks: int) -> NDArray[np.uint64]:
    """A bit for each bank that rows ``first_row`` .. are in, of each tile from the first row's on: (tiles,)."""
    at = np.arange(first_row, first_row + rows)
    masks = np.zeros(at[-1] // banks - first_row // banks + 1, np.uint64)
    np.bitwise_or.at(masks, at // banks - first_row // banks, np.uint64(1) << (at % banks).astype(np.uint64))
    return masks
