"""SOFTMAX in three passes: maximum, sum of the exponentials, codes."""

from collections.abc import Generator
from typing import Any

from codesign.cycles.row_units.passes import Passes, at


class Softmax(Passes):
    name = "softmax"

    @property
    def output(self) -> int:
        return self.timing.softmax_output

    def room(self, row: int, summed: list[int], done: Any) -> Generator[Any, None, int]:
        yield from ()
        return summed[row] + 1

    def last_pass(
        self, row: int, slots: int, last: int, groups: int, summed: list[int], done: Any, cause: str
    ) -> Generator[Any, None, tuple[int, str]]:
        first = last + self.timing.softmax_maximum
        if row and summed[-1] >= first:
            first, cause = summed[-1] + 1, self.name
        if row >= slots:
            free = yield from at(done, row - slots)
            if free >= first:
                first, cause = free + 1, self.name
        summed.append(first + groups - 1)
        return summed[-1] + self.timing.softmax_sum, cause


UNIT = Softmax
