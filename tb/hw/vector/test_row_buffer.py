"""Row buffer: what the drain writes in tiles comes out as rows, whatever the sizes, widths and stalls."""

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles, RisingEdge
from cocotb.utils import get_sim_time

from hw.engine.tile_writer import row_group_layout
from hw.vector.row_buffer import ROW_COMMAND, RowBuffer
from hw.vector.row_stream import row_element
from hw.vector.row_units import ROW_KIND
from isa.sizes import ROW_TILES_WAITING
from tb.hw.vector.rows import from_elements
from tb.lib.harness import SIMULATORS, StreamSink, StreamSource, parameters, reset, simulate, start_clock
from tb.lib.words import naming

#: rows, columns, drain_rows, row_columns, lanes.
SIZES = {
    "tiny": (4, 4, 2, 64, 4),
    "serial": (8, 16, 2, 80, 4),
    "whole tiles": (4, 8, 4, 24, 8),
    "single rows": (2, 4, 1, 16, 2),
    "long": (2, 4, 2, 88, 4),
    "two tiles an element": (4, 4, 2, 64, 8),
    "two of four rows": (8, 4, 4, 24, 8),
    "four of one row": (4, 2, 1, 24, 8),
    "four of two rows": (4, 2, 2, 40, 8),
}


class Bench:
    def __init__(self, dut, stall, rng):
        self.dut, self.rng = dut, rng
        self.rows, self.columns, self.drain_rows, self.row_columns, self.lanes = SIZES[parameters()["sizes"]]
        layout = row_group_layout(self.drain_rows, self.columns, self.rows // self.drain_rows)
        self.source = StreamSource(dut, "i", layout, stall, rng)
        self.command = StreamSource(dut, "i_command", ROW_COMMAND, stall, rng)
        self.sink = StreamSink(dut, "o", row_element(self.lanes), stall, rng)
        self.drivers = self.source, self.command, self.sink
        #: Columns of a slot, slots, and row tiles of one slot that the buffer takes before anything is read.
        self.slot_columns = max(self.columns, self.lanes)
        self.slots = 2 * self.row_columns // self.slot_columns
        self.most_tiles = min(self.slots, ROW_TILES_WAITING + 1)
        self.taken = 0
        #: Of each element that has not come: whose it is.
        self.kinds = []
        cocotb.start_soon(self._follow_kinds())

    async def _follow_kinds(self):
        while True:
            await RisingEdge(self.dut.clk)
            if self.dut.o__valid.value and self.dut.o__ready.value and not self.dut.rst.value:
                assert int(self.dut.o_kind.value) == self.kinds.pop(0)

    def count(self):
        return cocotb.start_soon(self._count())

    async def _count(self):
        """Groups that the buffer takes."""
        while True:
            await RisingEdge(self.dut.clk)
            self.taken += int(self.dut.i__valid.value) & int(self.dut.i__ready.value)

    def read(self, rows, groups):
        """Command a read of so many rows; their first number."""
        first_row = int(self.rng.integers(2**16 - rows))
        kind = int(self.rng.integers(1 << ROW_KIND.size))
        self.command.send({"rows": [rows], "groups": [groups], "first_row": [first_row], "kind": [kind]})
        self.kinds += [kind] * rows * groups
        return first_row

    async def receive(self, rows, groups, first_row):
        """``(rows, groups * lanes)``, numbered from ``first_row``."""
        batch = await self.sink.receive(rows * groups)
        batch["row"] = batch["row"] - first_row
        return from_elements(batch, rows)

    def send(self, rows, columns):
        """Random tiles that hold at least ``rows`` x ``columns``; their content, with what pads them."""
        row_tiles, column_tiles, groups = -(-rows // self.rows), -(-columns // self.columns), self.rows // self.drain_rows
        values = self.rng.integers(-(2**15), 2**15, (row_tiles * self.rows, column_tiles * self.columns))
        grouped = values.reshape(row_tiles, groups, self.drain_rows, column_tiles, self.columns).transpose(0, 3, 1, 2, 4)
        index = np.arange(row_tiles * column_tiles * groups)
        self.source.send({
            "values": grouped.reshape(len(index), -1),
            "column_tile": index // groups % column_tiles,
            "group": index % groups,
            "last": index % (groups * column_tiles) == groups * column_tiles - 1,
        })  # fmt: skip
        return values

    async def check(self, *shapes):
        """Instructions that read ``rows`` x ``groups`` each, all sent before the first is received.

        What is written is as wide as ``columns``, if given: more or fewer than are read.
        """
        sent = [self.send(rows, columns[0] if columns else groups * self.lanes) for rows, groups, *columns in shapes]
        first_rows = [self.read(rows, groups) for rows, groups, *_ in shapes]
        for (rows, groups, *_), values, first_row in zip(shapes, sent, first_rows, strict=True):
            got = await self.receive(rows, groups, first_row)
            # An element that a row tile ends in has zeros behind it.
            zeros = -values.shape[1] % self.lanes
            values = np.pad(values, ((0, 0), (0, zeros)))
            width = min(groups * self.lanes, values.shape[1])
            assert (got[:, :width] == values[:rows, :width]).all(), (rows, groups)

    def shapes(self, count):
        most = self.row_columns // self.lanes
        return [(int(self.rng.integers(1, 4 * self.rows)), int(self.rng.integers(1, most + 1))) for _ in range(count)]

    def narrow_shapes(self, count):
        """Instructions with few rows or few columns, so that every slot of the ring begins a row tile now and then."""
        widest = self.row_columns // self.columns
        for _ in range(count):
            groups = int(self.rng.integers(1, self.row_columns // self.lanes + 1))
            yield int(self.rng.integers(1, self.rows + 2)), groups, self.columns * int(self.rng.integers(1, widest + 1))


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def rows_match(dut, stall):
    bench = Bench(dut, stall, np.random.default_rng(1))
    await start_clock(dut)
    await bench.check((1, 1), (2 * bench.rows, bench.row_columns // bench.lanes), *bench.shapes(12))
    await bench.check(*bench.narrow_shapes(40))
    await bench.sink.expect_nothing()


@cocotb.test()
async def a_command_waits_for_its_rows(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(2))
    await start_clock(dut)
    first_row = bench.read(1, 1)
    await ClockCycles(dut.clk, 10)
    assert dut.o_waiting.value == 1
    values = bench.send(1, bench.lanes)
    assert (await bench.receive(1, 1, first_row) == values[:1, : bench.lanes]).all()
    await RisingEdge(dut.clk)
    assert dut.o_waiting.value == 0


@cocotb.test()
@cocotb.parametrize(width=["widest", "two thirds", "one"])
async def a_full_buffer_holds_what_it_has_room_for(dut, width):
    bench = Bench(dut, 0.0, np.random.default_rng(3))
    await start_clock(dut)
    counter = bench.count()
    widest = bench.slots // 2
    slots = {"widest": widest, "two thirds": max(1, widest * 2 // 3), "one": 1}[width]
    # Slots that are taken; those of the last row tile too, though it is not complete.
    room = bench.slots if slots > 1 else bench.most_tiles
    row_tiles = room // slots + 1
    rows, groups = row_tiles * bench.rows, slots * bench.slot_columns // bench.lanes
    for _ in range(3):
        bench.taken = 0
        values = bench.send(rows, slots * bench.slot_columns)
        tiles = bench.slot_columns // bench.columns
        await ClockCycles(dut.clk, 4 * bench.slots * tiles * bench.rows)
        assert bench.taken == room * tiles * (bench.rows // bench.drain_rows)
        assert dut.i__valid.value == 1
        assert dut.i__ready.value == 0
        got = await bench.receive(rows, groups, bench.read(rows, groups))
        assert (got == values).all()
    counter.cancel()


@cocotb.test()
async def what_follows_is_taken_while_rows_wait(dut):
    """A row tile that nobody reads yet, and one of which only a part has come, stop nothing while there is room."""
    bench = Bench(dut, 0.0, np.random.default_rng(7))
    await start_clock(dut)
    widths = [bench.slots // 2 - 1, 1, bench.slots // 2]
    sent = [bench.send(bench.rows, width * bench.slot_columns) for width in widths]
    await ClockCycles(dut.clk, 4 * bench.slots * bench.rows * bench.slot_columns // bench.columns)
    assert dut.i__valid.value == 0
    for width, values in zip(widths, sent, strict=True):
        groups = width * bench.slot_columns // bench.lanes
        assert (await bench.receive(bench.rows, groups, bench.read(bench.rows, groups)) == values).all()


@cocotb.test()
async def a_column_beyond_the_buffer_is_an_error(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(4))
    await start_clock(dut)
    group = {"values": np.zeros((1, bench.drain_rows * bench.columns), int), "group": [0], "last": [0]}
    tiles = bench.row_columns // bench.columns
    for column_tile, error in [(tiles - 1, 0), (tiles, 1), (4095, 1)]:
        await bench.source.send(group | {"column_tile": [column_tile]})
        await RisingEdge(dut.clk)
        assert dut.o_error.value == error


@cocotb.test()
async def works_after_a_reset_in_the_middle(dut):
    bench = Bench(dut, 0.3, np.random.default_rng(5))
    await start_clock(dut)
    for pause in (5, 20, 45):
        bench.send(3 * bench.rows, bench.row_columns)
        bench.read(2 * bench.rows, 2)
        await ClockCycles(dut.clk, pause)
        await reset(dut, *bench.drivers)
        bench.kinds = []
        await bench.check(*bench.shapes(2))
        await bench.sink.expect_nothing()


@cocotb.test()
async def sustains_an_element_a_cycle(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(6))
    await start_clock(dut)
    rows, groups = 6 * bench.rows, bench.row_columns // bench.lanes
    start = get_sim_time("ns")
    await bench.check((rows, groups))
    cycles = (get_sim_time("ns") - start) / 5
    # The first tile is filled before anything is read; what is put in a cycle may be less than an element.
    row = max(groups, bench.row_columns // (bench.columns * bench.drain_rows))
    assert cycles <= (rows + bench.rows) * row + 20


@cocotb.test()
async def no_cycle_is_lost_between_row_tiles(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(8))
    await start_clock(dut)
    rows, groups = bench.most_tiles * bench.rows, bench.slot_columns // bench.lanes
    values = bench.send(rows, bench.slot_columns)
    await ClockCycles(dut.clk, 2 * rows * bench.slot_columns // bench.columns)
    start = get_sim_time("ns")
    got = await bench.receive(rows, groups, bench.read(rows, groups))
    assert (got == values).all()
    assert (get_sim_time("ns") - start) / 5 <= rows * groups + 6


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("sizes", SIZES)
def test_row_buffer(simulator, sizes):
    simulate(RowBuffer(*SIZES[sizes]), __name__, simulator, parameters={"sizes": sizes})


def test_rejects_rows_that_are_not_whole_tiles_or_elements():
    with pytest.raises(ValueError, match=naming("row_columns", "multiple of columns", 8, 20)):
        RowBuffer(4, 8, 2, 20, 4)
    with pytest.raises(ValueError, match=naming("row_columns", "multiple of lanes", 16, 24)):
        RowBuffer(4, 8, 2, 24, 16)
