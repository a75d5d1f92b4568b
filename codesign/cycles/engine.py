"""The QMM engine tile by tile: sequencer, drain and tile writer, and the room in the row buffer."""

from collections.abc import Generator, Mapping

from codesign.cycles.events import Events, Port, Sleep
from codesign.cycles.frontend import Frontend
from codesign.cycles.timing import Timing
from isa.instruction import Destination, Memory, Queue
from isa.latency import OPERAND_WRITE
from isa.sizes import ROW_TILES_WAITING
from program.program import Program

AHEAD = 2  #: cycles in which the drain knows whom it will meet at a write port
LOOK_AHEAD = 2  #: from issue to the start, of an idle engine


class RowRoom:
    """Room in the row buffer: a ring of slots of ``tiles`` column tiles, free again when their row tile has been read.

    Attributes
    ----------
    filled : the cycle in which each row tile is complete
    released : the cycle in which the last element of each row tile is read; posted by the row units
    """

    readable = 2  #: from the last put to the first read
    free = 2  #: from the last read to the first put in its place

    def __init__(self, events: Events, slots: int, tiles: int):
        self.filled, self.released = events.times(), events.times()
        self._slots, self._tiles = slots, tiles
        self._row_tiles = []  # of each slot
        self._held = 0  # column tiles in the last one

    def room(self) -> Generator[Sleep, None, int]:
        """The cycle from which the next column tile may be put; to be run by the writer."""
        released, time = self.released, 0
        before = len(self._row_tiles) - self._slots - (self._held > 0)
        if before >= 0:
            before = self._row_tiles[before]
            while len(released) <= before:
                yield released
            time = released[before] + self.free
        before = len(self.filled) - ROW_TILES_WAITING - 1
        if before >= 0:
            while len(released) <= before:
                yield released
            time = max(time, released[before] + 2)
        return time

    def put(self, time: int, ends_row: bool) -> None:
        """A column tile's last group was put."""
        if not self._held:
            self._row_tiles.append(len(self.filled))
        self._held = 0 if ends_row else (self._held + 1) % self._tiles
        if ends_row:
            self.filled.post(time)


class Engine:
    """Sequencer and tile writer.

    Attributes
    ----------
    spans : for each QMM, (instruction index, cycle before its first words, of its last, cycles by what bound them)
    """

    def __init__(
        self,
        events: Events,
        program: Program,
        timing: Timing,
        frontend: Frontend,
        ports: Mapping[Memory, Port],
        rows: RowRoom,
    ):
        self.events, self.program, self.timing = events, program, timing
        self.frontend, self.ports, self.rows = frontend, ports, rows
        self.spans = []
        self._tiles, self._left = events.times(), events.times()
        events.start(self._sequence())
        events.start(self._write())

    def _sequence(self):
        started, ready = self.frontend.started[Queue.QMM], self.frontend.ready[Queue.QMM]
        tiles, left, groups = self._tiles, self._left, self.timing.groups
        ready.post(0)
        most = self.timing.tiles
        end = -groups
        before = stepped = 0  # the last words leave, and the loops come to them
        place = count = 0
        while True:
            while len(started) <= place:
                yield started
            issued, index, wait = started[place]
            i = self.program.instructions[index]
            words = i.left_bits * i.right_bits * i.words
            # The next instruction is prepared while this one is under way, and starts right behind its last word.
            start = time = max(issued + LOOK_AHEAD, before)
            ready.post(max(issued + LOOK_AHEAD, stepped) + 1)
            bound = {"engine words": 0, "drain": 0, "plane writes": 0, "row buffer full": 0, "write port": 0}
            destination, column_tiles = i.destination, i.column_tiles
            planes = 1 if destination == Destination.ROWS else i.destination_bits
            count_tiles = i.row_tiles * column_tiles
            for tile in range(count_tiles):
                soonest = stepped = time + words
                spaced = max(soonest, end + groups)
                end = spaced
                bound["engine words"] += words
                bound["drain"] += spaced - soonest
                if count >= most:
                    while len(left) <= count - most:
                        yield left
                    last_write, cause = left[count - most]
                    if last_write + 1 > spaced:
                        end = last_write + 1
                        bound[cause] += end - spaced
                time = end
                last_column = (tile + 1) % column_tiles == 0
                tiles.post((end, destination, planes, last_column, tile + 1 == count_tiles))
                count += 1
            bound[wait.cause] = start - before
            self.spans.append((index, start, end, bound))
            before = end
            place += 1

    def _write(self):
        """Tiles in order; the planes of a code one after another. Posts the last write of each, and what bounds those
        behind it."""
        tiles, left, rows = self._tiles, self._left, self.rows
        done_ones = self.frontend.done[Queue.QMM]
        groups, latency = self.timing.groups, self.timing.drain
        last = request = 0
        place = 0
        while True:
            while len(tiles) <= place:
                yield tiles
            end, destination, bits, last_column, last_tile = tiles[place]
            first = max(end + latency, last + 1)
            cause = "drain" if bits == 1 else "plane writes"
            if destination == Destination.ROWS:
                first = max(first, request + 1)
                room = yield from rows.room()
                if room > first:
                    first, cause = room, "row buffer full"
                last = first + groups - 1
                rows.put(last, last_column)
                done = last + OPERAND_WRITE
            else:
                port = self.ports[Memory.RIGHT if destination == Destination.RIGHT else Memory.LEFT]
                last = first + groups * bits - 1
                port.hold("drain", first + 1, last + 2, groups * bits)
                while True:
                    # A row unit that had to wait comes next, and the drain after it.
                    if late := port.delay():
                        last, cause = last + late, "write port"
                        port.extend("drain", last + 2)
                    if not port.shared or last - AHEAD <= self.events.now:
                        break
                    yield last - AHEAD
                request = last + 1
                done = last + 1 + OPERAND_WRITE
            left.post((last, cause))
            if last_tile:
                done_ones.post(done)
            place += 1
