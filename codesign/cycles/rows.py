"""The row units row by row: each instruction by the file of its name in `codesign.cycles.row_units`."""

from collections.abc import Generator, Mapping
from importlib import import_module
from typing import Any

from codesign.cycles.engine import RowRoom
from codesign.cycles.events import Events, Port, Sleep
from codesign.cycles.frontend import Frontend
from codesign.cycles.timing import Timing
from isa.instruction import Memory, Queue, opcodes_of
from program.program import Program

CHECKED = 3  #: from issue to the command of the row buffer


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
        self._units = {
            opcode: import_module(f"codesign.cycles.row_units.{opcode.name.lower()}").UNIT(self)
            for opcode in opcodes_of(Queue.ROW)
        }
        self._ready = frontend.ready[Queue.ROW]
        self._row_tiles = 0  # read so far
        self._read_end = -1  # last element that the row buffer read
        self._left = events.times()  # when each instruction had left its unit
        self._place = 0  # in passes
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
            place += 1

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

    def start(self, issued: int) -> Generator[Sleep, None, tuple[int, int]]:
        """The cycles in which the row buffer and the unit have their commands: the unit when it is free."""
        place = len(self._ready) - 1
        reads = max(issued + CHECKED, self._read_end + 1)
        unit = reads + 1
        if place:
            while len(self._left) < place:
                yield self._left
            unit = max(unit, self._left[place - 1] + 1)
        self._ready.post(unit + 1)
        return reads, unit

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

    def complete(self, index: int, end: int, bound: dict[str, int], left: int) -> None:
        """An instruction is done in cycle ``end`` and had left its unit in cycle ``left``; ``bound`` is for `spans`."""
        self.completed.post(end)
        self.spans.append((index, bound))
        self._left.post(left)
