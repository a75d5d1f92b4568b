"""The row units row by row: each instruction by the file of its name in `codesign.cycles.row_units`."""

from collections.abc import Generator, Mapping
from importlib import import_module
from typing import Any

from codesign.cycles.code_writer import CodeWriter
from codesign.cycles.engine import RowRoom
from codesign.cycles.events import Events, Port, Sleep
from codesign.cycles.frontend import Frontend
from codesign.cycles.row_units.passes import CHECKED
from codesign.cycles.timing import Timing
from isa.instruction import Memory, Queue, opcodes_of
from program.program import Program


class RowUnits:
    """Rows from the buffer through the passes of a unit, to where its results go.

    Attributes
    ----------
    spans : for each row instruction, (instruction index, cycles by what bound them)
    passes : (instruction index, its unit, times that the unit posts), then for each of its rows when the last pass may
        start, and why not earlier; posted by the unit
    """

    def __init__(
        self, events: Events, program: Program, timing: Timing, frontend: Frontend, ports: Mapping[Memory, Port],
        buffer: RowRoom, latency: int,
    ):  # fmt: skip
        self.events, self.program, self.config, self.timing = events, program, program.config, timing
        self.ports, self.buffer, self.latency = ports, buffer, max(latency, 1)
        self.started, self.completed = frontend.started[Queue.ROW], frontend.done[Queue.ROW]
        self.spans = []
        self.passes = events.times()
        self.writer = CodeWriter(self.config.depth // self.config.row_lanes)
        self._units = {
            opcode: import_module(f"codesign.cycles.row_units.{opcode.name.lower()}").UNIT(self)
            for opcode in opcodes_of(Queue.ROW)
        }
        self._ready = frontend.ready[Queue.ROW]
        self._row_tiles = 0  # read so far
        self._read_end = -1  # last element that the row buffer read
        self._place = 0  # in passes
        self.begun = 0  # instructions of which all has been read
        events.start(self._read())
        events.start(self._write())

    def _read(self):
        """What reads the row buffer, in order."""
        self._ready.post(0)
        place = 0
        while True:
            while len(self.started) <= place:
                yield self.started
            issued, index, _ = self.started[place]
            i = self.program.instructions[index]
            yield from self._units[i.opcode].read(issued, index, i)
            self.begun = place = place + 1

    def _write(self):
        """Last passes, in order."""
        while True:
            index, unit, done = yield from self.next_pass()
            yield from unit.write(index, done)

    def next_pass(self) -> Generator[Sleep, None, Any]:
        """The next entry of `passes`, when it is there."""
        while len(self.passes) <= self._place:
            yield self.passes
        self._place += 1
        return self.passes[self._place - 1]

    def start(self, issued: int, unit: int) -> int:
        """The cycle in which the row buffer has its command: with the last element of the one before, at the earliest.

        The unit has its own in cycle ``unit``. Then the next instruction may come.
        """
        reads = max(issued + CHECKED, self._read_end)
        self._ready.post(max(reads, unit) + 1)
        return reads

    def row_tile(self) -> Generator[Sleep, None, int]:
        """The cycle from which the next row tile can be read."""
        filled = self.buffer.filled
        while len(filled) <= self._row_tiles:
            yield filled
        self._row_tiles += 1
        return filled[self._row_tiles - 1] + self.buffer.readable

    def release(self, end: int) -> None:
        """The last element of a row tile is read in cycle ``end``."""
        self._read_end = end
        self.buffer.released.post(end)

    def complete(self, index: int, end: int, bound: dict[str, int]) -> None:
        """An instruction is done in cycle ``end``, or after the one before; ``bound`` is for `spans`."""
        self.completed.post(max(end, self.completed[-1] + 1) if self.completed else end)
        self.spans.append((index, bound))
