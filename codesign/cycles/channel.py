"""Where beats of external memory go, cycle by cycle: over a bus, through skids and buffers, to a write port."""

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from codesign.cycles.events import Port
from isa.instruction import Memory
from isa.latency import PORT_BUFFER, SKID
from isa.memory_timing import FULL_BANDWIDTH as FULL

if TYPE_CHECKING:
    from codesign.cycles.memory import Load

MOST_CREDIT = 512  #: of bandwidth that a memory saves up, in units of 1/256 beat
READER, PLACER = 1, 1  #: beats that wait in reader and DMA, beside those at their outputs
PASS = SKID  #: cycles through each of them
USERS = ("drain", "row")  #: that write before the DMA
ROOM = 2  #: from a beat that leaves a full port buffer to the first that may come in


class Channel:
    """Where beats go: over the bus, through the reader's queue and the DMA's, to a write port.

    Attributes
    ----------
    time, taken, write : the cycles in which the last beat was on the bus, left the reader, and was taken by its memory
    port : in which the last beats, put together, were written
    """

    __slots__ = ("_bandwidth", "_credit", "_memory", "_placed", "_queued", "port", "taken", "time", "write")

    def __init__(self, bandwidth: int):
        self._bandwidth, self._credit = bandwidth, MOST_CREDIT
        self.time = self.taken = self.write = self.port = 0
        self._memory: Memory | None = None
        # When the last beats left the memory of each queue for its output, so many as it holds.
        self._queued, self._placed = deque([0] * READER, READER), deque([0] * PLACER, PLACER)

    def copy(self) -> Self:
        other = type(self)(self._bandwidth)
        other._credit, other.time, other.taken, other.write = self._credit, self.time, self.taken, self.write
        other.port, other._memory = self.port, self._memory
        other._queued, other._placed = self._queued.copy(), self._placed.copy()
        return other

    def burst(self, time: int, size: int, load: "Load") -> tuple[int, bool]:
        """``size`` beats of ``load`` that can come from ``time`` on; the cycle of the last, and whether none has to wait."""
        time = max(time, self.time + 1)
        credit = min(MOST_CREDIT, self._credit + (time - self.time) * self._bandwidth)
        if credit < FULL:
            wait = -(-(FULL - credit) // self._bandwidth)
            time, credit = time + wait, credit + wait * self._bandwidth
        short = size * FULL - credit
        smooth = time + PASS > self.taken and time + 2 * PASS > max(self.write, self.port)
        end = self.time = time + max(size - 1, -(-short // self._bandwidth) if short > 0 else 0)
        self._credit = min(MOST_CREDIT, credit + (end - time) * self._bandwidth - size * FULL)
        self.taken, self.write = end + PASS, end + 2 * PASS
        self.port, self._memory = self.write + load.joins, load.memory
        self._queued.extend(range(end + PASS - min(size, READER), end + PASS))
        self._placed.extend(range(end + 2 * PASS - min(size, PLACER), end + 2 * PASS))
        return end, smooth

    def beat(self, time: int) -> None:
        """A beat that can come from ``time`` on, and can be taken at once."""
        time = max(time, self.time + 1, self._queued[0] + 1)
        credit = min(MOST_CREDIT, self._credit + (time - self.time) * self._bandwidth)
        if credit < FULL:
            wait = -(-(FULL - credit) // self._bandwidth)
            time, credit = time + wait, credit + wait * self._bandwidth
        self.time, self._credit = time, credit - FULL
        self._queued.append(max(time + PASS - 1, self.taken))
        self.taken = max(time + PASS, self.taken + 1)

    def put(self, writes: int, port: Port | None, load: "Load", completes: bool) -> None:
        """Write the last beat, in so many cycles; with those before it, if it ``completes`` them."""
        for number in range(writes):
            self.taken = max(self.taken + (number > 0), self._placed[0] + 1)
            self._placed.append(max(self.taken + PASS - 1, self.write))
            soonest = max(self.taken + PASS, self.write + 1)
            if self._memory is not load.memory:  # what another memory holds back comes first
                soonest, self._memory = max(soonest, self.port + 1), load.memory
            if port and load.joins:
                self.write = max(soonest, self.port) if completes else soonest
                if completes:
                    self.port = port.finish(USERS, self.write + 1, 1) - 1
            else:
                self.write = self.port = port.finish(USERS, soonest, 1) - 1 if port else soonest


class PortChannel:
    """Over the bus of one of several ports, through its reader, into its buffer: ``parts`` narrow beats make one.

    Attributes
    ----------
    time : the cycle in which the last narrow beat was on the bus
    """

    def __init__(self, parts: int, bandwidth: int):
        self._parts, self._bandwidth, self._credit = parts, bandwidth, MOST_CREDIT
        # When the last narrow beat entered the reader's output, and when it was put into the buffer.
        self.time = self._queued = self._put = 0

    def burst(self, time: int, taken: Sequence[int]) -> list[int]:
        """The cycles from which each beat can be taken of a burst that can come from ``time`` on.

        ``taken``: for each of them, when the one was taken whose place in the buffer it gets; something below 0 where the
        place was free from the start.
        """
        parts = self._parts
        start = max(time, self.time + 1)
        smooth = self._bandwidth == FULL and start > self._put
        if smooth and all(start + SKID + place * parts >= left + ROOM for place, left in enumerate(taken)):
            self.time = start + parts * len(taken) - 1
            self._queued, self._put = self.time + SKID - 1, self.time + SKID
            return [start + parts * (place + 1) - 1 + SKID + PORT_BUFFER for place in range(len(taken))]
        there = []
        for left in taken:
            for _ in range(parts):
                self._beat(time, left + ROOM)
            there.append(self._put + PORT_BUFFER)
        return there

    def _beat(self, time, room):
        time = max(time, self.time + 1, self._queued + 1)
        credit = min(MOST_CREDIT, self._credit + (time - self.time) * self._bandwidth)
        if credit < FULL:
            wait = -(-(FULL - credit) // self._bandwidth)
            time, credit = time + wait, credit + wait * self._bandwidth
        self.time, self._credit = time, credit - FULL
        self._queued = max(time + SKID - 1, self._put)
        self._put = max(time + SKID, self._put + 1, room)
