"""The row units row by row: softmax, norm and store, and the writers of their codes."""

from typing import NamedTuple

from codesign.cycles.timing import norm_preparation
from isa.instruction import Memory, Opcode, Queue
from isa.latency import SKID
from isa.sizes import ROWS_BETWEEN_PASSES

CHECKED = 3  #: from issue to the command of the row buffer
STORE = 6  #: from a STORE's request to its first data
READ = 3  #: from the row buffer's address to its output
AHEAD = 4  #: cycles in which codes are announced before they are written
SUM = 5  #: from a NORM's element to its sum in the residual memory
TAKE = 2  #: from an element at the code writer to its word


class _Writer:
    """Code writers of an instruction: K / L elements to a word, a word to so many writes as the codes have bits.

    A word is written while the next one fills.
    """

    class State(NamedTuple):
        taken: int  #: cycle of the last element
        moved: int  #: of the last word's move from filling to writing
        written: int  #: of its last write, a cycle after it left the word
        stalls: int  #: cycles in which a write waited for the drain

    def __init__(self, parts, groups, bits, ports, delay):
        self._fills = [min(parts, groups - first) for first in range(0, groups, parts)]
        self._bits, self._ports = bits, ports
        #: The last pass is ahead by the elements that fit between it and their words: by so many cycles more.
        self.slack = (delay + 1) // parts * max(0, bits - parts)
        self._state = self.State(-1, -1, -1, 0)

    def wait(self, time):
        """The first element comes in cycle ``time`` or later."""
        self._state = self._state._replace(taken=time + TAKE - 1)

    def announce(self, time):
        """Writes of a row whose first element comes in cycle ``time``."""
        begin = max(time + self._fills[0] + 2, self._state.written + 1)
        writes = len(self._fills) * self._bits
        for port in self._ports:
            port.hold("row", begin, begin + writes, writes)

    def row(self, time):
        """The state after a row whose first element comes in cycle ``time``."""
        taken, moved, written, stalls = self._state
        taken = max(taken, time - 1)
        for fill in self._fills:
            taken = max(taken, moved - 1) + fill
            moved = max(taken + 1, written - 1)
            smooth = moved + 2 + self._bits
            end = max((port.turns(moved + 2, self._bits) for port in self._ports), default=smooth)
            written, stalls = end - 1, stalls + end - smooth
        return self.State(taken, moved, written, stalls)

    def accept(self, after):
        """Go on from ``after``; returns what held the row up, or None."""
        stalls = after.stalls - self._state.stalls
        late = after.moved - after.taken - 1
        for port in self._ports:
            port.extend("row", after.written + 1)
            port.hold_up(stalls)
        self._state = after
        if stalls > sum(self._fills) // 2:
            return "write port"
        return "code writer" if late > 0 and self._bits > self._fills[0] else None


