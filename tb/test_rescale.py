"""Rescale lanes against their reference: random groups, a new one every cycle, and every shift with extremes."""

from itertools import product

import cocotb
import numpy as np
import pytest
from amaranth.hdl import signed
from amaranth.lib import data

from golden.rescale import MAX_SHIFT, OFFSET_BITS, SCALE_BITS, rescale_folded
from hw.rescale import Rescale
from tb.harness import SIMULATORS, parameters, reset, simulate, start_clock
from tb.payload import pack, unpack
from tb.ports import play

CLIP_BITS = 17


def extremes(bits):
    """Numbers of ``bits`` signed bits at which something may go wrong."""
    most = 1 << bits - 1
    return [-most, -most + 1, -1, 0, 1, most - 1]


class Bench:
    def __init__(self, rng):
        self.unit = Rescale(**parameters())
        self.rng = rng
        self.widths = {"t": self.unit.t_width, "scale": SCALE_BITS, "offset": OFFSET_BITS}

    def random(self, count):
        """Groups of any numbers, of any size."""
        rng, lanes = self.rng, self.unit.lanes
        groups = {}
        for name, bits in self.widths.items():
            most = 1 << bits - 1
            groups[name] = rng.integers(-most, most, (count, lanes)) >> rng.integers(0, bits, (count, 1))
        bounds = np.sort(rng.integers(-(1 << 16), 1 << 16, (count, 2)) >> rng.integers(0, 17, (count, 1)), axis=1)
        return groups | {
            "shift": rng.integers(0, MAX_SHIFT + 1, count),
            "low": bounds[:, 0],
            "high": bounds[:, 1],
            "zero": rng.integers(0, 2, (count, lanes)) & rng.integers(0, 2, (count, lanes)),
        }

    def spread(self, **columns):
        """Every combination of the ``columns``' values, over lanes and groups; unsaid bounds are the widest."""
        lanes = self.unit.lanes
        rows = np.array(list(product(*columns.values())))
        shift = np.repeat(np.arange(MAX_SHIFT + 1), -(-len(rows) // lanes))
        groups = len(shift)
        index = (np.arange(groups)[:, None] * lanes + np.arange(lanes)) % len(rows)
        values = {name: rows[index, position] for position, name in enumerate(columns)}
        widest = {"low": np.full(groups, -(1 << 16)), "high": np.full(groups, (1 << 16) - 1)}
        return values | widest | {"shift": shift, "zero": np.zeros((groups, lanes), int)}

    async def check(self, dut, groups):
        lanes = self.unit.lanes
        ports = {name: pack(data.ArrayLayout(signed(bits), lanes), groups[name]) for name, bits in self.widths.items()}
        ports |= {name: pack(signed(CLIP_BITS), groups[name]) for name in ("low", "high")}
        ports |= {"shift": groups["shift"], "zero": pack(data.ArrayLayout(1, lanes), groups["zero"])}
        shown = (await play(dut, ports, ["o"], settle=Rescale.latency))["o"][Rescale.latency :]
        got = unpack(data.ArrayLayout(signed(CLIP_BITS), lanes), shown)
        shift, low, high = (groups[name][:, None] for name in ("shift", "low", "high"))
        expected = rescale_folded(groups["t"], groups["scale"], groups["offset"], shift, low, high)
        expected = np.where(groups["zero"], 0, expected)
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
    shift = groups["shift"] = rng.integers(0, 23, 600)
    groups["scale"] = np.where(rng.integers(0, 2, groups["scale"].shape), groups["scale"], 0)
    bound = np.where(rng.integers(0, 2, 600), groups["low"], groups["high"])[:, None]
    near = (bound + rng.integers(-2, 3, groups["t"].shape)) << shift[:, None]
    fraction = rng.integers(0, 1 << shift[:, None], groups["t"].shape)
    groups["offset"] = np.clip(near + fraction - groups["t"] * groups["scale"], -(1 << 39), (1 << 39) - 1)
    await bench.check(dut, groups)


@cocotb.test()
async def a_reset_in_the_middle_leaves_nothing_behind(dut):
    bench = Bench(np.random.default_rng(4))
    await start_clock(dut)
    for cycles in (1, 3, 7):
        await bench.check(dut, bench.random(cycles))
        await reset(dut)
        await bench.check(dut, bench.random(5))


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize(("lanes", "t_width"), [(4, 27), (1, 35), (3, 7)])
def test_rescale(simulator, lanes, t_width):
    sizes = {"lanes": lanes, "t_width": t_width}
    simulate(Rescale(**sizes), __name__, simulator, parameters=sizes)


@pytest.mark.parametrize("t_width", [1, 36])
def test_refuses_an_accumulator_that_does_not_fit(t_width):
    with pytest.raises(ValueError, match=rf"the width of an accumulator must be in 2\.\.35, not {t_width}"):
        Rescale(4, t_width)
