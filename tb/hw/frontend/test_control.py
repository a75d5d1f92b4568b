"""Control against the register map, over AXI4-Lite with random pauses."""

import logging

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from hw.frontend.control import FAILURE, SETTINGS, Control, event_layout
from hw.instruction import ERROR
from isa.errors import Error
from isa.presets import preset
from isa.registers import ADDRESS, COUNTERS, IDENTIFICATION, LENGTHS, REGISTERS, VERSION, RegisterAccess, Status
from tb.lib.harness import SIMULATORS, parameters, reset, simulate, start_clock
from tb.lib.payload import pack, unpack

NOT_SETTINGS = ("control", "interrupt", "interrupt_enable")
SETTING_REGISTERS = [r for r in REGISTERS if r.access is RegisterAccess.WRITE and r.name not in NOT_SETTINGS]
KEPT_BITS = {"image_base_high": 8, "input_base_high": 8, "output_base_high": 8} | dict.fromkeys(LENGTHS, 16)


class Bench:
    def __init__(self, dut, stall, seed):
        self.dut = dut
        self.config = preset(parameters()["preset"])
        self.rng = np.random.default_rng(seed)
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.ERROR)
        for name in ("i_busy", "i_done", "i_failure", "i_events"):
            getattr(dut, name).value = 0
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "axi_"), dut.clk, dut.rst)
        if stall:
            write, read = self.master.write_if, self.master.read_if
            for channel in (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel):
                channel.set_pause_generator(self._pauses(stall))
        self.starts = 0
        cocotb.start_soon(self._watch())

    def _pauses(self, stall):
        while True:
            yield from (self.rng.random(1000) < stall).tolist()

    async def _watch(self):
        while True:
            await RisingEdge(self.dut.clk)
            if not self.dut.rst.value and self.dut.o_start.value:
                self.starts += 1
                self.dut.i_busy.value = 1

    async def write(self, register, value, response=AxiResp.OKAY):
        address = ADDRESS[register] if isinstance(register, str) else register
        answer = await self.master.write(address, int(value).to_bytes(4, "little"))
        assert answer.resp == response

    async def read(self, register, response=AxiResp.OKAY):
        address = ADDRESS[register] if isinstance(register, str) else register
        answer = await self.master.read(address, 4)
        assert answer.resp == response
        return int.from_bytes(answer.data, "little")

    def settings(self):
        (values,) = [unpack(SETTINGS, [int(self.dut.o_settings.value)])]
        return {name: value[0].tolist() for name, value in values.items()}

    async def end(self, failure=None):
        """The last cycle of a run."""
        if failure is None:
            self.dut.i_done.value = 1
        else:
            code, instruction = failure
            (self.dut.i_failure.value,) = pack(FAILURE, {"valid": [1], "code": [code], "instruction": [instruction]})
        await RisingEdge(self.dut.clk)
        self.dut.i_done.value = self.dut.i_failure.value = self.dut.i_busy.value = 0


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def keeps_what_is_written(dut, stall):
    bench = Bench(dut, stall, 1)
    await start_clock(dut)
    for _ in range(3):
        values = {r.name: int(bench.rng.integers(0, 1 << KEPT_BITS.get(r.name, 32))) for r in SETTING_REGISTERS}
        for name in bench.rng.permutation(list(values)):
            await bench.write(str(name), values[name])
        for name, value in values.items():
            assert await bench.read(name) == value, name
        settings = bench.settings()
        for region in ("image", "input", "output"):
            assert settings[f"{region}_base"] == values[f"{region}_base_low"] | values[f"{region}_base_high"] << 32
        for name in ("program_offset", "program_length", "watchdog"):
            assert settings[name] == values[name]
        assert settings["lengths"] == [values[name] for name in LENGTHS]
    assert bench.starts == 0


