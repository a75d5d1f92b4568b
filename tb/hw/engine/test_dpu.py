"""Dot-product unit against the counts of the reference, and its control against a model of a few lines."""

import cocotb
import numpy as np
import pytest
from amaranth.hdl import signed

from golden.codes import Kind
from golden.qmm import count
from hw.engine.dpu import Border, Dpu, Plain
from hw.engine.dpu_ultrascale import PRIMITIVES, Ultrascale
from tb.hw.engine.tiles import random_codes, random_format, tile_steps, timed_steps
from tb.lib.harness import SIMULATORS, parameters, reset, simulate, start_clock
from tb.lib.payload import unpack
from tb.lib.ports import play

UNITS = {unit.__name__: unit for unit in (Dpu, Border)}
MAPPINGS = {mapping.__name__: mapping for mapping in (Plain, Ultrascale)}
CONTROL = ("first", "twice", "subtract", "enable")


def unit_of(sizes):
    """The unit that a bench runs on, from what JSON can hold."""
    return UNITS[sizes["unit"]](sizes["depth"], sizes["accumulator_bits"], MAPPINGS[sizes["mapping"]])


def lag(unit, name):
    """Cycles that control follows its words."""
    return unit.latency - (2 if name == "subtract" else 1)


def words_of(unit, left, right):
    """Inputs of a unit; a border unit has no right one."""
    return dict(zip(unit.words, (left, right)))


def later(values, cycles, length):
    return ([0] * cycles + list(values))[:length]


def wrapped(number, bits):
    return (number + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


async def check_tiles(dut, number, stall, rng, longest=4):
    """Tiles of one output follow each other; every one leaves through the drain register, the cycle after its last step."""
    unit = unit_of(parameters())
    tiles, expected = [], []
    for _ in range(number):
        (of_left, of_right), length = (
            (random_format(rng), random_format(rng)),
            int(rng.integers(1, longest * unit.depth + 1)),
        )
        left, right = (random_codes(rng, (1, length), *operand) for operand in (of_left, of_right))
        if isinstance(unit, Border):
            of_right, right = (Kind.UNSIGNED, 1), np.ones_like(right)
        tiles.append(tile_steps(left, right, of_left, of_right, unit.depth))
        expected.append(wrapped(int(count(left, right, *of_left, *of_right)[0][0, 0]), unit.accumulator_bits))
    ports, ends = timed_steps(tiles, stall, rng)
    length = len(ports["left"]) + unit.latency + 2
    padded = {name: values + [0] * (length - len(values)) for name, values in ports.items()}
    inputs = words_of(unit, padded["left"], padded["right"])
    for name in CONTROL:
        inputs[name] = later(padded[name], lag(unit, name), length)
    loads = [end + unit.latency for end in ends]
    inputs["load"] = np.isin(np.arange(length), loads)
    shown = (await play(dut, inputs, ["o"], settle=2))["o"]
    got = unpack(signed(unit.accumulator_bits), [shown[load + 1] for load in loads])
    assert (got == expected).all(), np.argwhere(got != expected)[:5]


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.4])
async def counts_any_operands(dut, stall):
    await start_clock(dut)
    await check_tiles(dut, 25, stall, np.random.default_rng(1))


@cocotb.test()
async def counts_again_after_a_reset_in_the_middle(dut):
    rng = np.random.default_rng(2)
    await start_clock(dut)
    unit = unit_of(parameters())
    for _ in range(3):
        busy = {name: rng.integers(0, 2, 11) for name in (*CONTROL, "load")}
        await play(dut, {**words_of(unit, [1] * 11, [1] * 11), **busy}, [])
        await reset(dut)
        await check_tiles(dut, 4, 0.2, rng)


@cocotb.test()
@cocotb.parametrize(full=[0.0, 0.5, 1.0])
async def obeys_any_control(dut, full):
    """``full``: share of words that are all ones."""
    rng = np.random.default_rng(3)
    unit = unit_of(parameters())
    depth, bits, length = unit.depth, unit.accumulator_bits, 400
    left, right = (
        [(1 << depth) - 1 if rng.random() < full else int.from_bytes(rng.bytes(64)) % (1 << depth) for _ in range(length)]
        for _ in range(2)
    )
    control = {name: rng.integers(0, 2, length) for name in (*CONTROL, "load")}
    control["first"] &= rng.integers(0, 2, length)
    start = unit.latency - 1  # of the first words
    control["first"][start] = control["enable"][start] = control["load"][start + 1] = 1
    await start_clock(dut)
    shown = (await play(dut, {**words_of(unit, left, right), **control}, ["o"]))["o"]

    accumulator = o = 0
    for cycle in range(start, length):
        if cycle > start + 1:
            assert shown[cycle] == o, f"cycle {cycle}"
        now = {name: int(values[cycle + lag(unit, name) - start]) for name, values in control.items()}
        if now["load"]:
            o = accumulator % (1 << bits)
        if now["enable"]:
            before = 0 if now["first"] else accumulator << now["twice"]
            word = left[cycle - start] & (right[cycle - start] if len(unit.words) == 2 else -1)
            accumulator = before - word.bit_count() if now["subtract"] else before + word.bit_count()


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize(("depth", "accumulator_bits"), [(128, 24), (64, 16), (13, 9), (1, 4)])
@pytest.mark.parametrize("unit", list(UNITS))
@pytest.mark.parametrize("mapping", list(MAPPINGS))
def test_dpu(simulator, mapping, unit, depth, accumulator_bits):
    sizes = {"unit": unit, "depth": depth, "accumulator_bits": accumulator_bits, "mapping": mapping}
    simulate(unit_of(sizes), __name__, simulator, parameters=sizes, models=PRIMITIVES)
