"""Array against the counts of the reference: sums and border sums of whole tiles, group by group, at the promised cycle."""

from itertools import product

import cocotb
import numpy as np
import pytest
from amaranth.hdl import signed
from amaranth.lib import data

from golden.codes import Kind, code_range
from golden.qmm import count
from hw.engine.array import Array
from hw.engine.dpu import Plain
from hw.engine.dpu_ultrascale import PRIMITIVES, Ultrascale
from tb.hw.engine.tiles import random_codes, random_format, tile_steps, timed_steps
from tb.lib.harness import SIMULATORS, parameters, reset, simulate, start_clock
from tb.lib.payload import unpack
from tb.lib.ports import play

OUTPUTS = ["s", "r", "c", "valid", "group"]
MAPPINGS = {mapping.__name__: mapping for mapping in (Plain, Ultrascale)}


def array_of(sizes):
    """The array that a bench runs on, from what JSON can hold."""
    return Array(**{**sizes, "mapping": MAPPINGS[sizes["mapping"]]})


def random_tiles(rng, number, longest):
    """Tiles of up to ``longest`` words, and what the reference counts."""
    unit = array_of(parameters())
    tiles, expected = [], []
    for _ in range(number):
        formats, length = (random_format(rng), random_format(rng)), int(rng.integers(1, longest * unit.depth + 1))
        left = random_codes(rng, (unit.rows, length), *formats[0])
        right = random_codes(rng, (unit.columns, length), *formats[1])
        tiles.append(tile_steps(left, right, *formats, unit.depth))
        expected.append(count(left, right, *formats[0], *formats[1]))
    return tiles, expected


async def check(dut, tiles, expected, stall, rng):
    unit = array_of(parameters())
    ports, ends = timed_steps(tiles, stall, rng, apart=unit.groups)
    shown = await play(dut, ports, OUTPUTS, settle=unit.latency + unit.groups + 5)
    when = [end + unit.latency + group for end in ends for group in range(unit.groups)]
    assert [cycle for cycle, valid in enumerate(shown["valid"]) if valid] == when
    assert [shown["group"][cycle] for cycle in when] == list(range(unit.groups)) * len(tiles)

    def numbers(name, length):
        words = [shown[name][cycle] for cycle in when]
        layout = data.ArrayLayout(signed(unit.accumulator_bits), length)
        return unpack(layout, words).reshape(len(tiles), unit.groups, length)

    s, r = numbers("s", unit.drain_rows * unit.columns), numbers("r", unit.drain_rows)
    c = numbers("c", unit.columns)
    for tile, (sums, of_rows, of_columns) in enumerate(expected):
        assert (s[tile].reshape(sums.shape) == sums).all(), f"s of tile {tile}"
        assert (r[tile].reshape(-1) == of_rows).all(), f"r of tile {tile}"
        assert (c[tile] == of_columns).all(), f"c of tile {tile}"


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.4])
async def counts_any_operands(dut, stall):
    rng = np.random.default_rng(1)
    await start_clock(dut)
    tiles, expected = random_tiles(rng, 12, 3)
    await check(dut, tiles, expected, stall, rng)


@cocotb.test()
async def tiles_may_follow_as_closely_as_their_groups_leave(dut):
    rng = np.random.default_rng(2)
    unit = array_of(parameters())
    bit = (Kind.UNSIGNED, 1)  # a tile is one step
    tiles, expected = [], []
    for _ in range(12):
        left, right = rng.integers(0, 2, (unit.rows, unit.depth)), rng.integers(0, 2, (unit.columns, unit.depth))
        tiles.append(tile_steps(left, right, bit, bit, unit.depth))
        expected.append(count(left, right, *bit, *bit))
    await start_clock(dut)
    await check(dut, tiles, expected, 0.0, rng)


@cocotb.test()
async def full_operands_reach_the_largest_counts(dut):
    rng = np.random.default_rng(3)
    unit = array_of(parameters())
    tiles, expected = [], []
    for kinds in product((Kind.UNSIGNED, Kind.SIGNED), repeat=2):
        for extremes in product((0, 1), repeat=2):
            left, right = (
                np.full((banks, unit.depth), code_range(kind, 8)[extreme])
                for kind, extreme, banks in zip(kinds, extremes, (unit.rows, unit.columns))
            )
            left_format, right_format = ((kind, 8) for kind in kinds)
            tiles.append(tile_steps(left, right, left_format, right_format, unit.depth))
            expected.append(count(left, right, *left_format, *right_format))
    await start_clock(dut)
    await check(dut, tiles, expected, 0.0, rng)


@cocotb.test()
async def nothing_comes_out_after_a_reset_in_the_middle(dut):
    rng = np.random.default_rng(4)
    unit = array_of(parameters())
    await start_clock(dut)
    for cycles in range(1, unit.latency + unit.groups + 1):
        # The last step of a tile, so many cycles before the reset.
        now = dict.fromkeys(("first", "twice", "subtract", "last", "enable"), [1] + [0] * (cycles - 1))
        await play(dut, {"left": [1] * cycles, "right": [1] * cycles, **now}, [])
        await reset(dut)
        tiles, expected = random_tiles(rng, 1, 1)
        await check(dut, tiles, expected, 0.0, rng)


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize(
    ("rows", "columns", "drain_rows", "depth", "mapping"),
    [(4, 4, 2, 16, Plain), (8, 2, 1, 8, Plain), (2, 4, 2, 11, Plain), (2, 2, 1, 32, Plain), (4, 2, 2, 32, Ultrascale)],
)
def test_array(simulator, rows, columns, drain_rows, depth, mapping):
    sizes = {"rows": rows, "columns": columns, "depth": depth, "drain_rows": drain_rows, "accumulator_bits": 24}
    sizes["mapping"] = mapping.__name__
    simulate(array_of(sizes), __name__, simulator, parameters=sizes, models=PRIMITIVES)