class RowUnits:
    """Rows from the buffer through the passes of a unit, to its codes.

    Attributes
    ----------
    spans : for each row instruction, (instruction index, cycles by what bound them)
    """

    def __init__(self, events, program, timing, frontend, ports, buffer, latency):
        self.events, self.program, self.config, self.timing = events, program, program.config, timing
        self.frontend, self.ports, self.buffer, self.latency = frontend, ports, buffer, max(latency, 1)
        self.spans = []
        self._row_tiles = 0  # read so far
        self._read_end = -1  # last element that the row buffer read
        self._left = events.times()  # when each instruction had left its unit
        self._passes = events.times()
        events.start(self._read())
        events.start(self._write())

    def _read(self):
        """First pass, and what comes before the last."""
        started, ready = self.frontend.started[Queue.ROW], self.frontend.ready[Queue.ROW]
        ready.post(0)
        place = 0
        while True:
            while len(started) <= place:
                yield started
            issued, index, _ = started[place]
            i = self.program.instructions[index]
            if i.opcode is Opcode.STORE:
                yield from self._store(issued, index, i)
            else:
                yield from self._rows(issued, index, i)
            place += 1

    def _row_tile(self):
        """The cycle from which the next row tile can be read."""
        filled = self.buffer.filled
        while len(filled) <= self._row_tiles:
            yield filled
        self._row_tiles += 1
        return filled[self._row_tiles - 1] + self.buffer.readable

    def _start(self, issued):
        """The cycles in which the row buffer and the unit have their commands: the unit when it is free."""
        place = len(self.frontend.ready[Queue.ROW]) - 1
        reads = max(issued + CHECKED, self._read_end + 1)
        unit = reads + 1
        if place:
            while len(self._left) < place:
                yield self._left
            unit = max(unit, self._left[place - 1] + 1)
        self.frontend.ready[Queue.ROW].post(unit + 1)
        return reads, unit

    def _rows(self, issued, index, i):
        softmax = i.opcode is Opcode.SOFTMAX
        groups, height, rows = i.groups, self.config.rows, i.rows
        reads, entering = yield from self._start(issued)
        entering += 1 if softmax else 1 + norm_preparation(i.columns)
        slots = min(ROWS_BETWEEN_PASSES, self.timing.ring_words // groups)
        last = max(entering, reads + 1 + READ) - 1  # element taken
        summed, done = [], self.events.times()  # last elements of the passes of each row
        unit = "softmax" if softmax else "norm"
        self._passes.post((index, i, done))
        for row in range(rows):
            soonest, cause = last + 1, unit
            if row % height == 0:
                readable = yield from self._row_tile()
                if readable + READ > soonest:
                    soonest, cause = readable + READ, "rows of the engine"
            if row >= slots:
                if softmax:
                    free = summed[row - slots] + 1
                else:
                    while len(done) <= row - slots:
                        yield done
                    free = done[row - slots] + 1
                if free > soonest:
                    soonest, cause = free, unit
            last = soonest + groups - 1
            if row % height == height - 1 or row == rows - 1:
                self._read_end = last - READ
                self.buffer.released.post(self._read_end)
            if not softmax and i.keep_sum:
                begin = soonest + SUM
                self.ports[Memory.RESIDUAL].hold("row", begin, begin + groups, groups)
            if softmax:
                first = last + self.timing.softmax_maximum
                if row and summed[-1] >= first:
                    first, cause = summed[-1] + 1, unit
                if row >= slots:
                    while len(done) <= row - slots:
                        yield done
                    if done[row - slots] >= first:
                        first, cause = done[row - slots] + 1, unit
                summed.append(first + groups - 1)
                self._passes.post((summed[-1] + self.timing.softmax_sum, cause))
            else:
                self._passes.post((last + self.timing.norm_statistics, cause))

    def _write(self):
        """Last pass and code writers."""
        passes, completed = self._passes, self.frontend.completed[Queue.ROW]
        started = self.frontend.started[Queue.ROW]
        place = 0
        while True:
            while len(passes) <= place:
                yield passes
            index, i, done = passes[place]
            place += 1
            softmax = i.opcode is Opcode.SOFTMAX
            unit = "softmax" if softmax else "norm"
            delay = (self.timing.softmax_output if softmax else self.timing.norm_output) + TAKE
            ports = [self.ports[Memory.LEFT]] if i.left_enable else []
            if not softmax and i.right_enable:
                ports.append(self.ports[Memory.RIGHT])
            writer = _Writer(self.config.depth // self.config.row_lanes, i.groups, i.bits, ports, delay)
            fired, bound = -1, {}
            before = started[len(completed)][0]
            if completed:
                before = max(before, completed[-1])
                writer.wait(completed[-1])
            for port in ports:
                port.shared = True
            for _ in range(i.rows):
                while len(passes) <= place:
                    yield passes
                first, cause = passes[place]
                place += 1
                if fired + 1 > first:
                    first, cause = fired + 1, unit
                if not softmax and not i.keep_sum:
                    begin = first + self.timing.norm_residual
                    self.ports[Memory.RESIDUAL].hold("row", begin, begin + i.groups, i.groups)
                if first + delay - AHEAD > self.events.now:
                    yield first + delay - AHEAD
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
            completed.post(before + 2)
            self.spans.append((index, bound))
            self._left.post(after.taken - TAKE)

    def _store(self, issued, index, i):
        beats = self.config.row_lanes * 16 // self.config.axi_bits
        reads, unit = yield from self._start(issued)
        last = max(unit + STORE, reads + 1 + READ) - 1
        bound = {}
        for row in range(i.rows):
            soonest, cause = last + 1, "store"
            if row % self.config.rows == 0:
                readable = yield from self._row_tile()
                if readable + READ > soonest:
                    soonest, cause = readable + READ, "rows of the engine"
            before, last = last, soonest + i.groups * beats - 1
            bound[cause] = bound.get(cause, 0) + last - before
            if row % self.config.rows == self.config.rows - 1 or row == i.rows - 1:
                self._read_end = last - READ
                self.buffer.released.post(self._read_end)
        end = last + SKID + self.latency + 3
        bound["memory latency"] = bound.get("memory latency", 0) + end - last
        self.spans.append((index, bound))
        self.frontend.completed[Queue.ROW].post(end)
        self._left.post(end - 1)
