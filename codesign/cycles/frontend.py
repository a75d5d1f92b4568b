"""Fetch, dispatch and issue: when each instruction starts, seen from the scheduler."""

from typing import NamedTuple

from codesign.cycles.events import Events
from codesign.cycles.memory import ExternalMemory
from codesign.cycles.timing import Timing
from isa.instruction import INSTRUCTION_BITS, Queue, queue_of
from isa.latency import RESOLVE
from isa.sizes import STARTED
from program.program import Program

#: From START to fetch's first request.
FIRST_REQUEST = 5


class Wait(NamedTuple):
    """How long a unit that was free waited for an instruction, for what, and for which instruction to complete."""

    cause: str
    cycles: int
    blocker: int | None


class Frontend:
    """Reads the program, dispatches it in order, and issues it queue by queue.

    Attributes
    ----------
    started : by queue, (issue cycle, instruction index, `Wait`) of each instruction
    ready : by queue, the cycle from which the unit can take its k-th instruction; posted by the unit
    completed : by queue, the cycle in which the k-th instruction is done; posted by the unit
    halted : the cycle in which HALT is decoded
    """

    def __init__(self, events: Events, program: Program, timing: Timing, memory: ExternalMemory):
        self.events, self.program, self.timing, self.memory = events, program, timing, memory
        self.beats = INSTRUCTION_BITS // program.config.axi_bits
        self.started, self.ready, self.completed, self._dispatched = (
            {queue: events.times() for queue in Queue} for _ in range(4)
        )
        self.completed[Queue.DMA] = memory.completed
        self._assembled, self.halted = events.times(), events.times()
        events.start(self._fetch())
        events.start(self._dispatch())
        for queue in Queue:
            events.start(self._issue(queue))

    def _fetch(self):
        """A chunk at a time, when there is room for it."""
        count = len(self.program.instructions)
        address = self.program.program_offset
        chunk, room = self.timing.fetch_chunk, self.timing.fetch_room
        time = FIRST_REQUEST
        for first in range(0, count, chunk):
            needed = first + chunk - room
            if needed > 0:
                while len(self._assembled) < needed:
                    yield self._assembled
                time = max(time, self._assembled[needed - 1] + 4)
            size = min(chunk, count - first)
            request = yield from self.memory.read(time, address, size * self.beats)
            address += size * INSTRUCTION_BITS // 8
            while not request.taken:
                yield request.taken
            time = request.taken[0] + 2

    def _dispatch(self):
        arrived = self.memory.fetched
        counts = dict.fromkeys(Queue, 0)
        time = beat = sent = 0
        for index, instruction in enumerate(self.program.instructions):
            for _ in range(self.beats):
                while len(arrived) <= beat:
                    yield arrived
                time = max(time + 1, arrived[beat] + 2)
                beat += 1
            self._assembled.post(time)
            time = max(time + 1 + RESOLVE, sent + 1)
            sent = time + 2
            queue = queue_of(instruction)
            if queue is None:  # HALT
                self.halted.post(sent)
                return
            place = counts[queue]
            counts[queue] += 1
            # All but one wait in a memory, and leave it for the FIFO's output one by one.
            before = place - (self.timing.queue_depth[queue] - 1)
            if before >= 0:
                dispatched, started = self._dispatched[queue], self.started[queue]
                moved = dispatched[before][0] + 1
                if before > 0:
                    while len(started) < before:
                        yield started
                    moved = max(moved, started[before - 1][0])
                sent = max(sent, moved + 1)
            self._dispatched[queue].post((sent, index))

    def _issue(self, queue):
        dispatched, started, ready = self._dispatched[queue], self.started[queue], self.ready[queue]
        completed, most = self.completed, STARTED[queue]
        free = 0
        place = 0
        while True:
            while len(dispatched) <= place:
                yield dispatched
            time, index = dispatched[place]
            time, cause, blocker = max(time + 2, free) + 2, "issue", None
            instruction = self.program.instructions[index]
            for other, count in zip(Queue, (instruction.wait_dma, instruction.wait_qmm, instruction.wait_row), strict=True):
                if count:
                    while len(completed[other]) < count:
                        yield completed[other]
                    if completed[other][count - 1] + 3 > time:
                        time, cause = completed[other][count - 1] + 3, f"semaphore of {other.name}"
                        blocker = self._dispatched[other][count - 1][1]
            if place >= most:
                while len(completed[queue]) <= place - most:
                    yield completed[queue]
                time = max(time, completed[queue][place - most] + 2)
            while len(ready) <= place:
                yield ready
            wait = Wait(cause, max(0, time - ready[place]), blocker)
            time = max(time, ready[place])
            started.post((time, index, wait))
            free = time + 1
            place += 1
