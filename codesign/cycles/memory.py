"""External memory, AXI reader and DMA: when the beats of each read arrive and are written."""

from collections import deque
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

from codesign.cycles.channel import FULL, PASS, USERS, Channel
from codesign.cycles.events import Events, Port, Sleep
from codesign.cycles.memory_port import MemoryPort
from isa.config import AcceleratorConfig
from isa.instruction import Instruction, Memory, Opcode, Queue, Region
from isa.latency import STREAM_QUEUE
from isa.memory_timing import MemoryQueue, MemoryTiming
from isa.sizes import LOADS_AHEAD, burst_beats, joined_beats
from program.placement import Placement
from program.program import Program

if TYPE_CHECKING:
    from codesign.cycles.frontend import Frontend

INDEX_BITS = 32
SETUP = 5  #: from issue to the request of a LOAD


class Request:
    """A read of ``left`` beats from ``first`` on, offered at ``time``; ``load`` says whose it is, None for fetch."""

    def __init__(self, events: Events, time: int, first: int, beats: int, load: "Load | None" = None, index: bool = False):
        self.time, self.first, self.left, self.load, self.index = time, first, beats, load, index
        self.taken = events.times()  # when the arbiter took it


class _Cutter:
    """Cuts requests into bursts of at most ``beats``, one every two cycles."""

    def __init__(self, beats):
        self.beats, self.waiting = beats, deque()
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
        """Take the burst in cycle ``time``; returns its request, first beat and number of beats."""
        request = self._current
        first = request.first
        size = min(request.left, self.beats - first % self.beats)
        request.first += size
        request.left -= size
        self.time, self._free = time + 2, time + 1
        if not request.left:
            self._current = None
        return request, first, size


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
        operand = self.memory in (Memory.LEFT, Memory.RIGHT)
        self._joined = joined_beats(config, self.memory) if operand else 1
        self._beat = 0

    def writes(self, beats: int) -> list[int] | None:
        """How many writes each of the next ``beats`` becomes; None if one each."""
        if not self._gathers:
            return None
        words = []
        for _ in range(beats):
            words.append(min(self._words_left, self.config.axi_bits // self.config.depth))
            self._words_left -= words[-1]
        return words

    @property
    def joins(self) -> bool:
        """Whether its beats go through the register in which the operand memory puts them together."""
        return self._joined > 1

    def completes(self) -> bool:
        """Whether the next beat is the last of those that are written together."""
        self._beat += 1
        return self._gathers or self._beat % self._joined == 0

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

    def __init__(self, events: Events, config: AcceleratorConfig, timing: MemoryTiming, ports: Mapping[Memory, Port]):
        self.events, self.config, self.ports = events, config, ports
        self.fetched, self.placed, self.taken, self.completed = (events.times() for _ in range(4))
        queue, beats = MemoryQueue(timing), burst_beats(config.ports)
        self._sides = [MemoryPort(events, config, timing, queue) for _ in range(config.ports)]
        self._fetches, self._reads = _Cutter(beats), _Cutter(beats)
        self._offered, self._bursts = events.times(), events.times()
        # Several ports have bandwidths of their own, before their buffers.
        self._channel, self._ended = Channel(timing.bandwidth if config.ports == 1 else FULL), 0
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
        free, places = 0, [0] * len(self._sides)
        while True:
            offers = [cutter for cutter in (self._fetches, self._reads) if cutter.offers()]
            if not offers:
                yield self._offered
                continue
            time = max(free, min(cutter.time for cutter in offers))
            if time > self.events.now:
                yield time
                continue
            request, first, size = next(cutter for cutter in offers if cutter.time <= time).take(time)
            number = first // self._reads.beats % len(self._sides)
            last = not request.left  # before others come to be cut while this waits
            free = yield from self._sides[number].announce(time + 1, size)
            self._bursts.post((self._sides[number], places[number], size, request, last))
            places[number] += 1

    def _deliver(self):
        """Beats of the bursts in order, one a cycle, as they come and the DMA takes them."""
        bursts, several = self._bursts, len(self._sides) > 1
        place = 0
        while True:
            while len(bursts) <= place:
                yield bursts
            side, number, size, request, last = bursts[place]
            place += 1
            while len(side.answers) <= number:
                yield side.answers
            answer, there = side.answers[number], None
            if several:
                while len(side.there) <= number:
                    yield side.there
                there = side.there[number]
            time = max(there[0] if there else answer.ready, self._channel.time + 1)
            if time > self.events.now:
                yield time
            load = request.load
            if load is not None:
                cause = "memory bandwidth" if answer.delayed else "memory latency"
                load.blame(cause, min(time - self._channel.time - 1, time - load.issued))
            if load is None or request.index:
                arrived, taken = self.fetched if load is None else load.indices, []
                for beat in range(size):
                    self._channel.beat(there[beat] if there else time)
                    arrived.post(self._channel.taken)
                    taken.append(self._channel.time)
            else:
                taken = yield from self._place(load, there or [time] * size, time, last)
            if several:
                for cycle in taken:
                    side.taken.post(cycle)
            else:
                side.popped.post(self._channel.time)

    def _place(self, load, there, time, last):
        """Write a burst from cycle ``time`` on, whose beats are ``there`` from those cycles on; returns when each came."""
        size = len(there)
        even = all(cycle <= time + beat for beat, cycle in enumerate(there))
        placed = len(self.completed)
        while len(self.taken) <= placed:
            yield self.taken
        taken = self.taken[placed]
        writes = load.writes(size)
        port = self.ports.get(load.memory)
        completes = [load.completes() for _ in range(size)]
        while True:
            channel = self._channel.copy()
            free, smooth = channel.burst(time, size, load)
            smooth = smooth and even and writes is None and time + PASS > taken
            came = list(range(free - size + 1, free + 1))
            if not smooth or (port and port.used(USERS, time, channel.port + 1)):
                channel = self._channel.copy()
                channel.taken = max(channel.taken, taken)
                came = []
                for beat in range(size):
                    channel.beat(there[beat])
                    channel.put(1 if writes is None else writes[beat], port, load, completes[beat])
                    came.append(channel.time)
            # Who has priority announces its writes shortly before; so look again when it has.
            if not port or channel.port - 2 <= self.events.now:
                break
            yield channel.port - 2
        load.blame("memory bandwidth", max(free, came[-1] if not even else free) - time + 1)
        load.blame("write port", channel.write - free - 2 * PASS)
        self._channel = channel
        if last and load.end_request():
            self._ended = channel.taken
            self.completed.post(channel.port + 1)
            self._take()
        return came

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
            # Which rows is not known; over several ports they are spread.
            place = table + (row * i.row_beats * beat_bytes if self.config.ports > 1 else 0)
            self._request = yield from self.memory.read(time + 1, place, i.row_beats, load)
            time += 1 if (row + 1) % per_beat or row + 1 == i.count else 2
        return time - 1
