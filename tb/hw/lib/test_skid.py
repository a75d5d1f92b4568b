"""Skid buffer: everything passes once, in order, one a cycle."""

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles

from hw.lib.skid import Skid
from tb.lib.harness import SIMULATORS, StreamSink, StreamSource, reset, simulate, start_clock

COUNT = 200


def drivers(dut, stalls, rng):
    return StreamSource(dut, "i", 20, stalls[0], rng), StreamSink(dut, "o", 20, stalls[1], rng)


@cocotb.test()
@cocotb.parametrize(stalls=[(0.0, 0.0), (0.0, 0.5), (0.5, 0.0), (0.5, 0.5), (0.1, 0.9)])
async def passes_everything_in_order(dut, stalls):
    rng = np.random.default_rng(1)
    values = rng.integers(0, 1 << 20, COUNT)
    await start_clock(dut)
    source, sink = drivers(dut, stalls, rng)
    source.send(values)
    assert (await sink.receive(COUNT) == values).all()
    await sink.expect_nothing()


@cocotb.test()
async def one_a_cycle_and_two_when_blocked(dut):
    rng = np.random.default_rng(2)
    await start_clock(dut)
    source, sink = drivers(dut, (0.0, 0.0), rng)
    values = rng.integers(0, 1 << 20, COUNT)
    source.send(values)
    await ClockCycles(dut.clk, 5)
    assert dut.i__ready.value == 0
    dut.o__ready.value = 1
    received = cocotb.start_soon(sink.receive(COUNT))
    await ClockCycles(dut.clk, COUNT + 1)
    assert received.done()
    assert (received.result() == values).all()


@cocotb.test()
async def forgets_at_reset(dut):
    rng = np.random.default_rng(3)
    await start_clock(dut)
    source, sink = drivers(dut, (0.0, 0.0), rng)
    source.send(rng.integers(0, 1 << 20, COUNT))
    await ClockCycles(dut.clk, 5)
    await reset(dut, source, sink)
    source.send(np.array([7, 8, 9]))
    assert (await sink.receive(3) == [7, 8, 9]).all()
    await sink.expect_nothing()


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_skid(simulator):
    simulate(Skid(20), __name__, simulator)
