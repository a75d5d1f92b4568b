"""An AXI port to external memory in the cycle model: when its bursts are announced, taken, answered, and have come."""

from collections.abc import Generator
from typing import NamedTuple

from codesign.cycles.channel import PortChannel
from codesign.cycles.events import Events, Sleep
from isa.config import AcceleratorConfig
from isa.memory_timing import FULL_BANDWIDTH, MemoryQueue, MemoryTiming
from isa.sizes import OUTSTANDING_BURSTS, PORT_BUFFER

NEVER = -PORT_BUFFER  #: a cycle before all others


class Announced(NamedTuple):
    """A burst of ``size`` beats of all ports' width, announced in ``cycle``."""

    cycle: int
    size: int


class Answer(NamedTuple):
    """``taken`` by memory, and given from ``ready`` on, later than its latency if it was ``delayed``."""

    taken: int
    ready: int
    delayed: bool


class MemoryPort:
    """The reader of a port, the memory behind it, and, of several ports, its buffer.

    Attributes
    ----------
    answers : `Answer` to each burst
    popped : the cycle in which the last beat of each burst was on the bus; posted by `Port` itself only if it has a buffer
    there : of each burst, the cycles from which its beats can be taken out of the buffer
    taken : the cycle in which each beat was; posted by whoever takes them
    """

    def __init__(self, events: Events, config: AcceleratorConfig, timing: MemoryTiming, queue: MemoryQueue):
        self.events, self.timing, self.queue = events, timing, queue
        self._beat_bytes = config.axi_bits // 8
        self._announced, self.answers, self.popped, self.there, self.taken = (events.times() for _ in range(5))
        events.start(self._answer())
        if config.ports > 1:
            self._channel = PortChannel(config.ports, min(timing.bandwidth, FULL_BANDWIDTH))
            events.start(self._stream())

    def announce(self, time: int, size: int) -> Generator[Sleep, None, int]:
        """Announce a burst from cycle ``time`` on, when there is room; returns when."""
        place, popped = len(self._announced), self.popped
        if place >= OUTSTANDING_BURSTS - 1:
            # All but one wait in a memory, and leave it for the FIFO's output one by one.
            moved = self._announced[place - OUTSTANDING_BURSTS + 1].cycle + 1
            if place >= OUTSTANDING_BURSTS:
                while len(popped) <= place - OUTSTANDING_BURSTS:
                    yield popped
                moved = max(moved, popped[place - OUTSTANDING_BURSTS])
            time = max(time, moved + 1)
        if place and self.timing.outstanding < OUTSTANDING_BURSTS:
            while len(self.answers) < place:
                yield self.answers
            time = max(time, self.answers[-1].taken)
        self._announced.post(Announced(time, size))
        return time

    def _answer(self):
        """Memory takes the bursts, and begins them in the order in which it takes those of all ports."""
        place, most, popped = 0, self.timing.outstanding, self.popped
        while True:
            while len(self._announced) <= place:
                yield self._announced
            announced = self._announced[place]
            time = announced.cycle + 1
            if place >= most:
                while len(popped) <= place - most:
                    yield popped
                time = max(time, popped[place - most] + 1)
            if self.timing.ceiling and time > self.events.now:
                yield time
            begun = self.queue.begin(time, announced.size * self._beat_bytes)
            self.answers.post(Answer(time, begun + max(self.timing.latency, 1), begun > time))
            place += 1

    def _stream(self):
        """Bursts as they come, while there is room in the buffer."""
        place = first = 0
        while True:
            while len(self.answers) <= place:
                yield self.answers
            size = self._announced[place].size
            while len(self.taken) < first + size - PORT_BUFFER:
                yield self.taken
            left = [self.taken[i] if i >= 0 else NEVER for i in range(first - PORT_BUFFER, first + size - PORT_BUFFER)]
            self.there.post(self._channel.burst(self.answers[place].ready, left))
            self.popped.post(self._channel.time)
            first += size
            place += 1
