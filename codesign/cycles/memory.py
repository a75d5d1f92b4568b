"""External memory, AXI reader and DMA: when the beats of each read arrive and are written."""

from collections import deque
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

from codesign.cycles.events import Events, Port, Sleep
from isa.config import AcceleratorConfig
from isa.instruction import Instruction, Memory, Opcode, Queue, Region
from isa.latency import SKID, STREAM_QUEUE
from isa.sizes import BURST_BEATS, LOADS_AHEAD, OUTSTANDING_BURSTS
from program.placement import Placement
from program.program import Program

if TYPE_CHECKING:
    from codesign.cycles.frontend import Frontend

FULL = 256  #: beats per 256 cycles
MOST_CREDIT = 512  #: of bandwidth that a memory saves up, in units of 1/256 beat
INDEX_BITS = 32
READER, PLACER = 1, 1  #: beats that wait in reader and DMA, beside those at their outputs
PASS = SKID  #: cycles through each of them
SETUP = 5  #: from issue to the request of a LOAD
USERS = ("drain", "row")  #: that write before the DMA


class Request:
    """A read of ``left`` beats from ``first`` on, offered at ``time``; ``load`` says whose it is, None for fetch."""

    def __init__(self, events: Events, time: int, first: int, beats: int, load: "Load | None" = None, index: bool = False):
        self.time, self.first, self.left, self.load, self.index = time, first, beats, load, index
        self.taken = events.times()  # when the arbiter took it


class _Cutter:
    """Cuts requests into bursts, one every two cycles."""

    def __init__(self):
        self.waiting = deque()
        self.time = self._free = 0  # when the next burst is offered; from when the next request can be taken
        self._current: Any = None

    def offers(self):
        """Whether there is a burst, offered from `time` on."""
        if self._current is None and self.waiting:
            self._current = self.waiting.popleft()
            taken = max(self._current.time, self._free)
            self._current.taken.post(taken)
            self.time = taken + 2
        return self._current is not None

    def take(self, time):
        """Take the burst in cycle ``time``; returns its request and beats."""
        request = self._current
        size = min(request.left, BURST_BEATS - request.first % BURST_BEATS)
        request.first += size
        request.left -= size
        self.time, self._free = time + 2, time + 1
        if not request.left:
            self._current = None
        return request, size