@cocotb.test()
async def describes_itself(dut):
    bench = Bench(dut, 0.2, 2)
    c = bench.config
    await start_clock(dut)

    def logs(*numbers):
        return sum((n.bit_length() - 1) << 8 * i for i, n in enumerate(numbers))

    assert await bench.read("identification") == IDENTIFICATION
    assert await bench.read("version") == VERSION
    assert await bench.read("shape") == logs(c.rows, c.columns, c.depth, c.drain)
    assert await bench.read("lanes") == logs(c.row_lanes, c.axi_bits, c.ports)
    assert await bench.read("configuration") == c.checksum


@cocotb.test()
async def refuses_addresses_without_a_register(dut):
    bench = Bench(dut, 0.2, 3)
    await start_clock(dut)
    known = set(ADDRESS.values())
    holes = [a for a in range(0, 0x1000, 4) if a not in known]
    for address in [*holes[:12], max(known) + 4, 0xFFC, 0x200, *bench.rng.choice(holes, 10).tolist()]:
        assert await bench.read(address, AxiResp.SLVERR) == 0
        await bench.write(address, 0xFFFFFFFF, AxiResp.SLVERR)
    for register in REGISTERS:
        value = await bench.read(register.name)
        if register.access is RegisterAccess.READ:
            await bench.write(register.name, ~value & 0xFFFFFFFF)
            assert await bench.read(register.name) == value
    assert bench.starts == 0


@cocotb.test()
async def obeys_byte_strobes(dut):
    bench = Bench(dut, 0.0, 4)
    await start_clock(dut)
    await bench.write("watchdog", 0x11223344)
    await bench.master.write(ADDRESS["watchdog"] + 1, b"\xaa\xbb")
    assert await bench.read("watchdog") == 0x11BBAA44
    await bench.master.write(ADDRESS["control"] + 1, b"\x01")
    assert bench.starts == 0


@cocotb.test()
async def starts_once_and_holds_settings_while_busy(dut):
    bench = Bench(dut, 0.3, 5)
    await start_clock(dut)
    await bench.write("length3", 77)
    await bench.write("control", 2)
    assert bench.starts == 0
    await bench.write("control", 1)
    await ClockCycles(dut.clk, 2)
    assert bench.starts == 1
    for register in SETTING_REGISTERS:
        before = await bench.read(register.name)
        await bench.write(register.name, 0xFFFFFFFF)
        assert await bench.read(register.name) == before
    await bench.write("control", 1)
    assert await bench.read("status") == 1 << Status.BUSY
    await bench.write("interrupt_enable", 1)
    assert await bench.read("interrupt_enable") == 1
    await bench.end()
    assert bench.starts == 1
    assert bench.settings()["lengths"] == [0, 0, 0, 77, 0, 0, 0, 0]
    assert await bench.read("status") == 1 << Status.DONE


@cocotb.test()
async def latches_errors_until_the_next_start(dut):
    bench = Bench(dut, 0.1, 6)
    await start_clock(dut)
    for error, instruction in [(Error.NO_HALT, 65535), (Error.ILLEGAL_OPCODE, 0), (Error.AXI_READ, 1234)]:
        await bench.write("control", 1)
        await ClockCycles(dut.clk, 2)
        assert await bench.read("status") == 1 << Status.BUSY
        assert await bench.read("error_code") == 0
        assert await bench.read("error_instruction") == 0
        await bench.end((error, instruction))
        assert await bench.read("status") == 1 << Status.ERROR
        assert await bench.read("error_code") == error
        assert await bench.read("error_instruction") == instruction


@cocotb.test()
async def stops_a_run_that_the_host_aborts_or_that_takes_too_long(dut):
    bench = Bench(dut, 0.2, 11)
    await start_clock(dut)

    def stop():
        value = unpack(ERROR, [int(dut.o_stop.value)])
        return Error(int(value["code"][0])) if value["valid"][0] else None

    await bench.write("control", 2)  # nothing is going on
    await ClockCycles(dut.clk, 3)
    for _ in range(2):
        await bench.write("control", 1)
        await ClockCycles(dut.clk, 100)
        assert stop() is None
        await bench.write("control", 2)
        await ClockCycles(dut.clk, 20)
        assert stop() is Error.ABORTED
        await bench.end((Error.ABORTED, 3))
        await ClockCycles(dut.clk, 3)
        assert stop() is None
        assert await bench.read("error_code") == Error.ABORTED
    for deadline in (40, 300):
        await bench.write("deadline", deadline)
        starting = cocotb.start_soon(bench.write("control", 1))
        while not dut.o_start.value:
            await RisingEdge(dut.clk)
        cycles = 0
        while stop() is None:
            await RisingEdge(dut.clk)
            cycles += 1
        assert stop() is Error.DEADLINE
        assert deadline <= cycles <= deadline + 5
        await starting
        await bench.end((Error.DEADLINE, 3))


