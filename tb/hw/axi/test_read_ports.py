"""Several read ports as one reader: against a memory at each that pauses as it likes - data, order, whose address it is,
errors and their port, discard, and the protocol on every port."""

import cocotb
import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from cocotb.triggers import ClockCycles, RisingEdge

from hw.axi.axi import READ_REQUEST, AxiRead, read_data_layout
from hw.axi.bursts import AxiBursts
from hw.axi.read_ports import ReadPorts
from isa.sizes import BURST_BEATS, burst_beats
from tb.lib.axi_memory import AxiMemory
from tb.lib.axi_monitor import AxiMonitor
from tb.lib.harness import SIMULATORS, StreamSink, StreamSource, parameters, reset, simulate, start_clock

SIZE = 1 << 16
SIZES = [(64, 1), (64, 2), (128, 4)]  # axi_bits, ports


class PortsOfRequests(wiring.Component):
    """The ports behind what cuts requests for them."""

    def __init__(self, axi_bits, ports):
        self.axi_bits, self.ports = axi_bits, ports
        super().__init__({
            "i": In(stream.Signature(READ_REQUEST)), "o": Out(stream.Signature(read_data_layout(axi_bits))),
            "discard": In(1), "forget": In(1), "idle": Out(1), "beat": Out(1),
            "o_bad": Out(range(ports + 1)), "o_owing": Out(range(ports + 1)),
            "axi": Out(AxiRead(axi_bits // ports)).array(ports),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.bursts = bursts = AxiBursts(self.axi_bits, burst_beats(self.ports))
        m.submodules.reader = reader = ReadPorts(self.axi_bits, self.ports)
        wiring.connect(m, wiring.flipped(self.i), bursts.i)
        wiring.connect(m, bursts.o, reader.i)
        wiring.connect(m, reader.o, wiring.flipped(self.o))
        for port in range(self.ports):
            wiring.connect(m, reader.axi[port], wiring.flipped(self.axi[port]))
        m.d.comb += [
            bursts.discard.eq(self.discard), reader.discard.eq(self.discard), reader.forget.eq(self.forget),
            self.idle.eq(bursts.idle & reader.idle), self.beat.eq(reader.beat),
            self.o_bad.eq(reader.o_bad), self.o_owing.eq(reader.o_owing),
        ]  # fmt: skip
        return m


class Bench:
    def __init__(self, dut, stall, seed, memory_stall=None):
        self.dut = dut
        self.axi_bits, self.ports = parameters()["size"]
        self.width = self.axi_bits // 8
        self.piece = BURST_BEATS * self.width // self.ports
        self.rng = np.random.default_rng(seed)
        self.dut.discard.value = self.dut.forget.value = 0
        # Each port with pauses of its own, one much slower than the others.
        stalls = [stall] * self.ports if memory_stall is None else memory_stall
        self.memories = [AxiMemory(dut, f"axi__{n}_", SIZE, stalls[n % len(stalls)], self.rng) for n in range(self.ports)]
        for memory in self.memories:
            memory.bytes = self.memories[0].bytes
        self.monitors = [AxiMonitor(dut, f"axi__{n}__", self.axi_bits // self.ports) for n in range(self.ports)]
        self.source = StreamSource(dut, "i", READ_REQUEST, stall, self.rng)
        self.sink = StreamSink(dut, "o", read_data_layout(self.axi_bits), stall, self.rng)
        self.beats = 0
        cocotb.start_soon(self._count())

    async def _count(self):
        while True:
            await RisingEdge(self.dut.clk)
            if not self.dut.rst.value:
                self.beats += int(self.dut.beat.value)

    def requests(self, count, most=70):
        beats = self.rng.integers(1, most + 1, count)
        address = self.rng.integers(0, SIZE // self.width - beats + 1) * self.width
        return {"address": address, "beats": beats, "tag": self.rng.integers(0, 4, count)}

    async def check(self, requests):
        data, tags, lasts = [], [], []
        for address, beats, tag in zip(*(requests[name].tolist() for name in ("address", "beats", "tag")), strict=True):
            data += self.memories[0].beats(address, beats, self.axi_bits)
            tags += [tag] * beats
            lasts += [0] * (beats - 1) + [1]
        self.source.send(requests)
        got = await self.sink.receive(len(data))
        assert got["data"].tolist() == data
        assert got["tag"].tolist() == tags
        assert got["last"].tolist() == lasts
        assert not got["error"].any()

    async def finish(self):
        await self.sink.expect_nothing()
        for port, monitor in enumerate(self.monitors):
            monitor.assert_quiet()
            for address, beats in monitor.reads:
                assert address // self.piece % self.ports == port, f"port {port} was asked for {address:#x}"
                assert address % self.piece + beats * self.width // self.ports <= self.piece
        assert self.dut.idle.value == 1
        assert self.dut.o_owing.value == 0


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.3], memory_stall=[(0.0,), (0.0, 0.8), (0.9, 0.1, 0.0, 0.5)])
async def gives_the_right_beats_in_order_however_the_ports_pause(dut, stall, memory_stall):
    bench = Bench(dut, stall, 1, memory_stall)
    await start_clock(dut)
    await bench.check(bench.requests(30))
    await bench.check(bench.requests(40, most=3))
    await bench.finish()
    total = sum(monitor.read_beats for monitor in bench.monitors)
    assert bench.beats * bench.ports == total


@cocotb.test()
async def all_ports_stream_at_once(dut):
    bench = Bench(dut, 0.0, 3)
    await start_clock(dut)
    cycles = 0

    async def count():
        nonlocal cycles
        while True:
            await RisingEdge(dut.clk)
            cycles += 1

    task = cocotb.start_soon(count())
    await bench.check({"address": np.zeros(1, int), "beats": np.array([512]), "tag": np.array([1])})
    task.cancel()
    assert cycles < 512 + 60, f"512 beats took {cycles} cycles"


@cocotb.test()
async def says_which_port_gave_the_first_error(dut):
    bench = Bench(dut, 0.3, 4)
    await start_clock(dut)
    for port in range(bench.ports):
        bad = (port + 3 * bench.ports) * bench.piece
        for number, memory in enumerate(bench.memories):
            memory.bad = range(bad, bad + bench.width) if number == port else range(0)
        bench.source.send({"address": np.array([bad - bench.width]), "beats": np.array([3]), "tag": np.array([2])})
        got = await bench.sink.receive(3)
        assert got["error"].tolist() == [0, 1, 0]
        await ClockCycles(dut.clk, 3)
        assert dut.o_bad.value == port + 1
        other = ((port + 1) % bench.ports + 3 * bench.ports) * bench.piece
        for memory in bench.memories:
            memory.bad = range(other, other + bench.width)
        bench.source.send({"address": np.array([other]), "beats": np.array([1]), "tag": np.array([2])})
        assert (await bench.sink.receive(1))["error"].tolist() == [1]
        await ClockCycles(dut.clk, 3)
        assert dut.o_bad.value == port + 1, "the first one counts"
        dut.forget.value = 1
        await RisingEdge(dut.clk)
        dut.forget.value = 0
        await ClockCycles(dut.clk, 2)
        assert dut.o_bad.value == 0
    await bench.finish()


@cocotb.test()
async def a_port_that_never_answers_is_named_and_its_answer_is_dropped_when_it_comes(dut):
    bench = Bench(dut, 0.0, 5)
    await start_clock(dut)
    for port in range(bench.ports):
        bench.memories[port].silence()
        bench.source.send({"address": np.array([0]), "beats": np.array([200]), "tag": np.array([1])})
        got = await bench.sink.receive(port * burst_beats(bench.ports))
        assert len(got["data"]) == port * burst_beats(bench.ports)
        await ClockCycles(dut.clk, 200)
        assert dut.o_owing.value == port + 1
        dut.discard.value = 1
        await RisingEdge(dut.clk)
        bench.source.forget()
        bench.sink.forget()
        await ClockCycles(dut.clk, 400)
        dut.discard.value = 0
        await RisingEdge(dut.clk)
        # The next run begins while the port is still silent, and its old answers come in the middle of it.
        task = cocotb.start_soon(bench.check(bench.requests(6)))
        await ClockCycles(dut.clk, 60)
        bench.memories[port].speak()
        await task
        await bench.finish()


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5], wait=[3, 20, 47])
async def discards_what_is_under_way_on_every_port(dut, stall, wait):
    bench = Bench(dut, stall, 6, (0.0, 0.7))
    await start_clock(dut)
    for _ in range(4):
        bench.source.send(bench.requests(10))
        await ClockCycles(dut.clk, wait)
        dut.discard.value = 1
        await RisingEdge(dut.clk)
        bench.source.forget()
        bench.sink.forget()
        for _ in range(4000):
            await RisingEdge(dut.clk)
            assert not dut.o__valid.value
            if dut.idle.value:
                break
        dut.discard.value = 0
        await RisingEdge(dut.clk)
        for monitor in bench.monitors:
            monitor.assert_quiet()
        await bench.check(bench.requests(3))
    await bench.finish()


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
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}/{size[1]}")
def test_read_ports(size, simulator):
    simulate(PortsOfRequests(*size), __name__, simulator, parameters={"size": size})
