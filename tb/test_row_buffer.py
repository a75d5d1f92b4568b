"""Row buffer: what the drain writes in tiles comes out as rows, whatever the sizes and stalls."""

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles, RisingEdge
from cocotb.utils import get_sim_time

from hw.row_buffer import ROW_COMMAND, RowBuffer
from hw.row_stream import row_element
from hw.tile_writer import row_group_layout
from tb.harness import SIMULATORS, StreamSink, StreamSource, parameters, reset, simulate, start_clock
from tb.rows import from_elements

#: rows, columns, drain_rows, row_columns, lanes.
SIZES = {
    "tiny": (4, 4, 2, 64, 4),
    "serial": (8, 16, 2, 80, 4),
    "whole tiles": (4, 8, 4, 24, 8),
    "single rows": (2, 4, 1, 16, 2),
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
        """Instructions that read ``rows`` x ``groups`` each, all sent before the first is received."""
        sent = [self.send(rows, groups * self.lanes) for rows, groups in shapes]
        self.command.send({"rows": [rows for rows, _ in shapes], "groups": [groups for _, groups in shapes]})
        for (rows, groups), values in zip(shapes, sent, strict=True):
            got = from_elements(await self.sink.receive(rows * groups), rows)
            assert (got == values[:rows, : groups * self.lanes]).all(), (rows, groups)

    def shapes(self, count):
        most = self.row_columns // self.lanes
        return [(int(self.rng.integers(1, 4 * self.rows)), int(self.rng.integers(1, most + 1))) for _ in range(count)]


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def rows_match(dut, stall):
    bench = Bench(dut, stall, np.random.default_rng(1))
    await start_clock(dut)
    await bench.check((1, 1), (2 * bench.rows, bench.row_columns // bench.lanes), *bench.shapes(12))
    await bench.sink.expect_nothing()


@cocotb.test()
async def a_command_waits_for_its_rows(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(2))
    await start_clock(dut)
    bench.command.send({"rows": [1], "groups": [1]})
    await ClockCycles(dut.clk, 10)
    assert dut.o_waiting.value == 1
    values = bench.send(1, bench.lanes)
    assert (from_elements(await bench.sink.receive(1), 1) == values[:1, : bench.lanes]).all()
    await RisingEdge(dut.clk)
    assert dut.o_waiting.value == 0


@cocotb.test()
async def a_full_buffer_holds_two_tiles_and_refuses_a_third(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(3))
    await start_clock(dut)
    values = bench.send(3 * bench.rows, bench.columns)
    await ClockCycles(dut.clk, 10 * bench.rows)
    assert dut.i__valid.value == 1
    assert dut.i__ready.value == 0
    groups = bench.columns // bench.lanes
    bench.command.send({"rows": [3 * bench.rows], "groups": [groups]})
    got = from_elements(await bench.sink.receive(3 * bench.rows * groups), 3 * bench.rows)
    assert (got == values).all()
    bench.send(2 * bench.rows, bench.columns)
    await ClockCycles(dut.clk, 10 * bench.rows)
    assert dut.i__valid.value == 0, "a buffer that has been read is not free"


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
        bench.command.send({"rows": [2 * bench.rows], "groups": [2]})
        await ClockCycles(dut.clk, pause)
        await reset(dut, *bench.drivers)
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
    # The first tile is filled before anything is read.
    assert cycles <= rows * groups + bench.rows * groups + 20


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("sizes", SIZES)
def test_row_buffer(simulator, sizes):
    simulate(RowBuffer(*SIZES[sizes]), __name__, simulator, parameters={"sizes": sizes})


def test_rejects_rows_that_are_not_whole_tiles():
    with pytest.raises(ValueError, match=r"row_columns must be a multiple of columns \(8\), not 20"):
        RowBuffer(4, 8, 2, 20, 4)
