"""What the units have in common that take a row in passes: elements in, codes out, rows waiting in between."""

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, ClassVar

from codesign.cycles.code_writer import TAKE, CodeWriter
from isa.instruction import Instruction, Memory
from isa.sizes import ROWS_BETWEEN_PASSES

if TYPE_CHECKING:
    from codesign.cycles.rows import RowUnits

READ = 3  #: from the row buffer's address to its output
ANNOUNCE = 4  #: cycles in which codes are announced before they are written


class Passes:
    """A unit with a first pass, which reads the row buffer, and a last one, which gives codes.

    Every ``yield`` waits, as `codesign.cycles.events` says. ``done`` are the last elements of the last pass of each row so
    far, ``summed`` those of the pass before.
    """

    #: In causes.
    name: ClassVar[str]
    #: Memories that it may write codes to.
    results: ClassVar[tuple[Memory, ...]] = (Memory.LEFT,)

    def __init__(self, rows: "RowUnits"):
        self.rows, self.timing, self.ports, self.events = rows, rows.timing, rows.ports, rows.events

    @property
    def output(self) -> int:
        """From an element of the last pass to the code writer."""
        raise NotImplementedError

    def preparation(self, i: Instruction) -> int:
        """Cycles from the command to the first element."""
        return 1

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
        reads, entering = yield from rows.start(issued)
        entering += self.preparation(i)
        slots = min(ROWS_BETWEEN_PASSES, self.timing.ring_words // groups)
        last = max(entering, reads + 1 + READ) - 1  # element taken
        summed: list[int] = []
        done = self.events.times()
        rows.passes.post((index, self, done))
        for row in range(i.rows):
            soonest, cause = last + 1, self.name
            if row % height == 0:
                readable = yield from rows.row_tile()
                if readable + READ > soonest:
                    soonest, cause = readable + READ, "rows of the engine"
            if row >= slots:
                free = yield from self.room(row - slots, summed, done)
                if free > soonest:
                    soonest, cause = free, self.name
            last = soonest + groups - 1
            if row % height == height - 1 or row == i.rows - 1:
                rows.release(last - READ)
            self.taken(i, soonest)
            rows.passes.post((yield from self.last_pass(row, slots, last, groups, summed, done, cause)))

    def write(self, index: int, done: Any) -> Generator[Any, None, None]:
        """The last pass and the code writers of an instruction."""
        rows, completed = self.rows, self.rows.completed
        i = rows.program.instructions[index]
        delay = self.output + TAKE
        ports = [self.ports[memory] for memory in self.results if getattr(i, f"{memory.name.lower()}_enable")]
        writer = CodeWriter(rows.config.depth // rows.config.row_lanes, i.groups, i.bits, ports, delay)
        fired, bound = -1, {}
        before = rows.started[len(completed)][0]
        if completed:
            before = max(before, completed[-1])
            writer.wait(completed[-1])
        for port in ports:
            port.shared = True
        for _ in range(i.rows):
            first, cause = yield from rows.next_pass()
            if fired + 1 > first:
                first, cause = fired + 1, self.name
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
            blame = writer.accept(after)
            fired = max(first + i.groups - 1, after.taken - delay - writer.slack)
            cause = blame or cause
            bound[cause] = bound.get(cause, 0) + after.written - before
            before = after.written
            done.post(fired)
        for port in ports:
            port.shared = False
        rows.complete(index, before + 2, bound, after.taken - TAKE)


def at(times: Any, place: int) -> Generator[Any, None, int]:
    """The entry at ``place`` of times that another unit posts, when it is there."""
    while len(times) <= place:
        yield times
    return times[place]
