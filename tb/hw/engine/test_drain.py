"""Drain against the reference: border correction, constants by column and row, rescale, and consumers that wait."""

from collections import deque

import cocotb
import numpy as np
import pytest
from amaranth.hdl import Shape, signed
from amaranth.lib import data
from cocotb.triggers import ClockCycles, RisingEdge

from golden.codes import Kind
from golden.qmm import correct
from golden.rescale import rescale_folded
from hw.engine.drain import Drain
from hw.engine.tile import tile_layout
from tb.hw.engine.operands import constant_words, load_batch
from tb.lib.harness import SIMULATORS, StreamSink, StreamSource, parameters, reset, simulate, start_clock
from tb.lib.payload import pack


class Bench:
    """Plays the sequencer and the array: descriptors R / G cycles apart, then groups, as many as the buffer holds."""

    #: A descriptor comes at least so many cycles before its first group.
    LEAD = 3

    def __init__(self, dut, stall, rng):
        self.dut, self.stall, self.rng = dut, stall, rng
        self.unit = unit = Drain(**parameters())
        self.layout = tile_layout(unit.columns)
        self.loads = StreamSource(dut, "i_constant", unit.i_constant.payload.shape(), stall, rng)
        self.sink = StreamSink(dut, "o", unit.o.payload.shape(), stall, rng)
        self.taken = 0
        self.scale = np.zeros(unit.constant_depth * unit.columns, np.int64)
        self.offset = np.zeros_like(self.scale)
        self.idle()

    def idle(self):
        self.dut.valid.value = 0
        self.dut.i_tile__valid.value = 0

    def numbers(self, bits, *shape):
        """Signed numbers of ``bits`` bits and of any size, some of them extreme."""
        most = 1 << bits - 1
        values = self.rng.integers(-most, most, shape) >> self.rng.integers(0, bits, shape)
        return np.where(self.rng.random(shape) < 0.1, self.rng.choice([-most, most - 1], shape), values)

    def load(self, first, words):
        """New random constants in some words."""
        unit = self.unit
        part = slice(first * unit.columns, (first + words) * unit.columns)
        self.scale[part] = self.numbers(16, words * unit.columns)
        self.offset[part] = self.numbers(40, words * unit.columns)
        image = constant_words(self.scale[part], self.offset[part], unit.columns)
        return self.loads.send(load_batch(image, first, unit.axi_bits))

    def tile(self, first=0, words=None, **fields):
        """A random tile whose constants lie in ``words`` words from ``first`` on: descriptor, counts and what must come."""
        unit, rng = self.unit, self.rng
        words = unit.constant_depth - first if words is None else words
        by_row = int(rng.integers(0, 2))
        rows_in_words = words * unit.columns
        row_tile = int(rng.integers(0, max(rows_in_words // unit.rows, 1))) if by_row else int(rng.integers(0, 1 << 12))
        used = -(-(row_tile + 1) * unit.rows // unit.columns) if by_row else 1
        descriptor = {name: int(rng.integers(0, 1 << Shape.cast(field.shape).width)) for name, field in self.layout} | {
            "constant_by_row": by_row,
            "row_tile": row_tile,
            "constant_address": first + int(rng.integers(0, words - used + 1)),
            "limit": int(rng.integers(0, unit.columns + 1)),
        }
        low, high = np.sort(self.numbers(16, 2))
        descriptor |= {"low": int(low), "high": int(high)} | fields
        a = unit.accumulator_bits
        counts = self.numbers(a, unit.rows, unit.columns), self.numbers(a, unit.rows), self.numbers(a, unit.columns)
        return descriptor, counts, self.expected(descriptor, counts)

    def expected(self, tile, counts):
        unit = self.unit
        bipolar = [Kind.BIPOLAR if tile[f"{side}_bipolar"] else Kind.UNSIGNED for side in ("left", "right")]
        t = correct(*counts, *bipolar)
        first = tile["constant_address"] * unit.columns
        if tile["constant_by_row"]:
            entries = (first + tile["row_tile"] * unit.rows + np.arange(unit.rows))[:, None]
        else:
            entries = first + np.arange(unit.columns)
        entries = entries % len(self.scale)
        values = rescale_folded(t, self.scale[entries], self.offset[entries], tile["shift"], tile["low"], tile["high"])
        values[:, tile["limit"] :] = 0
        return values.reshape(unit.groups, -1)

    async def feed(self, tiles):
        """Descriptors and groups of ``tiles``, with pauses, as early as the rules allow."""
        dut, unit, rng = self.dut, self.unit, self.rng
        words = pack(self.layout, {name: np.array([tile[name] for tile, _, _ in tiles]) for name, _ in self.layout})
        a = unit.accumulator_bits
        groups = deque()
        described = sent = lead = 0
        start, apart = self.taken, unit.groups
        while sent < len(tiles) * unit.groups:
            room = described - (self.taken - start) // unit.groups < unit.tiles
            describe = described < len(tiles) and room and apart >= unit.groups and rng.random() >= self.stall
            apart = 1 if describe else apart + 1
            dut.i_tile__valid.value = int(describe)
            lead += 1
            valid = bool(groups) and groups[0][0] <= lead and rng.random() >= self.stall
            dut.valid.value = int(valid)
            if valid:
                _, tile, group = groups.popleft()
                s, r, c = tiles[tile][1]
                rows = slice(group * unit.drain_rows, (group + 1) * unit.drain_rows)
                dut.s.value = pack(data.ArrayLayout(signed(a), s[rows].size), s[rows].reshape(1, -1))[0]
                dut.r.value = pack(data.ArrayLayout(signed(a), unit.drain_rows), r[None, rows])[0]
                dut.c.value = pack(data.ArrayLayout(signed(a), unit.columns), c[None])[0]
                dut.group.value = group
                sent += 1
            else:
                dut.group.value = int(rng.integers(0, unit.groups))
            if describe:
                dut.i_tile__payload.value = words[described]
                groups.extend((lead + self.LEAD, described, group) for group in range(unit.groups))
                described += 1
            await RisingEdge(dut.clk)
        self.idle()

    def watch(self):
        """Count what is taken."""
        return cocotb.start_soon(self._watch())

    async def _watch(self):
        dut = self.dut
        while True:
            await RisingEdge(dut.clk)
            self.taken += bool(dut.o__valid.value) and bool(dut.o__ready.value)

    async def check(self, tiles):
        feeding = cocotb.start_soon(self.feed(tiles))
        expected = np.concatenate([values for _, _, values in tiles])
        groups = await self.sink.receive(len(expected))
        assert not groups["error"].any()
        got = groups["values"]
        wrong = np.argwhere(got != expected)
        assert not len(wrong), (wrong[0], tiles[wrong[0, 0] // self.unit.groups][0], got[wrong[0, 0]], expected[wrong[0, 0]])
        await feeding


async def start(dut, stall, seed):
    bench = Bench(dut, stall, np.random.default_rng(seed))
    await start_clock(dut)
    bench.watch()
    await bench.load(0, bench.unit.constant_depth)
    await ClockCycles(dut.clk, 2)
    return bench


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def any_tile_matches(dut, stall):
    bench = await start(dut, stall, 1)
    await bench.check([bench.tile() for _ in range(60)])
    await bench.sink.expect_nothing()


@cocotb.test()
async def rows_find_their_constants(dut):
    bench = await start(dut, 0.0, 2)
    unit = bench.unit
    tiles = bench.unit.constant_depth * unit.columns // unit.rows
    plain = {"constant_by_row": 1, "constant_address": 0, "limit": unit.columns, "low": -(1 << 15), "high": (1 << 15) - 1}
    await bench.check([bench.tile(**plain, row_tile=row_tile) for row_tile in range(tiles)])


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.3])
async def constants_load_while_others_are_used(dut, stall):
    bench = await start(dut, stall, 3)
    half = bench.unit.constant_depth // 2
    for turn in range(8):
        used, loaded = (0, half) if turn % 2 else (half, 0)
        tiles = [bench.tile(used, half) for _ in range(8)]
        loading = bench.load(loaded, half)
        await bench.check(tiles)
        await loading
        await ClockCycles(dut.clk, 2)
    await bench.sink.expect_nothing()


@cocotb.test()
async def holds_what_is_not_taken(dut):
    bench = await start(dut, 0.0, 4)
    tiles = [bench.tile() for _ in range(bench.unit.tiles)]
    await bench.feed(tiles)
    await ClockCycles(dut.clk, 40)
    got = await bench.sink.receive(bench.unit.tiles * bench.unit.groups)
    assert (got["values"] == np.concatenate([values for _, _, values in tiles])).all()
    await bench.sink.expect_nothing()


@cocotb.test()
async def a_group_a_cycle_leaves_when_nobody_waits(dut):
    bench = await start(dut, 0.0, 5)
    dut.o__ready.value = 1
    await bench.feed([bench.tile() for _ in range(20)])
    await ClockCycles(dut.clk, 20)
    assert bench.taken == 20 * bench.unit.groups


@cocotb.test()
async def nothing_comes_out_after_a_reset_in_the_middle(dut):
    bench = await start(dut, 0.2, 6)
    for pause in (3, 6, 9, 14):
        feeding = cocotb.start_soon(bench.feed([bench.tile() for _ in range(20)]))
        await ClockCycles(dut.clk, pause)
        feeding.cancel()
        bench.idle()
        await reset(dut, bench.sink, bench.loads)
        await bench.sink.expect_nothing()
        await bench.check([bench.tile() for _ in range(3)])


@cocotb.test()
@cocotb.parametrize(by_row=[0, 1])
async def reports_constants_outside_the_memory(dut, by_row):
    bench = await start(dut, 0.0, 7)
    unit = bench.unit
    words = max(unit.rows // unit.columns, 1) if by_row else 1
    tiles, outside = [], []
    for beyond in (0, 1, 0, 1 << 16, 0):
        tile, counts, _ = bench.tile()
        fields = {"constant_by_row": by_row, "row_tile": 0, "constant_address": unit.constant_depth - words + beyond}
        tiles.append((tile | fields, counts, None))
        row = np.arange(unit.groups) * unit.drain_rows
        word = fields["constant_address"] + (row // unit.columns if by_row else 0 * row)
        outside += (word >= unit.constant_depth).tolist()
    feeding = cocotb.start_soon(bench.feed(tiles))
    dut.o__ready.value = 1
    said = []
    while len(said) < len(outside):
        await RisingEdge(dut.clk)
        if dut.o__valid.value:
            # The error is the highest bit; the values of constants that are not there are undefined.
            said.append(bool(dut.o__payload.value[len(dut.o__payload) - 1]))
    assert said == outside
    await feeding


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize(
    ("rows", "columns", "drain_rows", "axi_bits"), [(4, 4, 2, 64), (8, 4, 1, 128), (2, 8, 2, 512), (4, 4, 1, 32)]
)
def test_drain(simulator, rows, columns, drain_rows, axi_bits):
    sizes = {"rows": rows, "columns": columns, "drain_rows": drain_rows, "axi_bits": axi_bits}
    sizes |= {"accumulator_bits": 24, "constant_depth": 12, "tiles": 2 if rows // drain_rows > 4 else 4}
    simulate(Drain(**sizes), __name__, simulator, parameters=sizes)
