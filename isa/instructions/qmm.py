"""QMM: a product of two operands on chip, rescaled, to an operand memory or to the row buffer."""

from typing import ClassVar

import numpy as np

from golden.codes import Kind
from golden.qmm import correct, count
from golden.rescale import rescale_folded
from isa.bounds import Bounds, check_bits, check_member, check_positive
from isa.config import AcceleratorConfig
from isa.footprint import Access, codes, grid, whole
from isa.instruction import Destination, Instruction, Limit, Memory, Operation, Queue, require, s, u
from isa.layout import ceil_div
from isa.machine import Machine


def _operand(side, tiles):
    return (
        u(f"{side}_base", 16, f"word address of the {side} operand"),
        u(f"{side}_plane", 16, "words from one bit plane to the next"),
        u(f"{side}_tile", 16, f"words from one tile of {tiles} to the next"),
        u(f"{side}_bits", 4, "bit planes, 1..8"),
        u(f"{side}_kind", 2, "see golden.codes.Kind"),
    )


class Qmm(Operation):
    """The function of the engine: `golden.qmm.count`, `golden.qmm.correct`, `golden.rescale.rescale_folded`."""

    queue, colour = Queue.QMM, "#2a6f97"
    fields = (
        *_operand("left", "R rows"),
        *_operand("right", "C columns"),
        u("words", 12, "K-bit words of the contraction"),
        u("row_tiles", 12, "tiles of R rows, outer loop"),
        u("column_tiles", 12, "tiles of C columns, inner loop"),
        u("destination", 2, "see Destination"),
        u("destination_base", 16, "word address of the result (codes)"),
        u("destination_plane", 16, "words from one bit plane to the next"),
        u("destination_tile", 16, "words from one tile of rows (R left, C right) to the next"),
        u("destination_column", 16, "first column in the result's rows, a multiple of C"),
        u("destination_bits", 4, "bit planes of the codes, 1..8"),
        u("columns", 16, "columns at and beyond it get code 0"),
        u("constant_base", 16, "word address of the rescale constants of column (row) 0"),
        u("constant_by_row", 1, "constants are indexed by output row, not column"),
        u("shift", 5, "rescale shift"),
        s("low", 17, "lower clip bound"),
        s("high", 17, "upper clip bound"),
    )

    limits: ClassVar = {
        "row_tiles": Limit("limit_rows", "rows"),
        "columns": Limit("limit_columns", ""),
        "column_tiles": Limit("limit_columns", "columns"),
        "words": Limit("limit_words", "depth"),
    }

    def check(self, i: Instruction, bounds: Bounds) -> None:
        config = bounds.config
        check_positive(i, "words", "row_tiles", "column_tiles")
        for side in ("left", "right"):
            kind = getattr(i, f"{side}_kind")
            check_member(kind, Kind, f"{side}_kind")
            check_bits(Kind(kind), getattr(i, f"{side}_bits"), side)
        check_member(i.destination, Destination, "destination")
        require(i.low <= i.high, f"clips to {i.low}..{i.high}")
        columns = i.column_tiles * config.columns
        require(0 < i.columns <= columns, f"has {i.columns} columns in {i.column_tiles} tiles of {config.columns}")
        if i.destination == Destination.ROWS:
            require(columns <= config.row_columns, f"gives rows of {columns} columns, row_columns is {config.row_columns}")
            require(i.low >= -(1 << 15) and i.high < 1 << 15, f"clips to {i.low}..{i.high}, which is not 16 bit")
        else:
            check_bits(Kind.UNSIGNED, i.destination_bits, "destination")
            require(
                i.destination_column % config.columns == 0,
                f"has destination_column {i.destination_column}, not a multiple of {config.columns}",
            )

    def footprint(self, i: Instruction, config: AcceleratorConfig) -> list[Access]:
        real = min(i.column_tiles, ceil_div(i.columns, config.columns))
        left = grid(i.left_base, (i.left_bits, i.left_plane), (i.row_tiles, i.left_tile), (i.words, 1))
        accesses = [whole(config, Memory.LEFT, left, False)]
        # Columns beyond the real ones are read, but code 0 takes their place.
        for first, number in ((0, real), (real, i.column_tiles - real)):
            right = grid(
                i.right_base + first * i.right_tile, (i.right_bits, i.right_plane), (number, i.right_tile), (i.words, 1)
            )
            accesses.append(whole(config, Memory.RIGHT, right, False, padding=first > 0))
            if not i.constant_by_row:
                constants = grid(i.constant_base + first, (number, 1))
                accesses.append(whole(config, Memory.CONSTANT, constants, False, padding=first > 0))
        row_words = ceil_div(i.row_tiles * config.rows, config.columns)
        if i.constant_by_row:
            accesses.append(whole(config, Memory.CONSTANT, grid(i.constant_base, (row_words, 1)), False))
        if i.destination != Destination.ROWS:
            memory = _destination(i)
            accesses.append(
                codes(
                    config, memory, i.row_tiles if memory is Memory.LEFT else row_words, i.column_tiles * config.columns,
                    i.destination_bits, i.destination_base, i.destination_plane, i.destination_tile, i.destination_column,
                )
            )  # fmt: skip
        return accesses

    def execute(self, i: Instruction, machine: Machine) -> None:
        config, sides = machine.config, ((Memory.LEFT, i.row_tiles), (Memory.RIGHT, i.column_tiles))
        left, right = (_codes(i, machine, memory, tiles) for memory, tiles in sides)
        left_kind, right_kind = Kind(i.left_kind), Kind(i.right_kind)
        sums, of_rows, of_columns = count(left, right, left_kind, i.left_bits, right_kind, i.right_bits)
        t = correct(sums, of_rows, of_columns, left_kind, right_kind)
        words = ceil_div(t.shape[0] if i.constant_by_row else t.shape[1], config.columns)
        scale, offset = machine.rescale_constants(i.constant_base, words)
        if i.constant_by_row:
            scale, offset = scale[: len(t), None], offset[: len(t), None]
        y = rescale_folded(t, scale, offset, i.shift, i.low, i.high)
        y[:, i.columns :] = 0
        if i.destination == Destination.ROWS:
            machine.row_buffer += list(y.reshape(i.row_tiles, config.rows, -1))
        else:
            machine.write_codes(
                _destination(i), y, i.destination_bits, i.destination_base, i.destination_plane, i.destination_tile,
                column=i.destination_column,
            )  # fmt: skip

    def row_tiles(self, i: Instruction, config: AcceleratorConfig) -> int:
        return i.row_tiles if i.destination == Destination.ROWS else 0


def _destination(i):
    return Memory.LEFT if i.destination == Destination.LEFT else Memory.RIGHT


def _codes(i, machine, memory, tiles):
    """Codes (tiles * banks, words * K) of an operand."""
    side = memory.name.lower()
    base, plane, tile, bits, kind = (getattr(i, f"{side}_{part}") for part in ("base", "plane", "tile", "bits", "kind"))
    words = base + np.arange(bits)[:, None, None] * plane + np.arange(tiles)[:, None] * tile + np.arange(i.words)
    return machine.read_codes(memory, words, Kind(kind))


OPERATION = Qmm
