"""SOFTMAX: rows of scores to codes of probabilities, `golden.softmax`."""

from typing import ClassVar

from golden.softmax import softmax
from isa.bounds import Bounds
from isa.instruction import Instruction, Limit, require, u
from isa.machine import Machine
from isa.row_operation import BITS, FIRST_ROW, ROWS, CodeOperation, codes_to


class Softmax(CodeOperation):
    """To the left memory, for the product with the values."""

    colour = "#e09f3e"
    fields = (
        *ROWS,
        FIRST_ROW,
        *codes_to("left"),
        BITS,
        u("step", 16, "mantissa of the reciprocal quantizer step, 2^15 .. 2^16 - 1"),
        u("step_shift", 5, "its exponent"),
    )

    limits: ClassVar = {
        "rows": Limit("limit_rows", ""),
        "columns": Limit("limit_columns", ""),
        "groups": Limit("limit_columns", "row_lanes"),
    }

    def check(self, i: Instruction, bounds: Bounds) -> None:
        super().check(i, bounds)
        require(i.step >= 1 << 15, f"has step {i.step}, which is below 2^15")

    def execute(self, i: Instruction, machine: Machine) -> None:
        scores = self.take_rows(i, machine)[:, : i.columns]
        self.write_codes(i, machine, softmax(scores, i.columns, i.step, i.step_shift, i.bits))


OPERATION = Softmax
