"""SOFTMAX: rows of scores to codes of probabilities, `golden.softmax`."""

from golden.softmax import softmax
from isa.bounds import Bounds
from isa.instruction import Instruction, require, u
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
        u("mask", 1, "columns at and beyond LENGTH are masked"),
        u("step", 16, "mantissa of the reciprocal quantizer step, 2^15 .. 2^16 - 1"),
        u("step_shift", 5, "its exponent"),
    )

    def check(self, i: Instruction, bounds: Bounds) -> None:
        super().check(i, bounds)
        require(i.step >= 1 << 15, f"has step {i.step}, which is below 2^15")

    def execute(self, i: Instruction, machine: Machine) -> None:
        scores = self.take_rows(i, machine)[:, : i.columns]
        length = min(machine.length, i.columns) if i.mask else i.columns
        self.write_codes(i, machine, softmax(scores, length, i.step, i.step_shift, i.bits))


OPERATION = Softmax
