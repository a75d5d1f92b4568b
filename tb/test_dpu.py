"""Dot-product unit against the counts of the reference, and its control against a model of a few lines."""

import cocotb
import numpy as np
import pytest
from amaranth.hdl import signed

from golden.qmm import count
from hw.dpu import Dpu
from tb.harness import SIMULATORS, parameters, reset, simulate, start_clock
from tb.payload import unpack
from tb.ports import play
from tb.tiles import random_codes, random_format, tile_steps, timed_steps

CONTROL = ("first", "twice", "subtract", "enable")
LAG = Dpu.latency - 1  # control follows its words


def later(values, cycles, length):
    return ([0] * cycles + list(values))[:length]


def wrapped(number, bits):
    return (number + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


async def check_tiles(dut, number, stall, rng, longest=4):
    """Tiles of one output follow each other; every one leaves through the drain register, the cycle after its last step."""
    depth, bits = parameters()["depth"], parameters()["accumulator_bits"]
    tiles, expected = [], []
    for _ in range(number):
        formats, length = (random_format(rng), random_format(rng)), int(rng.integers(1, longest * depth + 1))
        left, right = (random_codes(rng, (1, length), *operand) for operand in formats)
        tiles.append(tile_steps(left, right, *formats, depth))
        expected.append(wrapped(int(count(left, right, *formats[0], *formats[1])[0][0, 0]), bits))
    ports, ends = timed_steps(tiles, stall, rng)
    length = len(ports["left"]) + LAG + 3
    inputs = {name: ports[name] + [0] * (length - len(ports[name])) for name in ("left", "right")}
    for name in CONTROL:
        inputs[name] = later(ports[name] + [0] * 3, LAG, length)
    loads = [end + LAG + 1 for end in ends]
    inputs["load"] = np.isin(np.arange(length), loads)
    inputs["shift"] = inputs["chain_in"] = [0] * length
    shown = (await play(dut, inputs, ["chain_out"], settle=2))["chain_out"]
    got = unpack(signed(bits), [shown[load + 1] for load in loads])
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
    for _ in range(3):
        busy = {name: rng.integers(0, 2, 11) for name in (*CONTROL, "load", "shift")}
        await play(dut, {"left": [1] * 11, "right": [1] * 11, **busy}, [])
        await reset(dut)
        await check_tiles(dut, 4, 0.2, rng)


@cocotb.test()
@cocotb.parametrize(full=[0.0, 0.5, 1.0])
async def obeys_any_control(dut, full):
    """``full``: share of words that are all ones."""
    rng = np.random.default_rng(3)
    depth, bits = parameters()["depth"], parameters()["accumulator_bits"]
    length = 400
    words = {
        name: [(1 << depth) - 1 if rng.random() < full else int(w) for w in rng.integers(0, 1 << depth, length, np.uint64)]
        for name in ("left", "right")
    }
    control = {name: rng.integers(0, 2, length) for name in (*CONTROL, "load", "shift")}
    control["first"] &= rng.integers(0, 2, length)
    chain_in = rng.integers(0, 1 << bits, length)
    control["first"][LAG] = control["enable"][LAG] = control["load"][LAG + 1] = 1
    await start_clock(dut)
    shown = await play(dut, {**words, **control, "chain_in": chain_in}, ["chain_out"])

    accumulator = chain_out = 0
    for cycle in range(LAG, length):
        if cycle > LAG + 1:
            assert shown["chain_out"][cycle] == chain_out, f"cycle {cycle}"
        now = {name: int(values[cycle]) for name, values in control.items()}
        if now["load"]:
            chain_out = accumulator % (1 << bits)
        elif now["shift"]:
            chain_out = int(chain_in[cycle])
        if now["enable"]:
            before = 0 if now["first"] else accumulator << now["twice"]
            ones = (words["left"][cycle - LAG] & words["right"][cycle - LAG]).bit_count()
            accumulator = before - ones if now["subtract"] else before + ones


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize(("depth", "accumulator_bits"), [(63, 24), (13, 9), (1, 4)])
def test_dpu(simulator, depth, accumulator_bits):
    sizes = {"depth": depth, "accumulator_bits": accumulator_bits}
    simulate(Dpu(**sizes), __name__, simulator, parameters=sizes)
