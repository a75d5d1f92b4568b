"""AXI writer against a memory with random pauses: what is written, when it is done, errors, discard, and the protocol."""

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from hw.axi.axi import WRITE_REQUEST
from hw.axi.writer import AxiWriter
from tb.lib.axi_memory import AxiMemory
from tb.lib.axi_monitor import AxiMonitor
from tb.lib.harness import SIMULATORS, StreamSource, parameters, reset, simulate, start_clock

SIZE = 1 << 16
WIDTHS = [64, 512]


class Bench:
    def __init__(self, dut, stall, seed):
        self.dut, self.axi_bits = dut, parameters()["axi_bits"]
        self.width = self.axi_bits // 8
        self.rng = np.random.default_rng(seed)
        dut.discard.value = 0
        self.memory = AxiMemory(dut, "axi_", SIZE, stall, self.rng)
        self.monitor = AxiMonitor(dut, "axi__", self.axi_bits)
        self.requests = StreamSource(dut, "i_request", WRITE_REQUEST, stall, self.rng)
        self.data = StreamSource(dut, "i_data", self.axi_bits, stall, self.rng)
        self.done = self.errors = self.cycles = 0
        cocotb.start_soon(self._count())

    async def _count(self):
        while True:
            await RisingEdge(self.dut.clk)
            if not self.dut.rst.value:
                self.cycles += 1
                self.done += int(self.dut.o_done.value)
                self.errors += int(self.dut.error.value)

    def send(self, places):
        """Start writing random beats to ``places``, pairs of address and beats; returns the memory as it must become."""
        expected = self.memory.bytes.copy()
        words = []
        for address, beats in places:
            content = self.rng.integers(0, 256, beats * self.width, np.uint8)
            expected[address : address + len(content)] = content
            words += [int.from_bytes(row.tobytes(), "little") for row in content.reshape(beats, self.width)]
        self.requests.send({"address": np.array([a for a, _ in places]), "beats": np.array([b for _, b in places])})
        self.data.send(np.array(words, object))
        return expected

    def places(self, count, most=70):
        beats = self.rng.integers(1, most + 1, count)
        return [(int(self.rng.integers(0, SIZE // self.width - n + 1)) * self.width, int(n)) for n in beats]

    async def until(self, done, patience=20_000):
        for _ in range(patience):
            if self.done == done:
                return
            await RisingEdge(self.dut.clk)
        raise AssertionError(f"{self.done} of {done} requests done after {patience} cycles")

    async def check(self, places):
        done = self.done
        expected = self.send(places)
        await self.until(done + len(places))
        assert (self.memory.bytes == expected).all()
        assert not self.errors

    async def finish(self):
        done = self.done
        await ClockCycles(self.dut.clk, 50)
        self.monitor.assert_quiet()
        assert self.dut.idle.value == 1
        assert self.done == done


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.2, 0.7])
async def writes_the_right_beats(dut, stall):
    bench = Bench(dut, stall, 1)
    await start_clock(dut)
    for _ in range(4):
        await bench.check(bench.places(10))
    await bench.finish()


@cocotb.test()
async def splits_at_boundaries(dut):
    bench = Bench(dut, 0.1, 2)
    await start_clock(dut)
    w = bench.width
    places = [(4096 - w, 1), (4096, 1), (8192 - w, 2), (12288, 16), (16384 + w, 17), (20480 + w, 15), (28672 - 5 * w, 300)]
    await bench.check(places)
    await bench.finish()
    assert sum(beats for _, beats in bench.monitor.writes) == bench.monitor.write_beats == 352


@cocotb.test()
async def keeps_the_bus_busy(dut):
    bench = Bench(dut, 0.0, 3)
    await start_clock(dut)
    bench.cycles = 0
    await bench.check([(0, 512)])
    assert bench.cycles < 512 + 100, f"512 beats took {bench.cycles} cycles"


@cocotb.test()
async def reports_error_answers_and_is_not_done(dut):
    bench = Bench(dut, 0.3, 4)
    await start_clock(dut)
    w = bench.width
    bench.memory.bad = range(20 * w, 21 * w)
    bench.send([(0, 16), (16 * w, 40), (64 * w, 3)])
    await bench.until(2)
    await bench.finish()
    assert bench.errors == 1


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5], wait=[3, 20, 47])
async def discard_finishes_bursts_without_writing(dut, stall, wait):
    bench = Bench(dut, stall, 5)
    await start_clock(dut)
    for _ in range(5):
        before = bench.memory.bytes.copy()
        # Each in its own eighth of memory: every byte has one old and one new value.
        places = [(n * (SIZE // 8) + address % (SIZE // 16), beats) for n, (address, beats) in enumerate(bench.places(5))]
        expected = bench.send(places)
        await ClockCycles(dut.clk, wait)
        dut.discard.value = 1
        await RisingEdge(dut.clk)
        bench.requests.forget()
        bench.data.forget()
        await RisingEdge(dut.clk)
        done = bench.done
        for _ in range(3000):
            await RisingEdge(dut.clk)
            if dut.idle.value:
                break
        dut.discard.value = 0
        await RisingEdge(dut.clk)
        assert bench.done == done
        bench.monitor.assert_quiet()
        now = bench.memory.bytes
        assert ((now == before) | (now == expected)).all()
        await bench.check(bench.places(3))
    await bench.finish()


@cocotb.test()
async def pads_bursts_that_finish_after_discard(dut):
    bench = Bench(dut, 0.0, 6)
    await start_clock(dut)
    bench.send([(0, 200)])
    await ClockCycles(dut.clk, 40)
    bench.memory.silence()
    await ClockCycles(dut.clk, 40)
    dut.discard.value = 1
    await RisingEdge(dut.clk)
    bench.requests.forget()
    bench.data.forget()
    await ClockCycles(dut.clk, 5)
    assert dut.idle.value == 0
    dut.discard.value = 0
    await ClockCycles(dut.clk, 5)
    content = bench.memory.bytes.copy()
    expected = bench.send([(32768, 20)])
    await ClockCycles(dut.clk, 50)
    bench.memory.speak()
    await bench.until(1)
    # Beats that were on their way before the silence may still have been written.
    assert (bench.memory.bytes[32768:] == expected[32768:]).all()
    assert (bench.memory.bytes[:32768] != content[:32768]).sum() <= 8 * bench.width
    await bench.finish()


@cocotb.test()
async def works_after_reset_in_the_middle(dut):
    bench = Bench(dut, 0.3, 7)
    await start_clock(dut)
    for _ in range(3):
        bench.send(bench.places(5))
        await ClockCycles(dut.clk, int(bench.rng.integers(20, 80)))
        await reset(dut, bench.requests, bench.data)
        assert dut.idle.value == 1
        await bench.check(bench.places(3))
    await bench.finish()


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("axi_bits", WIDTHS)
def test_axi_writer(axi_bits, simulator):
    simulate(AxiWriter(axi_bits), __name__, simulator, parameters={"axi_bits": axi_bits})
