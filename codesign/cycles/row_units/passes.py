"""What the units have in common that take a row in passes: elements in, codes out, rows waiting in between."""

from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, ClassVar

from codesign.cycles.code_writer import TAKE
from isa.instruction import Instruction, Memory
from isa.sizes import CODES_WAITING, ROWS_BETWEEN_PASSES

if TYPE_CHECKING:
    from codesign.cycles.rows import RowUnits

CHECKED = 3  #: from issue to the commands of row buffer and unit
READ = 3  #: from the row buffer's address to its output
NOTICED = 3  #: from an element at the code writer to another one of the last pass in its place
ANNOUNCE = 4  #: cycles in which codes are announced before they are written


class Passes:
    """A unit with a first pass, which reads the row buffer, and a last one, which gives codes.

    Every ``yield`` waits, as `codesign.cycles.events` says. ``done`` are the last elements of the last pass of each row so
    far, ``summed`` those of the pass before; rows are counted over all instructions.
    """

    #: In causes.
    name: ClassVar[str]
    #: Memories that it may write codes to.
    results: ClassVar[tuple[Memory, ...]] = (Memory.LEFT,)

    def __init__(self, rows: "RowUnits"):
        self.rows, self.timing, self.ports, self.events = rows, rows.timing, rows.ports, rows.events
        self._done = rows.events.times()
        self._summed: list[int] = []
        self._row = 0  # of the first pass
        self._taken = -1  # last element of it
        self._fired = -1  # last element of the last pass
        self._elements = 0  # of the last pass
        #: Of rows at the code writer: elements before their first and up to their last, cycles of these.
        self._left: deque[tuple[int, int, int, int]] = deque()

    @property
    def output(self) -> int:
        """From an element of the last pass to the code writer."""
        raise NotImplementedError

    def enter(self, commanded: int, i: Instruction) -> tuple[int, int]:
        """The cycles in which the unit takes its command, offered in cycle ``commanded``, and may take its first element."""
        taken = max(commanded, self._taken)
        return taken, taken + 1

    def room(self, row: int, summed: list[int], done: Any) -> Generator[Any, None, int]:
        """The cycle from which the memory between the passes takes the elements of a row, ``row`` counting from the first
        that it has no room for."""
        raise NotImplementedError

    def taken(self, i: Instruction, begin: int) -> None:
        """The first element of a row is taken in cycle ``begin``."""

    def last_pass(
        self, row: int, slots: int, last: int, groups: int, summed: list[int], done: Any, cause: str
    ) -> Generator[Any, None, tuple[int, str]]:
        """When the last pass of a row may start whose last element is taken in cycle ``last``, and what bound it."""
        raise NotImplementedError

    def given(self, i: Instruction, first: int) -> None:
        """The last pass of a row starts in cycle ``first``."""

    def read(self, issued: int, index: int, i: Instruction) -> Generator[Any, None, None]:
        """All passes but the last of an instruction."""
        rows, groups, height = self.rows, i.groups, self.rows.config.rows
        command, entering = self.enter(issued + CHECKED, i)
        reads = rows.start(issued, command)
        slots = min(ROWS_BETWEEN_PASSES, self.timing.ring_words // groups)
        last = max(entering, reads + 1 + READ) - 1  # element taken
        summed, done = self._summed, self._done
        rows.passes.post((index, self, done))
        for row in range(i.rows):
            soonest, cause = last + 1, self.name
            if row % height == 0:
                readable = yield from rows.row_tile()
                if readable + READ > soonest:
                    soonest, cause = readable + READ, "rows of the engine"
            if self._row >= slots:
                free = yield from self.room(self._row - slots, summed, done)
                if free > soonest:
                    soonest, cause = free, self.name
            last = self._taken = soonest + groups - 1
            if row % height == height - 1 or row == i.rows - 1:
                rows.release(last - READ)
            self.taken(i, soonest)
            rows.passes.post((yield from self.last_pass(self._row, slots, last, groups, summed, done, cause)))
            self._row += 1

    def write(self, index: int, done: Any) -> Generator[Any, None, None]:
        """The last pass and the code writers of an instruction."""
        rows, completed, writer = self.rows, self.rows.completed, self.rows.writer
        i = rows.program.instructions[index]
        delay = self.output + TAKE
        ports = [self.ports[memory] for memory in self.results if getattr(i, f"{memory.name.lower()}_enable")]
        writer.begin(i.groups, i.bits, ports)
        bound: dict[str, int] = {}
        before = rows.started[len(completed)][0]
        if completed:
            before = max(before, completed[-1])
        for port in ports:
            port.shared = True
        for _ in range(i.rows):
            first, cause = yield from rows.next_pass()
            if self._fired + 1 > first:
                first, cause = self._fired + 1, self.name
            self.given(i, first)
            if first + delay - ANNOUNCE > self.events.now:
                yield first + delay - ANNOUNCE
            writer.announce(first + delay)
            while True:
                # The drain announces its writes shortly before; so look again when it has.
                after = writer.row(first + delay)
                if after.written - 1 <= self.events.now:
                    break
                yield after.written - 1
            begun = writer.last_taken
            blame = writer.accept(after)
            self._fired = self._leave(i.groups, max(begun + 1, first + delay) - TAKE, after.taken - TAKE)
            self._fired = max(first + i.groups - 1, self._fired)
            cause = blame or cause
            bound[cause] = bound.get(cause, 0) + max(0, after.written - before)
            before = max(before, after.written)
            done.post(self._fired)
        for port in ports:
            port.shared = False
        rows.complete(index, after.written + 2, bound)

    def _leave(self, groups, first, last):
        """A row's elements come to the code writer from ``first`` to ``last``; returns when there was room for the last."""
        self._left.append((self._elements, self._elements + groups, first, last))
        self._elements += groups
        place = self._elements - 1 - CODES_WAITING
        while self._left[0][1] <= place:
            self._left.popleft()
        begin, end, first, last = self._left[0]
        if place < begin:
            return -1
        return last - (end - 1 - place) * (last - first) // max(1, end - 1 - begin) + NOTICED


def at(times: Any, place: int) -> Generator[Any, None, int]:
    """The entry at ``place`` of times that another unit posts, when it is there."""
    while len(times) <= place:
        yield times
    return times[place]
