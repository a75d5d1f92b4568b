"""Row memory: what was loaded comes back two cycles later, also across the banks of a deep one."""

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from hw.vector.row_memory import RowMemory
from hw.vector.row_stream import load_chunk
from isa.memory import ROW_MEMORY_BANK as BANK
from tb.lib.harness import SIMULATORS, StreamSource, simulate, start_clock

WIDTH, DEPTH = 32, 2 * BANK + 9


@cocotb.test()
async def every_bank_holds_its_own_words(dut):
    rng = np.random.default_rng(1)
    source = StreamSource(dut, "i_load", load_chunk(WIDTH, WIDTH), 0.0, rng)
    dut.write_enable.value = 0
    await start_clock(dut)
    places = np.array([0, 1, BANK - 1, BANK, BANK + 1, 2 * BANK - 1, 2 * BANK, DEPTH - 1, 7, BANK + 7, 2 * BANK + 7])
    words = rng.integers(0, 1 << 32, len(places))
    await source.send({"address": places, "chunk": np.zeros(len(places), int), "data": words})
    await ClockCycles(dut.clk, 5)
    order = rng.permutation(np.repeat(np.arange(len(places)), 4))
    got = []
    for index in (*order, 0, 0):
        dut.read_address.value = int(places[index])
        await RisingEdge(dut.clk)
        got.append(dut.read_data.value)
    assert [int(value) for value in got[2:]] == words[order].tolist()


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_row_memory(simulator):
    simulate(RowMemory(DEPTH, WIDTH, WIDTH, 0), __name__, simulator)
