"""AXI reader against a memory with random pauses: data, order, tags, errors, discard, and the protocol."""

import cocotb
import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from cocotb.triggers import ClockCycles, RisingEdge

from hw.axi.axi import READ_REQUEST, AxiRead, read_data_layout
from hw.axi.bursts import AxiBursts
from hw.axi.reader import SILENCE, AxiReader
from tb.lib.axi_memory import AxiMemory
from tb.lib.axi_monitor import AxiMonitor
from tb.lib.harness import SIMULATORS, StreamSink, StreamSource, parameters, reset, simulate, start_clock
from tb.lib.words import naming

SIZE = 1 << 16
WIDTHS = [64, 512]


class ReaderOfRequests(wiring.Component):
    """The reader behind what cuts requests for it."""

    def __init__(self, axi_bits):
        self.axi_bits = axi_bits
        super().__init__(
            {
                "i": In(stream.Signature(READ_REQUEST)),
                "o": Out(stream.Signature(read_data_layout(axi_bits))),
                "discard": In(1),
                "idle": Out(1),
                "axi": Out(AxiRead(axi_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.bursts = bursts = AxiBursts(self.axi_bits, 16)
        m.submodules.reader = reader = AxiReader(self.axi_bits)
        wiring.connect(m, wiring.flipped(self.i), bursts.i)
        wiring.connect(m, bursts.o, reader.i)
        wiring.connect(m, reader.o, wiring.flipped(self.o))
        wiring.connect(m, reader.axi, wiring.flipped(self.axi))
        m.d.comb += [
            bursts.discard.eq(self.discard),
            reader.discard.eq(self.discard),
            self.idle.eq(bursts.idle & reader.idle),
        ]
        return m


class Bench:
    def __init__(self, dut, stall, seed):
        self.dut, self.axi_bits = dut, parameters()["axi_bits"]
        self.rng = np.random.default_rng(seed)
        self.dut.discard.value = 0
        self.memory = AxiMemory(dut, "axi_", SIZE, stall, self.rng)
        self.monitor = AxiMonitor(dut, "axi__", self.axi_bits)
        self.source = StreamSource(dut, "i", READ_REQUEST, stall, self.rng)
        self.sink = StreamSink(dut, "o", read_data_layout(self.axi_bits), stall, self.rng)

    def requests(self, count, most=70):
        width = self.axi_bits // 8
        beats = self.rng.integers(1, most + 1, count)
        last = SIZE // width - beats
        return {
            "address": self.rng.integers(0, last + 1) * width,
            "beats": beats,
            "tag": self.rng.integers(0, 4, count),
        }

    def expected(self, requests):
        data, tags, lasts = [], [], []
        for address, beats, tag in zip(*(requests[name].tolist() for name in ("address", "beats", "tag")), strict=True):
            data += self.memory.beats(address, beats, self.axi_bits)
            tags += [tag] * beats
            lasts += [0] * (beats - 1) + [1]
        return data, tags, lasts

    async def check(self, requests):
        data, tags, lasts = self.expected(requests)
        self.source.send(requests)
        got = await self.sink.receive(len(data))
        assert got["data"].tolist() == data
        assert got["tag"].tolist() == tags
        assert got["last"].tolist() == lasts
        assert not got["error"].any()

    async def finish(self):
        await self.sink.expect_nothing()
        self.monitor.assert_quiet()
        assert self.dut.idle.value == 1


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.2, 0.7])
async def gives_the_right_beats(dut, stall):
    bench = Bench(dut, stall, 1)
    await start_clock(dut)
    await bench.check(bench.requests(40))
    await bench.finish()


@cocotb.test()
async def splits_at_boundaries(dut):
    bench = Bench(dut, 0.1, 2)
    await start_clock(dut)
    width = bench.axi_bits // 8
    beats = np.array([1, 1, 2, 16, 17, 15, 300])
    address = np.array([4096 - width, 4096, 4096 - width, 8192, 8192 + width, 8192 + width, 4096 - 5 * width])
    await bench.check({"address": address, "beats": beats, "tag": np.arange(7) % 4})
    await bench.finish()
    assert sum(beats for _, beats in bench.monitor.reads) == beats.sum()


@cocotb.test()
async def keeps_the_bus_busy(dut):
    bench = Bench(dut, 0.0, 3)
    await start_clock(dut)
    requests = {"address": np.zeros(1, int), "beats": np.array([512]), "tag": np.array([1])}
    cycles = 0

    async def count():
        nonlocal cycles
        while True:
            await RisingEdge(dut.clk)
            cycles += 1

    task = cocotb.start_soon(count())
    await bench.check(requests)
    task.cancel()
    assert cycles < 512 + 30, f"512 beats took {cycles} cycles"


@cocotb.test()
async def reports_error_answers(dut):
    bench = Bench(dut, 0.3, 4)
    await start_clock(dut)
    width = bench.axi_bits // 8
    bench.memory.bad = range(20 * width, 23 * width)
    bench.source.send({"address": np.array([0, 21 * width]), "beats": np.array([40, 1]), "tag": np.array([3, 0])})
    got = await bench.sink.receive(41)
    assert np.flatnonzero(got["error"]).tolist() == [20, 21, 22, 40]
    await bench.finish()


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5], wait=[3, 20, 47])
async def discards_what_is_under_way(dut, stall, wait):
    bench = Bench(dut, stall, 5)
    await start_clock(dut)
    for _ in range(5):
        sending = bench.source.send(bench.requests(10))
        await ClockCycles(dut.clk, wait)
        dut.discard.value = 1
        await RisingEdge(dut.clk)
        bench.source.forget()
        bench.sink.forget()
        del sending
        for _ in range(3000):
            await RisingEdge(dut.clk)
            assert not dut.o__valid.value
            if dut.idle.value:
                break
        dut.discard.value = 0
        await RisingEdge(dut.clk)
        bench.monitor.assert_quiet()
        await bench.check(bench.requests(3))
    await bench.finish()


