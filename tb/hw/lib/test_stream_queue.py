"""Queue in registers: everything comes out once and in order, and it holds one more than its depth."""

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles
from cocotb.utils import get_sim_time

from hw.lib.stream_queue import StreamQueue
from tb.lib.harness import SIMULATORS, StreamSink, StreamSource, parameters, reset, simulate, start_clock
from tb.lib.words import naming


async def check(source, sink, rng, count=200):
    words = rng.integers(0, 2**13, count)
    source.send(words)
    assert (await sink.receive(count) == words).all()
    await sink.expect_nothing(5)


@cocotb.test()
@cocotb.parametrize(stalls=[(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.4, 0.4)])
async def words_pass_in_order(dut, stalls):
    rng = np.random.default_rng(1)
    source, sink = (
        driver(dut, name, 13, stall, rng)
        for driver, name, stall in zip((StreamSource, StreamSink), "io", stalls, strict=True)
    )
    await start_clock(dut)
    start = get_sim_time("ns")
    await check(source, sink, rng)
    assert any(stalls) or parameters()["depth"] < 4 or get_sim_time("ns") - start <= 5 * 210


@cocotb.test()
async def holds_its_depth_and_forgets_it_at_reset(dut):
    rng = np.random.default_rng(2)
    source, sink = StreamSource(dut, "i", 13, 0.0, rng), StreamSink(dut, "o", 13, 0.0, rng)
    await start_clock(dut)
    depth = parameters()["depth"]
    await source.send(np.arange(depth + 1))
    await ClockCycles(dut.clk, 5)
    assert dut.i__ready.value == 0
    await reset(dut, source, sink)
    await check(source, sink, rng)


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("depth", [2, 4])
def test_stream_queue(simulator, depth):
    simulate(StreamQueue(13, depth), __name__, simulator, parameters={"depth": depth})


def test_rejects_a_depth_that_is_no_power_of_two():
    with pytest.raises(ValueError, match=naming("power of two", "at least 2", 3)):
        StreamQueue(8, 3)
