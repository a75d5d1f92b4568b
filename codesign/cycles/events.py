"""Event queue of the cycle model: units as generators, and the times at which things happen as what they exchange."""

from bisect import bisect_left, bisect_right
from collections.abc import Generator, Iterable
from heapq import heappop, heappush
from typing import Any, TypeVar

Item = TypeVar("Item")


class Times(list[Item]):
    """Cycles at which the k-th occurrence of something happens; a unit that needs one not known yet waits for it.

    Occurrences are posted as early as they are known, often ahead of their cycle, never after it.
    """

    def __init__(self, events: "Events"):
        super().__init__()
        self._events = events
        self._waiting: list[Unit] = []

    def post(self, item: Item) -> None:
        """Append an occurrence, and wake whoever waits for it."""
        self.append(item)
        if self._waiting:
            self._events.wake(self._waiting)
            self._waiting = []

    def wait(self, unit: "Unit") -> None:
        self._waiting.append(unit)


#: What a unit yields: the cycle to sleep until, or where something has to be posted first.
Sleep = int | Times[Any]
Unit = Generator[Sleep, None, None]


class Events:
    """Runs units in the order of their times.

    A unit is a generator. It yields a cycle to sleep until, or `Times` to sleep until something is posted there.
    """

    def __init__(self) -> None:
        self.now = 0
        self._queue, self._count = [], 0

    def times(self) -> Times[Any]:
        return Times(self)

    def start(self, unit: Unit) -> None:
        self._schedule(self.now, unit)

    def wake(self, units: Iterable[Unit]) -> None:
        for unit in units:
            self._schedule(self.now, unit)

    def run(self) -> None:
        """Run the units until nothing is left to do."""
        queue = self._queue
        while queue:
            self.now, _, unit = heappop(queue)
            awaited = next(unit, None)
            if awaited is None:
                continue
            if isinstance(awaited, Times):
                awaited.wait(unit)
            else:
                self._schedule(max(awaited, self.now), unit)

    def _schedule(self, time, unit):
        self._count += 1
        heappush(self._queue, (time, self._count, unit))


class Port:
    """Write port of an operand memory: in which cycles users of higher priority hold it.

    Intervals of a user are announced in order; of ``cycles`` in an interval so many are used, evenly spread.
    """

    def __init__(self) -> None:
        self._users = {}
        self._held_up = 0
        self.shared = False  #: a row unit may write soon

    def hold(self, user: str, start: int, end: int, cycles: int) -> None:
        """``user`` writes ``cycles`` times in ``start`` .. ``end`` - 1."""
        held = self._users.setdefault(user, ([], [], [0]))
        held[0].append(start)
        held[1].append((end, cycles))
        held[2].append(held[2][-1] + cycles)

    def extend(self, user: str, end: int) -> None:
        """The last interval of ``user`` ends later."""
        rest = self._users[user][1]
        rest[-1] = (end, rest[-1][1])

    def used(self, users: Iterable[str], start: int, end: int) -> int:
        """Cycles of ``start`` .. ``end`` - 1 in which one of ``users`` writes."""
        count = 0
        for user in users:
            held = self._users.get(user)
            if held is not None and held[1][-1][0] > start:
                count += self._until(held, end) - self._until(held, start)
        return count

    def finish(self, users: Iterable[str], start: int, writes: int) -> int:
        """The cycle after the last of ``writes`` from ``start`` on, in cycles that ``users`` leave free."""
        end = start + writes
        while (later := start + writes + self.used(users, start, end)) != end:
            end = later
        return end

    def turns(self, start: int, writes: int) -> int:
        """The cycle after the last of a row unit's ``writes`` from ``start`` on: one that had to wait for the drain comes
        next."""
        held = self._users.get("drain")
        if held is None or held[1][-1][0] <= start:
            return start + writes
        for _ in range(writes):
            start += 1 + self._within(held, start)
        return start

    def hold_up(self, cycles: int) -> None:
        """Note that the drain had to wait so many times for its turn."""
        self._held_up += cycles

    def delay(self) -> int:
        """For how many cycles the drain has been held up since this was last asked."""
        cycles, self._held_up = self._held_up, 0
        return cycles

    @staticmethod
    def _within(held, time):
        """Whether cycle ``time`` is in an interval: the user wants to write in each, and is late where it could not."""
        starts, rest, _ = held
        place = bisect_right(starts, time) - 1
        return place >= 0 and time < rest[place][0]

    @staticmethod
    def _until(held, time):
        """Writes before ``time``."""
        starts, rest, total = held
        place = bisect_left(starts, time) - 1
        if place < 0:
            return 0
        end, cycles = rest[place]
        start = starts[place]
        return total[place] + (cycles if time >= end else cycles * (time - start) // (end - start))