@cocotb.test()
async def drops_answers_that_come_after_discard(dut):
    bench = Bench(dut, 0.0, 6)
    await start_clock(dut)
    bench.source.send(bench.requests(10))
    await ClockCycles(dut.clk, 60)
    bench.memory.silence()
    await ClockCycles(dut.clk, 60)
    dut.discard.value = 1
    await RisingEdge(dut.clk)
    bench.source.forget()
    bench.sink.forget()
    await ClockCycles(dut.clk, 5)
    assert dut.idle.value == 0
    dut.discard.value = 0
    await ClockCycles(dut.clk, 5)
    requests = bench.requests(3)
    task = cocotb.start_soon(bench.check(requests))
    await ClockCycles(dut.clk, 50)
    bench.memory.speak()
    await task
    await bench.finish()


class RudeMemory:
    """Answers reads in order, and breaks a rule in those of its bursts that ``faults`` names by number.

    "early": ends the burst after half of its beats. "late": goes on for two beats more, and ends it there. "never": gives
    all beats, and no end.
    """

    def __init__(self, dut, axi_bits, faults):
        self.dut, self.faults, self.width = dut, faults, axi_bits // 8
        self.bursts = 0
        dut.axi__arready.value, dut.axi__rvalid.value = 1, 0
        dut.axi__rresp.value = dut.axi__rid.value = 0
        self._waiting = []
        cocotb.start_soon(self._take())
        cocotb.start_soon(self._give())

    async def _take(self):
        while True:
            await RisingEdge(self.dut.clk)
            if self.dut.axi__arvalid.value:
                self._waiting.append((int(self.dut.axi__araddr.value), int(self.dut.axi__arlen.value) + 1))

    async def _give(self):
        while True:
            await RisingEdge(self.dut.clk)
            if not self._waiting:
                continue
            address, beats = self._waiting.pop(0)
            fault = self.faults.get(self.bursts)
            self.bursts += 1
            count = {"early": beats // 2, "late": beats + 2}.get(fault, beats)
            for beat in range(count):
                self.dut.axi__rvalid.value = 1
                self.dut.axi__rdata.value = address + beat * self.width
                self.dut.axi__rlast.value = int(beat == count - 1 and fault != "never")
                await RisingEdge(self.dut.clk)
                while not self.dut.axi__rready.value:
                    await RisingEdge(self.dut.clk)
            self.dut.axi__rvalid.value = 0


@cocotb.test()
@cocotb.parametrize(fault=["early", "late", "never"], number=[0, 2])
async def a_burst_that_ends_in_the_wrong_place_is_an_error_and_after_discard_all_is_well(dut, fault, number):
    axi_bits, width = parameters()["axi_bits"], parameters()["axi_bits"] // 8
    dut.discard.value = 0
    rng = np.random.default_rng(8)
    RudeMemory(dut, axi_bits, {number: fault})
    source = StreamSource(dut, "i", READ_REQUEST, 0.0, rng)
    sink = StreamSink(dut, "o", read_data_layout(axi_bits), 0.0, rng)
    await start_clock(dut)
    source.send({"address": np.array([0]), "beats": np.array([64]), "tag": np.array([1])})
    got = await sink.receive(16 * number + (8 if fault == "early" else 16))
    assert not got["error"][:-1].any()
    assert got["error"][-1], "the beat that is the last, or should be"
    dut.discard.value = 1
    await RisingEdge(dut.clk)
    source.forget()
    sink.forget()
    for _ in range(SILENCE + 200):
        await RisingEdge(dut.clk)
        if dut.idle.value:
            break
    assert dut.idle.value == 1
    dut.discard.value = 0
    await RisingEdge(dut.clk)
    for address, beats in ((4096, 40), (8192, 5)):
        source.send({"address": np.array([address]), "beats": np.array([beats]), "tag": np.array([2])})
        got = await sink.receive(beats)
        assert got["data"].tolist() == [address + beat * width for beat in range(beats)]
        assert not got["error"].any()
        assert got["last"].tolist() == [0] * (beats - 1) + [1]
    await sink.expect_nothing()
    assert dut.idle.value == 1


@cocotb.test()
async def works_after_reset_in_the_middle(dut):
    bench = Bench(dut, 0.3, 7)
    await start_clock(dut)
    for _ in range(3):
        bench.source.send(bench.requests(10))
        await ClockCycles(dut.clk, int(bench.rng.integers(20, 80)))
        await reset(dut, bench.source, bench.sink)
        assert dut.idle.value == 1
        await bench.check(bench.requests(3))
    await bench.finish()


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("axi_bits", WIDTHS)
def test_axi_reader(axi_bits, simulator):
    simulate(ReaderOfRequests(axi_bits), __name__, simulator, parameters={"axi_bits": axi_bits})


def test_rejects_a_burst_that_could_cross_4_kb():
    with pytest.raises(ValueError, match=naming("burst", "power of two", "2..64", 512, 128)):
        AxiBursts(512, burst=128)
