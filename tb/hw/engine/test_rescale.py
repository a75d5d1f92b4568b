"""Rescale lanes against their reference: random groups, a new one every cycle, and every shift with extremes."""

from itertools import product

import cocotb
import numpy as np
import pytest
from amaranth.hdl import signed
from amaranth.lib import data

from golden.rescale import SCALE_BITS, rescale_folded
from hw.engine.rescale import CLIP_BITS, OFFSET_BITS, SHIFTS, Rescale
from tb.lib.harness import SIMULATORS, parameters, reset, simulate, start_clock
from tb.lib.payload import pack, unpack
from tb.lib.ports import play
from tb.lib.words import naming


def extremes(bits):
    """Numbers of ``bits`` signed bits at which something may go wrong."""
    most = 1 << bits - 1
    return [-most, -most + 1, -1, 0, 1, most - 1]


class Bench:
    """Groups are dictionaries of arrays: of each lane, or of the group where a group has one, or of the column."""

    def __init__(self, rng):
        self.unit = Rescale(**parameters())
        self.rng = rng
        self.widths = {"t": self.unit.t_width, "scale": SCALE_BITS, "offset": OFFSET_BITS}

    def random(self, count):
        """Groups of any numbers, of any size; constants of columns or of rows."""
        rng, unit = self.rng, self.unit
        groups = {}
        for name, bits in self.widths.items():
            most = 1 << bits - 1
            values = rng.integers(-most, most, (count, unit.rows, unit.columns))
            groups[name] = values >> rng.integers(0, bits, (count, 1, 1))
        bounds = np.sort(rng.integers(-(1 << 16), 1 << 16, (count, 2)) >> rng.integers(0, 17, (count, 1)), axis=1)
        return self.shared(groups, rng.integers(0, 2, count)) | {
            "shift": rng.integers(0, SHIFTS, count),
            "low": bounds[:, 0],
            "high": bounds[:, 1],
            "zero": rng.integers(0, 2, (count, unit.columns)) & rng.integers(0, 2, (count, unit.columns)),
        }

    def shared(self, groups, by_row):
        """Constants as they come: every row has those of its columns, or every column those of its row."""
        for name in ("scale", "offset"):
            values = groups[name]
            pattern = np.where(by_row[:, None, None], values[:, :, :1], values[:, :1, :])
            groups[name] = np.broadcast_to(pattern, values.shape).copy()
        return groups | {"by_row": by_row}

    def spread(self, **columns):
        """Every combination of the ``columns``' values, at every shift; bounds are the widest."""
        unit = self.unit
        rows = np.array(list(product(range(SHIFTS), *columns.values())))
        count = len(rows)
        shape = count, unit.rows, unit.columns
        values = {
            name: np.broadcast_to(rows[:, position, None, None], shape) for position, name in enumerate(columns, start=1)
        }
        widest = {"low": np.full(count, -(1 << 16)), "high": np.full(count, (1 << 16) - 1)}
        zero = np.zeros((count, unit.columns), int)
        return values | widest | {"shift": rows[:, 0], "zero": zero, "by_row": self.rng.integers(0, 2, count)}

    async def check(self, dut, groups):
        unit = self.unit
        count, lanes = len(groups["shift"]), unit.rows * unit.columns
        ports = {"t": pack(data.ArrayLayout(signed(unit.t_width), lanes), groups["t"].reshape(count, -1))}
        by_row = groups["by_row"][:, None]
        for name, bits in ("scale", SCALE_BITS), ("offset", OFFSET_BITS):
            column, row = np.where(by_row, 0, groups[name][:, 0]), np.where(by_row, groups[name][:, :, 0], 0)
            ports[f"column_{name}"] = pack(data.ArrayLayout(signed(bits), unit.columns), column)
            ports[f"row_{name}"] = pack(data.ArrayLayout(signed(bits), unit.rows), row)
        ports |= {name: pack(signed(CLIP_BITS), groups[name]) for name in ("low", "high")}
        ports |= {"shift": groups["shift"], "zero": pack(data.ArrayLayout(1, unit.columns), groups["zero"])}
        lags = {"t": Rescale.t_lag, "column_offset": Rescale.offset_lag, "row_offset": Rescale.offset_lag}
        for name, values in ports.items():
            lag = lags.get(name, 0)
            ports[name] = [0] * lag + list(values) + [0] * (max(lags.values()) - lag)
        shown = (await play(dut, ports, ["o"], settle=Rescale.latency))["o"][Rescale.latency :][:count]
        got = unpack(data.ArrayLayout(signed(CLIP_BITS), lanes), shown).reshape(groups["t"].shape)
        shift, low, high = (groups[name][:, None, None] for name in ("shift", "low", "high"))
        expected = rescale_folded(2 * groups["t"], groups["scale"], groups["offset"], shift, low, high)
        expected = np.where(groups["zero"][:, None], 0, expected)
        wrong = np.argwhere(got != expected)
        assert not len(wrong), {name: values[wrong[0, 0]] for name, values in groups.items()}


