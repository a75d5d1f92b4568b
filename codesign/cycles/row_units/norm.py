"""NORM in two passes: residual sum and its statistics; normalised values and their affine maps."""

from collections.abc import Generator
from typing import Any

from codesign.cycles.row_units.passes import Passes, at
from codesign.cycles.timing import norm_preparation
from isa.instruction import Instruction, Memory

SUM = 5  #: from a NORM's element to its sum in the residual memory


class Norm(Passes):
    name = "norm"
    results = (Memory.LEFT, Memory.RIGHT)
    _follows = -1  #: when the last command's rows could begin to enter

    @property
    def output(self) -> int:
        return self.timing.norm_output

    def enter(self, commanded: int, i: Instruction) -> tuple[int, int]:
        """A command is taken and prepared while rows of the one before enter."""
        command = max(commanded, self._follows + 1)
        self._follows = max(command + 1 + norm_preparation(i.columns), self._taken)
        return command, self._follows + 1

    def room(self, row: int, summed: list[int], done: Any) -> Generator[Any, None, int]:
        return (yield from at(done, row)) + 1

    def taken(self, i: Instruction, begin: int) -> None:
        if i.keep_sum:
            self._write_residual(i, begin + SUM)

    def last_pass(
        self, row: int, slots: int, last: int, groups: int, summed: list[int], done: Any, cause: str
    ) -> Generator[Any, None, tuple[int, str]]:
        yield from ()
        return last + self.timing.norm_statistics, cause

    def given(self, i: Instruction, first: int) -> None:
        if not i.keep_sum:
            self._write_residual(i, first + self.timing.norm_residual)

    def _write_residual(self, i, begin):
        self.ports[Memory.RESIDUAL].hold("row", begin, begin + i.groups, i.groups)


UNIT = Norm
