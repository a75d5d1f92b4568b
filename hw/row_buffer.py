"""Row buffer: takes tiles of rows from the drain as they come, gives whole rows to the row units."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.pipeline import held, log2
from hw.row_stream import row_element
from hw.tile_writer import row_group_layout

#: One for each row instruction: how much of the buffer it reads.
ROW_COMMAND = data.StructLayout({"rows": 16, "groups": 12})


class RowBuffer(wiring.Component):
    """Two tiles of rows: one is filled while the other is read.

    The k-th tile written is the k-th one read. A command reads rows 0 .. ``rows`` - 1, the first ``groups`` groups of L
    columns of each, tile after tile; the rest of its last tile is dropped. One element a cycle.

    Parameters
    ----------
    rows, columns, drain_rows : int
        R, C and G: a group is G rows of C values.
    row_columns : int
        Longest row, a multiple of C.
    lanes : int
        L, at most C.

    Members
    -------
    i : In(stream)
        Groups of a tile, in any order but for the last: row ``group * drain_rows + r``, column
        ``column_tile * columns + c`` at ``values[r * columns + c]``.
    i_command : In(stream)
    o : Out(stream)
    o_waiting : Out
        A command waits for a full buffer.
    o_error : Out
        Strobe: a group beyond ``row_columns`` was dropped.
    """

    def __init__(self, rows, columns, drain_rows, row_columns, lanes):
        if row_columns % columns:
            raise ValueError(f"row_columns must be a multiple of columns ({columns}), not {row_columns}")
        if lanes > columns:
            raise ValueError(f"lanes must be at most columns ({columns}), not {lanes}")
        self.rows, self.columns, self.drain_rows = rows, columns, drain_rows
        self.row_columns, self.lanes = row_columns, lanes
        super().__init__({
            "i": In(stream.Signature(row_group_layout(drain_rows, columns, rows // drain_rows))),
            "i_command": In(stream.Signature(ROW_COMMAND)),
            "o": Out(stream.Signature(row_element(lanes))),
            "o_waiting": Out(1),
            "o_error": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        tiles = self.row_columns // self.columns
        groups = self.rows // self.drain_rows
        parts = self.columns // self.lanes

        def address(buffer, group, tile):
            """Word of a column tile of ``group`` (within the tile of rows) in a buffer."""
            upper = Cat(group[: log2(groups)], buffer)
            return Cat(tile[: log2(tiles)], upper) if tiles & (tiles - 1) == 0 else upper * tiles + tile

        full = Signal(2)
        filling, reading = Signal(), Signal()
        memories = []
        for lane in range(self.drain_rows):
            memory = Memory(shape=self.columns * 16, depth=2 * groups * tiles, init=[], attrs={"ram_style": "block"})
            m.submodules[f"memory{lane}"] = memory
            memories.append((memory.write_port(), memory.read_port()))

        put, fits = Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(~full.bit_select(filling, 1)),
            put.eq(self.i.valid & self.i.ready),
            fits.eq(self.i.p.column_tile < tiles),
        ]
        for lane, (write, _) in enumerate(memories):
            values = [self.i.p.values[lane * self.columns + column] for column in range(self.columns)]
            m.d.comb += [
                write.addr.eq(address(filling, self.i.p.group, self.i.p.column_tile)),
                write.data.eq(Cat(values)),
                write.en.eq(put & fits),
            ]
        m.d.sync += self.o_error.eq(put & ~fits)
        with m.If(put & self.i.p.last):
            m.d.sync += [full.bit_select(filling, 1).eq(1), filling.eq(~filling)]

        # The three stages of the reader advance together: address, memory, chosen part.
        busy, advance, fire = Signal(), Signal(), Signal()
        remaining, last_group = Signal(16), Signal(12)
        row, group, tile_row = Signal(16), Signal(12), Signal(range(max(self.rows, 2)))
        row_ends, tile_ends, ends = Signal(), Signal(), Signal()
        full_one = full.bit_select(reading, 1)
        m.d.comb += [
            self.i_command.ready.eq(~busy),
            self.o_waiting.eq(busy & ~full_one),
            advance.eq(self.o.ready | ~self.o.valid),
            fire.eq(busy & full_one & advance),
            row_ends.eq(group == last_group),
            ends.eq(remaining == 1),
            tile_ends.eq(ends | (tile_row == self.rows - 1)),
        ]
        with m.If(self.i_command.valid & self.i_command.ready):
            m.d.sync += [
                busy.eq((self.i_command.p.rows != 0) & (self.i_command.p.groups != 0)),
                remaining.eq(self.i_command.p.rows),
                last_group.eq(self.i_command.p.groups - 1),
                row.eq(0), group.eq(0), tile_row.eq(0),
            ]  # fmt: skip
        with m.If(fire):
            m.d.sync += group.eq(Mux(row_ends, 0, group + 1))
            with m.If(row_ends):
                m.d.sync += [
                    row.eq(row + 1),
                    remaining.eq(remaining - 1),
                    tile_row.eq(Mux(tile_ends, 0, tile_row + 1)),
                ]
                with m.If(tile_ends):
                    m.d.sync += [full.bit_select(reading, 1).eq(0), reading.eq(~reading), busy.eq(~ends)]

        # A word is read for its first part and stays at the memory's output for the others.
        part = group[: log2(parts)]
        lane = tile_row[: log2(self.drain_rows)]
        for _, read in memories:
            m.d.comb += [
                read.addr.eq(address(reading, tile_row >> log2(self.drain_rows), group >> log2(parts))),
                read.en.eq(fire & (part == 0)),
            ]
        read_valid = Signal()
        with m.If(advance):
            m.d.sync += [read_valid.eq(fire), self.o.valid.eq(read_valid)]
            row_read, group_read, chosen = held(m, row), held(m, group), held(m, Cat(part, lane))
            first, last = held(m, group == 0), held(m, row_ends)
            choices = Cat(read.data for _, read in memories)
            m.d.sync += [
                Cat(self.o.p.values).eq(choices.word_select(chosen, self.lanes * 16)),
                self.o.p.row.eq(row_read),
                self.o.p.group.eq(group_read),
                self.o.p.first.eq(first),
                self.o.p.last.eq(last),
            ]
        return m
