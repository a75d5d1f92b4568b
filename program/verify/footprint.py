"""Footprints: which words of which memories an instruction reads and writes, from its fields alone."""

from typing import NamedTuple

import numpy as np

from isa.instruction import Destination, Memory, Opcode
from isa.layout import ceil_div, round_up
from isa.memories import word_bits


class Access(NamedTuple):
    """Part of a footprint.

    ``units`` (count,) int64 are parts of words: an operand memory's word has K / C of them, any other word is one.
    """

    memory: Memory
    units: np.ndarray
    write: bool
    padding: bool = False  #: read, but without effect on any result


def units_per_word(config, memory):
    return config.depth // config.columns if memory in (Memory.LEFT, Memory.RIGHT) else 1


def footprint(instruction, config):
    """All that an instruction touches on chip, row buffer apart: a list of `Access`."""
    functions = {
        Opcode.LOAD: _load, Opcode.GATHER: _gather, Opcode.QMM: _qmm, Opcode.SOFTMAX: _codes, Opcode.NORM: _norm,
    }  # fmt: skip
    function = functions.get(instruction.opcode)
    return function(instruction, config) if function else []


def _grid(base, *dimensions):
    """``base`` plus every combination of the given multiples: pairs of (count, stride)."""
    words = np.array([base], np.int64)
    for count, stride in dimensions:
        words = (words[:, None] + np.arange(count) * stride).ravel()
    return words


def _whole(config, memory, words, write, padding=False):
    parts = units_per_word(config, memory)
    return Access(memory, (words[:, None] * parts + np.arange(parts)).ravel(), write, padding)


def _part(config, memory, rows, columns, bits, base, plane, tile, first=0):
    """A write of codes: tiles x columns from column ``first`` on, and what the first part of a word clears with it."""
    parts = units_per_word(config, memory)
    starts = _grid(base, (bits, plane), (rows, tile)) * parts
    begin, end = first // config.columns, ceil_div(first + columns, config.columns)
    if begin % parts == 0 or begin // parts < (end - 1) // parts:
        end = round_up(end, parts)
    units = np.arange(begin, end)
    return Access(memory, (starts[:, None] + units).ravel(), True)


def _load(i, config):
    memory = Memory(i.memory)
    words = ceil_div(i.beats * config.axi_bits, word_bits(config, memory))
    return [_whole(config, memory, _grid(i.address, (words, 1)), True)]


def _gather(i, config):
    words = _grid(i.address, (ceil_div(i.count, config.rows), i.tile), (i.words, 1))
    return [_whole(config, Memory.LEFT, words, True)]


def _qmm(i, config):
    real = min(i.column_tiles, ceil_div(i.columns, config.columns))
    left = _grid(i.left_base, (i.left_bits, i.left_plane), (i.row_tiles, i.left_tile), (i.words, 1))
    accesses = [_whole(config, Memory.LEFT, left, False)]
    # Columns beyond the real ones are read, but code 0 takes their place.
    for first, count in ((0, real), (real, i.column_tiles - real)):
        right = _grid(i.right_base + first * i.right_tile, (i.right_bits, i.right_plane), (count, i.right_tile),
                      (i.words, 1))  # fmt: skip
        accesses.append(_whole(config, Memory.RIGHT, right, False, padding=first > 0))
        if not i.constant_by_row:
            constants = _grid(i.constant_base + first, (count, 1))
            accesses.append(_whole(config, Memory.CONSTANT, constants, False, padding=first > 0))
    if i.constant_by_row:
        words = ceil_div(i.row_tiles * config.rows, config.columns)
        accesses.append(_whole(config, Memory.CONSTANT, _grid(i.constant_base, (words, 1)), False))
    if i.destination != Destination.ROWS:
        memory = Memory.LEFT if i.destination == Destination.LEFT else Memory.RIGHT
        tiles = i.row_tiles
        if memory is Memory.RIGHT:
            tiles = ceil_div(i.row_tiles * config.rows, config.columns)
        accesses.append(
            _part(config, memory, tiles, i.column_tiles * config.columns, i.destination_bits, i.destination_base,
                  i.destination_plane, i.destination_tile, i.destination_column)
        )  # fmt: skip
    return accesses


def _codes(i, config):
    columns = i.groups * config.row_lanes
    accesses = []

    def write(memory, banks, base, plane, tile):
        first, end = i.first_row // banks, ceil_div(i.first_row + i.rows, banks)
        accesses.append(_part(config, memory, end - first, columns, i.bits, base + first * tile, plane, tile))

    if i.left_enable:
        write(Memory.LEFT, config.rows, i.left_base, i.left_plane, i.left_tile)
    if i.opcode is Opcode.NORM and i.right_enable:
        write(Memory.RIGHT, config.columns, i.right_base, i.right_plane, i.right_tile)
    return accesses


def _norm(i, config):
    residual = _grid(i.residual_base, (i.rows * i.groups, 1))
    constants = _grid(i.constant_base, (i.groups, 1))
    return [
        _whole(config, Memory.RESIDUAL, residual, False),
        _whole(config, Memory.RESIDUAL, residual, True),
        _whole(config, Memory.NORM, constants, False),
        *_codes(i, config),
    ]