class Load:
    """A LOAD or GATHER on its way."""

    def __init__(self, events: Events, issued: int, instruction: Instruction, config: AcceleratorConfig):
        self.issued, self.instruction, self.config = issued, instruction, config
        self.indices = events.times()
        self.bound = {}
        self._gathers = instruction.opcode is Opcode.GATHER
        self._rows_left = instruction.count if self._gathers else 1
        self._words_left = instruction.words if self._gathers else 0
        self.memory = Memory.LEFT if self._gathers else Memory(instruction.memory)

    def writes(self, beats: int) -> list[int] | None:
        """How many writes each of the next ``beats`` becomes; None if one each."""
        if not self._gathers:
            return None
        words = []
        for _ in range(beats):
            words.append(min(self._words_left, self.config.axi_bits // self.config.depth))
            self._words_left -= words[-1]
        return words

    def end_request(self) -> bool:
        """Whether this was the last request."""
        self._rows_left -= 1
        self._words_left = self.instruction.words if self._gathers else 0
        return self._rows_left == 0

    def blame(self, cause: str, cycles: int) -> None:
        if cycles > 0:
            self.bound[cause] = self.bound.get(cause, 0) + cycles


class ExternalMemory:
    """Serves reads in order; the DMA's beats go to the on-chip memories, the others to fetch.

    Attributes
    ----------
    fetched : the cycle in which each beat of the program reaches fetch
    placed : the cycle in which the k-th instruction is queued for the DMA's second half; see `place`
    taken : in which that half takes it
    completed : the cycle in which the k-th LOAD or GATHER is done
    """

    def __init__(
        self, events: Events, config: AcceleratorConfig, latency: int, bandwidth: int, ports: Mapping[Memory, Port]
    ):
        self.events, self.config = events, config
        self.latency, self.bandwidth, self.ports = max(latency, 1), bandwidth, ports
        self.fetched, self.placed, self.taken, self.completed = (events.times() for _ in range(4))
        self._fetches, self._reads = _Cutter(), _Cutter()
        self._offered = events.times()
        self._bursts, self._popped = events.times(), events.times()
        self._channel, self._ended = _Channel(bandwidth), 0
        events.start(self._merge())
        events.start(self._deliver())

    def read(
        self, time: int, address: int, beats: int, load: Load | None = None, index: bool = False
    ) -> Generator[Sleep, None, Request]:
        """Offer a read of ``beats`` at byte ``address`` in cycle ``time``, not before: others may come until then."""
        if time > self.events.now:
            yield time
        request = Request(self.events, time, address * 8 // self.config.axi_bits, beats, load, index)
        (self._fetches if load is None else self._reads).waiting.append(request)
        self._offered.post(time)
        return request

    def _merge(self):
        """The arbiter: a burst at a time, the fetch's first, while few enough are under way."""
        free, bursts, popped = 0, self._bursts, self._popped
        while True:
            offers = [cutter for cutter in (self._fetches, self._reads) if cutter.offers()]
            if not offers:
                yield self._offered
                continue
            time = max(free, min(cutter.time for cutter in offers))
            if time > self.events.now:
                yield time
                continue
            request, size = next(cutter for cutter in offers if cutter.time <= time).take(time)
            free = time + 1
            place = len(bursts)
            if place >= OUTSTANDING_BURSTS - 1:
                # All but one wait in a memory, and leave it for the FIFO's output one by one.
                moved = bursts[place - OUTSTANDING_BURSTS + 1][0] + 1
                if place >= OUTSTANDING_BURSTS:
                    while len(popped) <= place - OUTSTANDING_BURSTS:
                        yield popped
                    moved = max(moved, popped[place - OUTSTANDING_BURSTS])
                free = max(free, moved + 1)
            bursts.post((free, size, request, not request.left))

    def _deliver(self):
        """Beats of the bursts: in order, one a cycle, as bandwidth allows and the DMA takes them."""
        bursts = self._bursts
        place = 0
        while True:
            while len(bursts) <= place:
                yield bursts
            announced, size, request, last = bursts[place]
            place += 1
            time = max(announced + 1 + self.latency, self._channel.time + 1)
            if time > self.events.now:
                yield time
            load = request.load
            if load is not None:
                load.blame("memory latency", min(time - self._channel.time - 1, time - load.issued))
            if load is None or request.index:
                arrived = self.fetched if load is None else load.indices
                for _ in range(size):
                    self._channel.beat(time)
                    arrived.post(self._channel.taken)
            else:
                yield from self._place(load, time, size, last)
            self._popped.post(self._channel.time)

    def _place(self, load, time, size, last):
        """Write a burst whose beats can come from ``time`` on."""
        placed = len(self.completed)
        while len(self.taken) <= placed:
            yield self.taken
        taken = self.taken[placed]
        writes = load.writes(size)
        port = self.ports.get(load.memory)
        while True:
            channel = self._channel.copy()
            free, smooth = channel.burst(time, size)
            smooth = smooth and writes is None and time + PASS > taken
            if not smooth or (port and port.used(USERS, time, channel.write + 1)):
                channel = self._channel.copy()
                channel.taken = max(channel.taken, taken)
                for beat in range(size):
                    channel.beat(time)
                    channel.put(1 if writes is None else writes[beat], port)
            # Who has priority announces its writes shortly before; so look again when it has.
            if not port or channel.write - 2 <= self.events.now:
                break
            yield channel.write - 2
        load.blame("memory bandwidth", free - time + 1)
        load.blame("write port", channel.write - free - 2 * PASS)
        self._channel = channel
        if last and load.end_request():
            self._ended = channel.taken
            self.completed.post(channel.write + 1)
            self._take()

    def place(self, time: int) -> None:
        """Queue an instruction for the second half in cycle ``time``."""
        self.placed.post(time)
        self._take()

    def _take(self):
        """The second half takes an instruction with the last beat of the one before, if it is there by then."""
        place = len(self.taken)
        if place == len(self.completed) and place < len(self.placed):
            soonest = self.placed[place] + STREAM_QUEUE + 1
            self.taken.post(max(soonest, self._ended, self.taken[-1] + 2) if place else soonest)


class _Channel:
    """Where beats go: over the bus, through the reader's queue and the DMA's, to a write port.

    Attributes
    ----------
    time, taken, write : the cycles in which the last beat was on the bus, left the reader, and was written
    """

    __slots__ = ("_bandwidth", "_credit", "_placed", "_queued", "taken", "time", "write")

    def __init__(self, bandwidth):
        self._bandwidth, self._credit = bandwidth, MOST_CREDIT
        self.time = self.taken = self.write = 0
        # When the last beats left the memory of each queue for its output, so many as it holds.
        self._queued, self._placed = deque([0] * READER, READER), deque([0] * PLACER, PLACER)

    def copy(self):
        other = _Channel(self._bandwidth)
        other._credit, other.time, other.taken, other.write = self._credit, self.time, self.taken, self.write
        other._queued, other._placed = self._queued.copy(), self._placed.copy()
        return other

    def burst(self, time, size):
        """``size`` beats that can come from ``time`` on; the cycle of the last, and whether none has to wait."""
        time = max(time, self.time + 1)
        credit = min(MOST_CREDIT, self._credit + (time - self.time) * self._bandwidth)
        if credit < FULL:
            wait = -(-(FULL - credit) // self._bandwidth)
            time, credit = time + wait, credit + wait * self._bandwidth
        short = size * FULL - credit
        smooth = time + PASS > self.taken and time + 2 * PASS > self.write
        end = self.time = time + max(size - 1, -(-short // self._bandwidth) if short > 0 else 0)
        self._credit = min(MOST_CREDIT, credit + (end - time) * self._bandwidth - size * FULL)
        self.taken, self.write = end + PASS, end + 2 * PASS
        self._queued.extend(range(end + PASS - min(size, READER), end + PASS))
        self._placed.extend(range(end + 2 * PASS - min(size, PLACER), end + 2 * PASS))
        return end, smooth

    def beat(self, time):
        """A beat that can come from ``time`` on, and can be taken at once."""
        time = max(time, self.time + 1, self._queued[0] + 1)
        credit = min(MOST_CREDIT, self._credit + (time - self.time) * self._bandwidth)
        if credit < FULL:
            wait = -(-(FULL - credit) // self._bandwidth)
            time, credit = time + wait, credit + wait * self._bandwidth
        self.time, self._credit = time, credit - FULL
        self._queued.append(max(time + PASS - 1, self.taken))
        self.taken = max(time + PASS, self.taken + 1)

    def put(self, writes, port):
        """Write the last beat, in so many cycles."""
        for number in range(writes):
            self.taken = max(self.taken + (number > 0), self._placed[0] + 1)
            self._placed.append(max(self.taken + PASS - 1, self.write))
            soonest = max(self.taken + PASS, self.write + 1)
            self.write = port.finish(USERS, soonest, 1) - 1 if port else soonest


class Dma:
    """First half of the DMA: the reads of each instruction."""

    def __init__(self, events: Events, program: Program, frontend: "Frontend", memory: ExternalMemory):
        self.events, self.program, self.frontend, self.memory = events, program, frontend, memory
        self.config = program.config
        places = Placement.of(program)
        self._bases = {Region.IMAGE: places.image, Region.INPUT: places.inputs[0], Region.OUTPUT: places.outputs[0]}
        self.loads = []
        self._request: Request | None = None
        events.start(self._run())

    def _run(self):
        started, ready = self.frontend.started[Queue.DMA], self.frontend.ready[Queue.DMA]
        ready.post(0)
        place = 0
        while True:
            while len(started) <= place:
                yield started
            issued, index, _ = started[place]
            instruction = self.program.instructions[index]
            load = Load(self.events, issued, instruction, self.config)
            self.loads.append((index, load))
            if instruction.opcode is Opcode.LOAD:
                time = yield from self._free(issued + SETUP)
                address = self._bases[Region(instruction.region)] + instruction.offset
                self._request = yield from self.memory.read(time + 1, address, instruction.beats, load)
                queued = yield from self._queue(place, issued + SETUP)
            else:
                queued = yield from self._queue(place, issued + SETUP)
                time = yield from self._gather(load, issued + SETUP)
            ready.post(max(time, queued) + 1)
            place += 1

    def _queue(self, place, time):
        """Queue the k-th instruction for the second half, from cycle ``time`` on; returns when."""
        placed, taken = self.memory.placed, self.memory.taken
        # All but one wait in a memory, and leave it for the FIFO's output one by one.
        if place >= LOADS_AHEAD - 1:
            time = max(time, placed[place - LOADS_AHEAD + 1] + 2)
        if place >= LOADS_AHEAD:
            time = max(time, placed[place - LOADS_AHEAD] + 3)
        if place > LOADS_AHEAD:
            while len(taken) < place - LOADS_AHEAD:
                yield taken
            time = max(time, taken[place - LOADS_AHEAD - 1] + 2)
        self.memory.place(time)
        return time

    def _free(self, time):
        """The first cycle from ``time`` on in which no request waits for the arbiter."""
        if self._request is not None:
            while not self._request.taken:
                yield self._request.taken
            time = max(time, self._request.taken[0])
        return time

    def _gather(self, load, time):
        """Reads of indices and rows, three cycles a row."""
        i, beat_bytes = load.instruction, self.config.axi_bits // 8
        per_beat = self.config.axi_bits // INDEX_BITS
        chunk = max(2, 16 * INDEX_BITS // self.config.axi_bits)
        index_address = self._bases[Region(i.index_region)] + i.index_offset
        table = self._bases[Region(i.region)] + i.offset
        left = -(-i.count // per_beat)
        for row in range(i.count):
            if row % (per_beat * chunk) == 0:
                # Two chunks to begin with, then one for each that has been used.
                for again in range(1 if row else 2):
                    if left:
                        time = yield from self._free(time + 2 * again)
                        size = min(chunk, left)
                        self._request = yield from self.memory.read(time + 1, index_address, size, load, index=True)
                        index_address += size * beat_bytes
                        left -= size
                        time += 1
            while len(load.indices) <= row // per_beat:
                yield load.indices
            time = max(time, load.indices[row // per_beat] + 2)
            time = yield from self._free(time + 2)
            self._request = yield from self.memory.read(time + 1, table, i.row_beats, load)
            time += 1 if (row + 1) % per_beat or row + 1 == i.count else 2
        return time - 1
