"""Reciprocals against their reference: every bit length, both ends of each, random gaps."""

import cocotb
import numpy as np
import pytest
from cocotb.triggers import RisingEdge

from golden.reciprocal import reciprocal, reciprocal_sqrt
from hw.vector.reciprocal import Reciprocal, ReciprocalSqrt
from tb.lib.harness import SIMULATORS, parameters, reset, simulate, start_clock

UNITS = {"reciprocal": (Reciprocal, reciprocal), "reciprocal_sqrt": (ReciprocalSqrt, reciprocal_sqrt)}


def arguments(rng, width):
    """Powers of two and their neighbours, and random numbers of every bit length."""
    powers = 1 << np.arange(width, dtype=np.int64)
    random = [rng.integers(power, 2 * power, 20) for power in powers.tolist()]
    numbers = np.concatenate([powers, powers[1:] - 1, powers + 1, 2 * powers - 1, *random])
    return rng.permutation(numbers[numbers < 1 << width])


async def run(dut, numbers, stall, rng):
    """Results for ``numbers``, sent with gaps; each must come ``latency`` cycles after its argument."""
    unit, reference = UNITS[parameters()["unit"]]
    latency = unit(parameters()["width"]).latency
    results, due, waiting = [], [], numbers.tolist()
    cycle = 0
    while len(results) < len(numbers):
        send = bool(waiting) and rng.random() >= stall
        dut.i_valid.value = send
        dut.i.value = waiting.pop(0) if send else int(rng.integers(1, 1 << 17))
        if send:
            due.append(cycle + latency)
        await RisingEdge(dut.clk)
        valid = int(dut.o_valid.value)
        assert valid == (bool(due) and due[0] == cycle), f"cycle {cycle}, expected {due[:1]}"
        if valid:
            due.pop(0)
            results.append((int(dut.o.value), int(dut.o_exponent.value)))
        cycle += 1
    dut.i_valid.value = 0
    assert results == list(zip(*(part.tolist() for part in reference(numbers)), strict=True))


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def matches_reference(dut, stall):
    rng = np.random.default_rng(1)
    await start_clock(dut)
    await run(dut, arguments(rng, parameters()["width"]), stall, rng)


@cocotb.test()
async def forgets_what_a_reset_interrupts(dut):
    rng = np.random.default_rng(2)
    await start_clock(dut)
    dut.i_valid.value, dut.i.value = 1, 3
    for _ in range(5):
        await RisingEdge(dut.clk)
    dut.i_valid.value = 0
    await reset(dut)
    await run(dut, np.array([5, 70_000, 1]), 0.5, rng)


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("width", [18, 28, 56])
@pytest.mark.parametrize("unit", UNITS)
def test_reciprocal(simulator, unit, width):
    simulate(UNITS[unit][0](width), __name__, simulator, parameters={"unit": unit, "width": width})


def test_rejects_a_wide_argument():
    with pytest.raises(ValueError, match=r"must be in 18\.\.62, not 63"):
        Reciprocal(63)
