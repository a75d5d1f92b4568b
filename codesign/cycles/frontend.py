"""Fetch, dispatch and issue: when each instruction starts, seen from the scheduler."""

from collections.abc import Set
from typing import NamedTuple

from codesign.cycles.events import Events
from codesign.cycles.memory import ExternalMemory
from codesign.cycles.timing import Timing
from isa.instruction import INSTRUCTION_BITS, Queue, queue_of
from isa.latency import RESOLVE, STREAM_QUEUE
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
    started : by queue, (issue cycle, instruction index, `Wait`) of each instruction that its unit sees
    ready : by queue, the cycle from which the unit can take its k-th instruction; posted by the unit
    done : by queue, the cycle in which the unit is done with its k-th instruction; posted by the unit
    issued : by queue, the same as ``started`` of all instructions, those of which nothing is left included
    completed : by queue, the cycle in which the k-th of them is complete, all before it in its queue being so
    halted : the cycle in which HALT is decoded
    """

    def __init__(
        self, events: Events, program: Program, nothing: Set[int], timing: Timing, memory: ExternalMemory
    ):  # fmt: skip
        self.events, self.program, self.timing, self.memory = events, program, timing, memory
        self.nothing = nothing  # indices of the instructions of which nothing is left
        self.beats = INSTRUCTION_BITS // program.config.axi_bits
        self.started, self.ready, self.done, self.issued, self.completed, self._dispatched = (
            {queue: events.times() for queue in Queue} for _ in range(6)
        )
        self.done[Queue.DMA] = memory.completed
        self._assembled, self.halted = events.times(), events.times()
        events.start(self._fetch())
        events.start(self._dispatch())
        for queue in Queue:
            events.start(self._issue(queue))
            events.start(self._complete(queue))

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
                dispatched, issued = self._dispatched[queue], self.issued[queue]
                moved = dispatched[before][0] + 1
                if before > 0:
                    while len(issued) < before:
                        yield issued
                    moved = max(moved, issued[before - 1][0])
                sent = max(sent, moved + 1)
            self._dispatched[queue].post((sent, index))

    def _issue(self, queue):
        dispatched, started, ready = self._dispatched[queue], self.started[queue], self.ready[queue]
        completed, done, most = self.completed, self.done[queue], STARTED[queue]
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
            unit = len(started)
            if unit >= most:
                while len(done) <= unit - most:
                    yield done
                time = max(time, done[unit - most] + 2)
            if place >= 2 * most:
                while len(completed[queue]) <= place - 2 * most:
                    yield completed[queue]
                time = max(time, completed[queue][place - 2 * most] + 2)
            if index in self.nothing:
                wait = Wait(cause, 0, blocker)
            else:
                while len(ready) <= unit:
                    yield ready
                wait = Wait(cause, max(0, time - ready[unit]), blocker)
                time = max(time, ready[unit])
                started.post((time, index, wait))
            self.issued[queue].post((time, index, wait))
            free = time + 1
            place += 1

    def _complete(self, queue):
        """In order: what nothing is left of as soon as those before it are complete."""
        issued, done, completed = self.issued[queue], self.done[queue], self.completed[queue]
        seen = 0
        while True:
            place = len(completed)
            while len(issued) <= place:
                yield issued
            start, index, _ = issued[place]
            time = max(start + STREAM_QUEUE, completed[-1] + 1) if place else start + STREAM_QUEUE
            if index not in self.nothing:
                while len(done) <= seen:
                    yield done
                time = max(time, done[seen])
                seen += 1
            completed.post(time)
