"""What SOFTMAX, NORM and STORE have in common: rows from the row buffer, and codes to the operand memories."""

import numpy as np
from numpy.typing import NDArray

from golden.codes import Kind
from isa.bounds import Bounds, check_bits, check_positive
from isa.config import AcceleratorConfig
from isa.footprint import Access, bank_masks
from isa.footprint import codes as code_footprint
from isa.instruction import Field, Instruction, Memory, Operation, Queue, require, u
from isa.layout import ceil_div
from isa.machine import Machine
from isa.memory import banks

ROWS = (
    u("rows", 16, "rows taken from the row buffer; tiles of R rows, the rest of the last tile is dropped"),
    u("groups", 12, "groups of row_lanes columns read of each row, padding included"),
    u("columns", 16, "columns that are real; the others take no part and their codes are 0"),
)

FIRST_ROW = u("first_row", 16, "the first row taken is this row of the result's codes, the others follow it")
BITS = u("bits", 4, "bits of the codes, 1..8")


def codes_to(side: str) -> tuple[Field, ...]:
    """Fields of a result in the ``side`` ("left" or "right") memory."""
    return (
        u(f"{side}_enable", 1, f"write the codes to the {side} memory"),
        u(f"{side}_base", 16, "word address of the result"),
        u(f"{side}_plane", 16, "words from one bit plane to the next"),
        u(f"{side}_tile", 16, "words from one tile of rows (R left, C right) to the next"),
    )


class RowOperation(Operation):
    """Takes row tiles from the row buffer, one element of ``row_lanes`` columns after the other."""

    queue = Queue.ROW

    def check(self, i: Instruction, bounds: Bounds) -> None:
        config = bounds.config
        check_positive(i, "rows", "groups", "columns")
        columns = i.groups * config.row_lanes
        require(columns <= config.row_columns, f"takes rows of {columns} columns, row_columns is {config.row_columns}")
        require(i.columns <= columns, f"has {i.columns} columns in {i.groups} groups of {config.row_lanes}")

    def row_tiles(self, i: Instruction, config: AcceleratorConfig) -> int:
        return ceil_div(i.rows, config.rows)

    def take_rows(self, i: Instruction, machine: Machine) -> NDArray[np.int64]:
        """Rows (rows, groups * L) from the row buffer, padding included."""
        return machine.take_rows(i.rows, i.groups * machine.config.row_lanes)


class CodeOperation(RowOperation):
    """A row operation whose results are codes, in the memories that its fields have."""

    #: The memories that it can write, whose fields are `codes_to` of their names.
    results: tuple[Memory, ...] = (Memory.LEFT,)

    def check(self, i: Instruction, bounds: Bounds) -> None:
        super().check(i, bounds)
        require(i.first_row + i.rows <= 1 << 16, f"writes row {i.first_row + i.rows - 1}, which is not 16 bit")
        check_bits(Kind.UNSIGNED, i.bits, "result")

    def footprint(self, i: Instruction, config: AcceleratorConfig) -> list[Access]:
        columns, accesses = i.groups * config.row_lanes, []
        for memory, base, plane, tile in self._places(i):
            rows = banks(config, memory)
            first, end = i.first_row // rows, ceil_div(i.first_row + i.rows, rows)
            masks = bank_masks(i.first_row, i.rows, rows)
            accesses.append(
                code_footprint(
                    config, memory, end - first, columns, i.bits, base + first * tile, plane, tile, banks=masks
                )
            )
        return accesses

    def write_codes(self, i: Instruction, machine: Machine, codes: NDArray[np.int64]) -> None:
        """Write codes (rows, columns), and 0 in the columns that are not real, where the instruction says."""
        wide = np.zeros((i.rows, i.groups * machine.config.row_lanes), np.int64)
        wide[:, : i.columns] = codes
        for memory, base, plane, tile in self._places(i):
            machine.write_codes(memory, wide, i.bits, base, plane, tile, first_row=i.first_row)

    def _places(self, i):
        for memory in self.results:
            enable, *place = (getattr(i, field.name) for field in codes_to(memory.name.lower()))
            if enable:
                yield memory, *place