@cocotb.test()
async def random_groups_match(dut):
    bench = Bench(np.random.default_rng(1))
    await start_clock(dut)
    await bench.check(dut, bench.random(600))


@cocotb.test()
async def extremes_match_at_every_shift(dut):
    bench = Bench(np.random.default_rng(2))
    await start_clock(dut)
    await bench.check(dut, bench.spread(**{name: extremes(bits) for name, bits in bench.widths.items()}))


@cocotb.test()
async def results_around_the_clip_bounds_match(dut):
    rng = np.random.default_rng(3)
    bench = Bench(rng)
    await start_clock(dut)
    groups = bench.random(600)
    shift = groups["shift"] = rng.integers(0, 26, 600)
    groups["scale"] = np.where(rng.integers(0, 2, (600, 1, 1)), groups["scale"], 0)
    bound = np.where(rng.integers(0, 2, 600), groups["low"], groups["high"])[:, None, None]
    near = (bound + rng.integers(-2, 3, groups["t"].shape)) << shift[:, None, None]
    fraction = rng.integers(0, 1 << shift[:, None, None], groups["t"].shape)
    most = 1 << OFFSET_BITS - 1
    groups["offset"] = np.clip(near + fraction - 2 * groups["t"] * groups["scale"], -most, most - 1)
    await bench.check(dut, bench.shared(groups, groups["by_row"]))


@cocotb.test()
async def sums_that_hardly_fit_a_code_match(dut):
    """Around the widest bounds, at every shift: a sum one too large must not wrap."""
    rng = np.random.default_rng(5)
    bench = Bench(rng)
    await start_clock(dut)
    groups = bench.random(40 * SHIFTS)
    shift = groups["shift"] = np.repeat(np.arange(SHIFTS), 40)
    edge = rng.choice([-(1 << 17), -(1 << 16), 0, 1 << 16, 1 << 17], groups["t"].shape)
    edge += rng.integers(-2, 3, edge.shape)
    most = 1 << OFFSET_BITS - 1
    groups["offset"] = np.clip(edge.astype(object) << shift[:, None, None], -most, most - 1).astype(np.int64)
    groups["offset"] += np.where(groups["offset"] < most - 1, rng.integers(0, 2, edge.shape), 0)
    groups["scale"][:] = 0
    groups["low"][:], groups["high"][:] = -(1 << 16), (1 << 16) - 1
    await bench.check(dut, bench.shared(groups, groups["by_row"]))


@cocotb.test()
async def a_reset_in_the_middle_leaves_nothing_behind(dut):
    bench = Bench(np.random.default_rng(4))
    await start_clock(dut)
    for cycles in (1, 3, 7):
        await bench.check(dut, bench.random(cycles))
        await reset(dut)
        await bench.check(dut, bench.random(5))


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize(("rows", "columns", "t_width"), [(2, 2, 26), (1, 1, 34), (1, 3, 7)])
def test_rescale(simulator, rows, columns, t_width):
    sizes = {"rows": rows, "columns": columns, "t_width": t_width}
    simulate(Rescale(**sizes), __name__, simulator, parameters=sizes)


@pytest.mark.parametrize("t_width", [1, 35])
def test_refuses_an_accumulator_that_does_not_fit(t_width):
    with pytest.raises(ValueError, match=naming("half an accumulator", "2..34", t_width)):
        Rescale(2, 2, t_width)
