"""Watchdog: silence is counted, and where any is allowed it expires never but is told after a while."""

import cocotb
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from hw.frontend.watchdog import PATIENCE, Watchdog
from tb.lib.harness import SIMULATORS, simulate, start_clock

MARGIN = 4  #: cycles of its registers


@cocotb.test()
async def expires_after_so_many_silent_cycles_and_never_while_something_moves(dut):
    dut.i_limit.value, dut.i_moving.value = 100, 1
    await start_clock(dut)
    await ClockCycles(dut.clk, 300)
    assert dut.o_expired.value == dut.o_quiet.value == 0
    for _ in range(2):
        dut.i_moving.value = 0
        await ClockCycles(dut.clk, 99)
        assert dut.o_expired.value == dut.o_quiet.value == 0
        await ClockCycles(dut.clk, 1 + MARGIN)
        assert dut.o_expired.value == dut.o_quiet.value == 1
        dut.i_moving.value = 1
        await ClockCycles(dut.clk, 2)
        assert dut.o_expired.value == dut.o_quiet.value == 0


@cocotb.test()
async def is_quiet_but_not_expired_where_any_silence_is_allowed(dut):
    dut.i_limit.value, dut.i_moving.value = 0, 1
    await start_clock(dut, most=2 * PATIENCE)
    dut.i_moving.value = 0
    await ClockCycles(dut.clk, PATIENCE - 1)
    assert dut.o_quiet.value == 0
    for _ in range(100):
        await RisingEdge(dut.clk)
        assert dut.o_expired.value == 0
    assert dut.o_quiet.value == 1


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_watchdog(simulator):
    simulate(Watchdog(), __name__, simulator)
