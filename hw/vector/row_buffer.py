"""Row buffer: takes tiles of rows from the drain as they come, gives whole rows to the row units."""

from typing import Any

from amaranth import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.engine.tile_writer import row_group_layout
from hw.lib.pipeline import delayed, delayed_valid, log2, registered
from hw.lib.ram_style import ram_style
from hw.lib.stream_queue import StreamQueue
from hw.vector.row_stream import row_element
from hw.vector.row_units import ROW_KIND
from isa.sizes import row_slots, row_tiles_waiting

#: One for each row instruction: how much of the buffer it reads, at least a group of a row, the number of its first row, and
#: whose rows these are, the bits of a `ROW_KIND`.
ROW_COMMAND = data.StructLayout({"rows": 16, "groups": 12, "first_row": 16, "kind": ROW_KIND.size})


class RowBuffer(wiring.Component):
    """A ring of slots, each R rows of C or L columns, whichever is more: two of the widest row tiles, or many narrow ones.

    The k-th row tile written is the k-th one read, once it is complete; its slots are free again when it has been
    read. A command reads rows 0 .. ``rows`` - 1, the first ``groups`` groups of L columns of each, row tile after row
    tile; the rest of its last one is dropped. Groups beyond a row tile's columns are garbage, and what a group has beyond
    them is 0. One element a cycle.

    There are memories of C columns for the rows of a group, or as many as an element has column tiles. The column tiles of
    a slot begin with different ones, so that those of a row lie in different memories.

    Parameters
    ----------
    rows, columns, drain_rows : int
        R, C and G: a group is G rows of C values.
    row_columns : int
        Longest row, a multiple of C and L.
    lanes : int
        L.
    ultra : bool
        Made of UltraRAM.

    Members
    -------
    i : In(stream)
        Row ``group * drain_rows + r``, column ``column_tile * columns + c`` at ``values[r * columns + c]``. Column tiles
        in order, and the groups of each in order.
    i_command : In(stream)
    o : Out(stream);  o_kind : Out(`ROW_KIND`)
        ``row`` counts from ``first_row``; the command's ``kind`` comes with each element.
    o_waiting : Out
        A command waits for a complete row tile.
    o_empty : Out
        All column tiles are free; a cycle late.
    o_error : Out
        Strobe: a group is beyond ``row_columns``. The buffer works again after a reset.
    """

    def __init__(self, rows: int, columns: int, drain_rows: int, row_columns: int, lanes: int, ultra: bool = False):
        for name, part in (("columns", columns), ("lanes", lanes)):
            if row_columns % part:
                raise ValueError(f"row_columns must be a multiple of {name} ({part}), not {row_columns}")
        self.rows, self.columns, self.drain_rows = rows, columns, drain_rows
        self.row_columns, self.lanes, self.ultra = row_columns, lanes, ultra
        #: In the ring, and column tiles of each.
        self.slots, self.tiles = row_slots(row_columns, columns, lanes), max(1, lanes // columns)
        #: Memories for each row of a group, and by how many rows further on the next column tile of the same ones begins.
        self.banks = max(1, self.tiles // drain_rows)
        self.shift = drain_rows * self.banks // self.tiles
        super().__init__({
            "i": In(stream.Signature(row_group_layout(drain_rows, columns, rows // drain_rows))),
            "i_command": In(stream.Signature(ROW_COMMAND)),
            "o": Out(stream.Signature(row_element(lanes))),
            "o_kind": Out(ROW_KIND),
            "o_waiting": Out(1),
            "o_empty": Out(1),
            "o_error": Out(1),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        depth = self.rows // self.drain_rows * self.slots * self.tiles // self.banks
        memories = []
        for number in range(self.banks * self.drain_rows):
            memory = Memory(shape=self.columns * 16, depth=depth, init=[], attrs=ram_style(self.ultra))
            m.submodules[f"memory{number}"] = memory
            memories.append((memory.write_port(), memory.read_port()))

        # Of each complete row tile its last column tile.
        waiting = row_tiles_waiting(self.slots)
        widths = StreamQueue(range(max(self.row_columns // self.columns, 2)), waiting)
        m.submodules.widths = widths

        tile_read = self._fill(m, memories, widths)
        self._read(m, memories, widths, tile_read)
        return m

    def _around(self, slot):
        """A slot number below twice the size of the ring, within the ring."""
        if self.slots & (self.slots - 1) == 0:
            return slot[: log2(self.slots)]
        return Mux(slot >= self.slots, slot - self.slots, slot)

    def _row_shift(self, tile):
        """By how many rows of a group the ``tile``-th column tile of a slot is shifted."""
        return tile // self.banks * self.shift

    def _fill(self, m, memories, widths):
        """Groups from the drain into the slots that are free. Returns the signal that frees those of the oldest row tile."""
        most, groups = self.row_columns // self.columns, self.rows // self.drain_rows
        filling, free = Signal(range(self.slots)), Signal(range(self.slots + 1), init=self.slots)
        freed, left, room = Signal(range(self.slots // 2 + 1)), Signal(range(self.slots + 1)), Signal(init=1)
        put, filled, tile_read = Signal(), Signal(), Signal()
        tile = self.i.p.column_tile[: log2(self.tiles)]
        m.d.comb += [
            self.i.ready.eq(room & widths.i.ready),
            left.eq(free + freed),
            put.eq(self.i.valid & self.i.ready),
            filled.eq(put & (self.i.p.group == groups - 1) & (tile.all() | self.i.p.last)),
            widths.i.valid.eq(put & self.i.p.last),
            widths.i.payload.eq(self.i.p.column_tile),
        ]
        rows = [Cat(self.i.p.values[row * self.columns + n] for n in range(self.columns)) for row in range(self.drain_rows)]
        for number, (write, _) in enumerate(memories):
            bank, lane = divmod(number, self.drain_rows)
            content = Array(rows[(lane - shift * self.shift) % self.drain_rows] for shift in range(self.tiles // self.banks))
            m.d.comb += [
                write.addr.eq(Cat(self.i.p.group[: log2(groups)], tile[log2(self.banks) :], filling)),
                write.data.eq(content[tile[log2(self.banks) :]] if len(content) > 1 else content[0]),
                write.en.eq(put & (tile[: log2(self.banks)] == bank)),
            ]
        m.d.sync += [
            self.o_error.eq(put & (self.i.p.column_tile >= most)),
            self.o_empty.eq(free == self.slots),
            freed.eq(Mux(tile_read, (widths.o.payload >> log2(self.tiles)) + 1, 0)),
            free.eq(Mux(filled, left - 1, left)),
            room.eq(Mux(filled, left > 1, left != 0)),  # free != 0, of which the drain's path has no time to hear
        ]
        with m.If(filled):
            m.d.sync += filling.eq(self._around(filling + 1))
        return tile_read

    def _read(self, m, memories, widths, tile_read):
        """Rows of a command, in four stages that advance together: address, memory, its register, chosen part."""
        groups = self.rows // self.drain_rows
        parts = max(1, self.columns // self.lanes)
        busy, advance, fire = Signal(), Signal(), Signal()
        remaining, last_group = Signal(16), Signal(12)
        row, group, tile_row = Signal(16), Signal(12), Signal(range(max(self.rows, 2)))
        kind = Signal(ROW_KIND.size)
        first_slot, slot = Signal(range(self.slots)), Signal(range(self.slots))
        row_ends, tile_ends, ends = Signal(), Signal(), Signal()
        part, part_ends = group[: log2(parts)], Signal()
        m.d.comb += [
            # The next command is taken with the last element of one, so that its rows follow at once.
            self.i_command.ready.eq(~busy | (fire & row_ends & ends)),
            self.o_waiting.eq(busy & ~widths.o.valid),
            advance.eq(self.o.ready | ~self.o.valid),
            fire.eq(busy & widths.o.valid & advance),
            part_ends.eq(part == parts - 1),
            row_ends.eq(group == last_group),
            ends.eq(remaining == 1),
            tile_ends.eq(row_ends & (ends | (tile_row == self.rows - 1))),
            tile_read.eq(fire & tile_ends),
            widths.o.ready.eq(tile_read),
        ]
        last_tile = widths.o.payload
        following = self._around(first_slot + (last_tile >> log2(self.tiles)) + 1)
        with m.If(fire):
            m.d.sync += group.eq(Mux(row_ends, 0, group + 1))
            with m.If(tile_ends):
                m.d.sync += [first_slot.eq(following), slot.eq(following)]
            with m.Elif(row_ends):
                m.d.sync += slot.eq(first_slot)
            with m.Elif(part_ends):
                m.d.sync += slot.eq(self._around(slot + 1))
            with m.If(row_ends):
                m.d.sync += [
                    row.eq(row + 1),
                    remaining.eq(remaining - 1),
                    tile_row.eq(Mux(tile_ends, 0, tile_row + 1)),
                    busy.eq(~ends),
                ]
        with m.If(self.i_command.valid & self.i_command.ready):
            m.d.sync += [
                busy.eq(1),
                remaining.eq(self.i_command.p.rows),
                last_group.eq(self.i_command.p.groups - 1),
                row.eq(self.i_command.p.first_row),
                kind.eq(self.i_command.p.kind),
            ]

        # A word is read for its first part and stays at the memory's output for the others.
        lane = tile_row[: log2(self.drain_rows)]
        for number, (_, read) in enumerate(memories):
            # Of the column tiles of a slot one lies here; of some rows none, and then what is read is not chosen.
            tile = (number - lane)[: log2(self.drain_rows)][log2(self.shift) :]
            m.d.comb += [
                read.addr.eq(Cat((tile_row >> log2(self.drain_rows))[: log2(groups)], tile, slot)),
                read.en.eq(fire & (part == 0)),
            ]
        with m.If(advance):
            m.d.sync += self.o.valid.eq(delayed_valid(m, fire, 2)[-1])
            row_read, group_read = delayed(m, row, 2), delayed(m, group, 2)
            # Where there is nothing to choose from they have no bits, and a register of none is not Verilog.
            part, lane = (delayed(m, value, 2) if len(value) else value for value in (part, lane))
            first, last, end = (delayed(m, value, 2) for value in (group == 0, row_ends, row_ends & ends))
            words = [registered(m, read.data) for _, read in memories]
            width = min(self.lanes, self.columns)
            for tile in range(self.tiles):
                bank, shift = tile % self.banks, self._row_shift(tile)
                choices = Cat(words[bank * self.drain_rows + (n + shift) % self.drain_rows] for n in range(self.drain_rows))
                chosen = choices.word_select(Cat(part, lane), width * 16)
                if tile:
                    there = (group < last_tile >> log2(self.tiles)) | (last_tile[: log2(self.tiles)] >= tile)
                    chosen = Mux(delayed(m, there, 2), chosen, 0)
                values = [self.o.p.values[tile * self.columns + n] for n in range(width)]
                m.d.sync += Cat(values).eq(chosen)
            m.d.sync += [
                self.o.p.row.eq(row_read),
                self.o.p.group.eq(group_read),
                self.o.p.first.eq(first),
                self.o.p.last.eq(last),
                self.o.p.ends.eq(end),
                self.o_kind.eq(delayed(m, kind, 2)),
            ]
