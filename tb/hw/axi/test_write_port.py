"""Wide beats through a narrow port: what is written, when it is done, errors and discard, and the protocol."""

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from hw.axi.axi import WRITE_REQUEST
from hw.axi.write_port import WritePort
from tb.lib.axi_memory import AxiMemory
from tb.lib.axi_monitor import AxiMonitor
from tb.lib.harness import SIMULATORS, StreamSource, parameters, reset, simulate, start_clock

SIZE = 1 << 14
SIZES = [(64, 1), (128, 4)]  # axi_bits, ports


class Bench:
    def __init__(self, dut, stall, seed):
        self.dut = dut
        self.axi_bits, self.ports = parameters()["size"]
        self.width = self.axi_bits // 8
        self.rng = np.random.default_rng(seed)
        dut.discard.value = 0
        self.memory = AxiMemory(dut, "axi_", SIZE, stall, self.rng)
        self.monitor = AxiMonitor(dut, "axi__", self.axi_bits // self.ports)
        self.requests = StreamSource(dut, "i_request", WRITE_REQUEST, stall, self.rng)
        self.data = StreamSource(dut, "i_data", self.axi_bits, stall, self.rng)
        self.done = self.errors = self.beats = 0
        cocotb.start_soon(self._count())

    async def _count(self):
        while True:
            await RisingEdge(self.dut.clk)
            if not self.dut.rst.value:
                self.done += int(self.dut.o_done.value)
                self.errors += int(self.dut.error.value)
                self.beats += int(self.dut.beat.value)

    def send(self, count, most=12):
        """Start writing random beats to random places, each in its own part of memory; the memory as it must become."""
        expected, words, places = self.memory.bytes.copy(), [], []
        for part in range(count):
            beats = int(self.rng.integers(1, most + 1))
            first = part * (SIZE // count) // self.width + int(self.rng.integers(0, SIZE // count // self.width - beats))
            content = self.rng.integers(0, 256, beats * self.width, np.uint8)
            expected[first * self.width : (first + beats) * self.width] = content
            words += [int.from_bytes(row.tobytes(), "little") for row in content.reshape(beats, self.width)]
            places.append((first * self.width, beats))
        self.requests.send({"address": np.array([a for a, _ in places]), "beats": np.array([b for _, b in places])})
        self.data.send(np.array(words, object))
        return expected, len(words)

    async def until(self, done):
        for _ in range(20_000):
            if self.done == done:
                return
            await RisingEdge(self.dut.clk)
        raise AssertionError(f"{self.done} of {done} requests are done")

    async def check(self, count):
        done, beats = self.done, self.beats
        expected, words = self.send(count)
        await self.until(done + count)
        await ClockCycles(self.dut.clk, 3)
        assert (self.memory.bytes == expected).all()
        assert self.beats - beats == words
        assert self.dut.idle.value == 1
        self.monitor.assert_quiet()


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.3])
async def writes_the_right_beats(dut, stall):
    bench = Bench(dut, stall, 1)
    await start_clock(dut)
    for _ in range(3):
        await bench.check(6)
    assert not bench.errors


@cocotb.test()
async def reports_errors(dut):
    bench = Bench(dut, 0.2, 2)
    await start_clock(dut)
    bench.memory.bad = range(SIZE)
    bench.send(1)
    await ClockCycles(dut.clk, 400)
    assert (bench.done, bench.errors > 0) == (0, True)
    bench.memory.bad = range(0)
    await bench.check(2)


@cocotb.test()
@cocotb.parametrize(wait=[5, 12, 23, 34])
async def discard_forgets_half_a_beat_too(dut, wait):
    bench = Bench(dut, 0.2, 3)
    await start_clock(dut)
    for _ in range(3):
        bench.send(4)
        await ClockCycles(dut.clk, wait)
        dut.discard.value = 1
        await RisingEdge(dut.clk)
        bench.requests.forget()
        bench.data.forget()
        for _ in range(1000):
            await RisingEdge(dut.clk)
            if dut.idle.value:
                break
        dut.discard.value = 0
        await RisingEdge(dut.clk)
        await bench.check(3)


@cocotb.test()
async def works_after_reset_in_the_middle(dut):
    bench = Bench(dut, 0.2, 4)
    await start_clock(dut)
    for wait in (7, 18, 33):
        bench.send(4)
        await ClockCycles(dut.clk, wait)
        await reset(dut, bench.requests, bench.data)
        await bench.check(2)


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}/{size[1]}")
def test_write_port(size, simulator):
    simulate(WritePort(*size), __name__, simulator, parameters={"size": size})