@cocotb.test()
async def a_run_that_ends_without_a_word_is_lost(dut):
    bench = Bench(dut, 0.2, 12)
    await start_clock(dut)
    await bench.write("interrupt_enable", 1)
    for _ in range(2):
        await bench.write("control", 1)
        await ClockCycles(dut.clk, 30)
        dut.i_busy.value = 0
        await ClockCycles(dut.clk, 3)
        assert dut.o_interrupt.value == 1
        assert await bench.read("status") == 1 << Status.ERROR
        assert await bench.read("error_code") == Error.LOST
        await bench.write("interrupt", 1)


@cocotb.test()
async def interrupts_until_acknowledged(dut):
    bench = Bench(dut, 0.1, 7)
    await start_clock(dut)
    for failure in (None, (Error.SHAPE, 3)):
        for enabled in (1, 0):
            await bench.write("interrupt_enable", enabled)
            await bench.write("control", 1)
            await ClockCycles(dut.clk, 5)
            assert dut.o_interrupt.value == 0
            await bench.end(failure)
            await ClockCycles(dut.clk, 2)
            assert dut.o_interrupt.value == enabled
            assert await bench.read("interrupt") == 1
            await bench.write("interrupt", 0)
            assert await bench.read("interrupt") == 1
            await bench.write("interrupt", 1)
            assert await bench.read("interrupt") == 0
            assert dut.o_interrupt.value == 0


@cocotb.test()
async def counts_events_while_busy(dut):
    bench = Bench(dut, 0.0, 8)
    await start_clock(dut)
    layout = event_layout(bench.config.row_lanes)
    cycles = 500
    for _ in range(2):
        events = {name: np.ones(cycles, int) for name, _ in COUNTERS if name != "cycles"}
        events["instructions"] = bench.rng.integers(0, 4, cycles)
        events["saturations"] = bench.rng.integers(0, 2 * bench.config.row_lanes + 1, cycles)
        for place, name in enumerate(events):  # different rates, so that no two counters agree by chance
            events[name] *= bench.rng.random(cycles) < 0.1 + 0.04 * place
        words = pack(layout, events)
        dut.i_events.value = 0
        starting = cocotb.start_soon(bench.write("control", 1))
        while not dut.o_start.value:
            await RisingEdge(dut.clk)
        for word in words[:-1]:
            dut.i_events.value = word
            await RisingEdge(dut.clk)
        dut.i_events.value = words[-1]
        await bench.end()
        await starting
        await ClockCycles(dut.clk, 5)
        assert await bench.read("counter_cycles") == cycles
        for name, amounts in events.items():
            assert await bench.read(f"counter_{name}") == amounts.sum(), name


@cocotb.test()
async def reset_clears_everything(dut):
    bench = Bench(dut, 0.3, 9)
    await start_clock(dut)
    await bench.write("watchdog", 0xFFFFFFFF)
    writing = cocotb.start_soon(bench.master.write(ADDRESS["length0"], b"\x05\x00\x00\x00"))
    await ClockCycles(dut.clk, 3)
    await reset(dut)
    writing.cancel()
    await ClockCycles(dut.clk, 2)
    assert await bench.read("watchdog") == 0
    assert await bench.read("status") == 0
    assert await bench.read("length0") == 0


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("preset_name", ["tiny", "zcu102"])
def test_control(preset_name, simulator):
    simulate(Control(preset(preset_name)), __name__, simulator, parameters={"preset": preset_name})
