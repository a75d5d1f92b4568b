"""UART at the wire: bytes each way at several speeds, clocks that are off, breaks, and bytes that nobody took."""

import cocotb
import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from cocotb.triggers import ClockCycles, RisingEdge, Timer

from hw.serial.uart import RECEIVED, UartReceiver, UartTransmitter
from tb.lib.harness import SIMULATORS, StreamSink, StreamSource, parameters, reset, simulate, start_clock

PERIOD = 5.0  # ns


class Both(wiring.Component):
    """Receiver and transmitter, each with its own wire."""

    def __init__(self, divisor):
        self.divisor = divisor
        super().__init__({
            "rx": In(1), "o": Out(stream.Signature(RECEIVED)), "tx": Out(1), "i": In(stream.Signature(8)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.receiver = receiver = UartReceiver(self.divisor)
        m.submodules.transmitter = transmitter = UartTransmitter(self.divisor)
        m.d.comb += [receiver.i.eq(self.rx), self.tx.eq(transmitter.o)]
        wiring.connect(m, receiver.o, wiring.flipped(self.o))
        wiring.connect(m, wiring.flipped(self.i), transmitter.i)
        return m


async def idle(dut, ns):
    """Wait; whole cycles by the clock, so that what is set next is set after an edge and not at the same time."""
    cycles = round(ns / PERIOD)
    await (ClockCycles(dut.clk, cycles) if cycles * PERIOD == ns else Timer(round(ns, 2), "ns"))


async def send(dut, content, ns, gap=0.0, stop=1):
    """Bytes at ``ns`` a bit, with ``gap`` bits of idle line behind each; ``stop`` 0 leaves the line low where the stop
    bit should be, for a bit."""
    for byte in content:
        for bit in (0, *(byte >> i & 1 for i in range(8)), stop):
            dut.rx.value = bit
            await idle(dut, ns)
        dut.rx.value = 1
        if gap or not stop:
            await idle(dut, max(gap, 1) * ns)


async def begin(dut):
    dut.rx.value = 1
    await start_clock(dut)
    await ClockCycles(dut.clk, 5)
    return parameters()["divisor"] * PERIOD, np.random.default_rng(6)


@cocotb.test()
@cocotb.parametrize(off=[0.0, -0.02, 0.02], gap=[0.0, 0.7])
async def receives_bytes_of_a_clock_of_its_own(dut, off, gap):
    ns, rng = await begin(dut)
    if parameters()["divisor"] < 4 and (off or gap):
        return  # that few samples a bit need the sender's clock
    content = bytes([0, 255, 0x55, 0xAA]) + rng.bytes(30)
    sink = StreamSink(dut, "o", RECEIVED, 0.0, rng)
    cocotb.start_soon(send(dut, content, ns * (1 + off), gap))
    got = await sink.receive(len(content))
    assert bytes(got["data"].tolist()) == content
    assert not got["error"].any()
    await sink.expect_nothing(20 * parameters()["divisor"])


@cocotb.test()
async def tells_bytes_that_nobody_took(dut):
    ns, rng = await begin(dut)
    await send(dut, b"abcd", ns)
    await ClockCycles(dut.clk, 5)  # until the last one has arrived
    sink = StreamSink(dut, "o", RECEIVED, 0.0, rng)
    assert (await sink.receive(1))["data"] == ord("a")
    cocotb.start_soon(send(dut, b"ef", ns))
    got = await sink.receive(2)
    assert bytes(got["data"].tolist()) == b"ef"
    assert got["error"].tolist() == [1, 0]


@cocotb.test()
async def survives_a_missing_stop_bit_and_a_cut_wire(dut):
    ns, rng = await begin(dut)
    sink = StreamSink(dut, "o", RECEIVED, 0.0, rng)

    async def line():
        await send(dut, b"A", ns, stop=0)
        await send(dut, b"B", ns, gap=1)
        dut.rx.value = 0
        await idle(dut, 35 * ns)
        dut.rx.value = 1
        await idle(dut, 2 * ns)
        await send(dut, b"C", ns)

    cocotb.start_soon(line())
    got = await sink.receive(4)
    assert got["error"].tolist() == [1, 0, 1, 0]
    assert bytes(got["data"][[1, 3]].tolist()) == b"BC"
    await sink.expect_nothing()


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def sends_bytes_bit_by_bit(dut, stall):
    _, rng = await begin(dut)
    divisor = parameters()["divisor"]
    content = bytes([0, 255]) + rng.bytes(20)
    assert dut.tx.value
    source = StreamSource(dut, "i", 8, stall, rng)
    source.send(np.frombuffer(content, np.uint8))
    got = bytearray()
    for _ in content:
        for _ in range(100):
            await RisingEdge(dut.clk)
            if not dut.tx.value:
                break
        bits = []
        for _ in range(9):
            for _ in range(divisor):
                await RisingEdge(dut.clk)
            bits.append(int(dut.tx.value))
        assert bits[8] == 1, "no stop bit"
        got.append(sum(bit << i for i, bit in enumerate(bits[:8])))
    assert bytes(got) == content


@cocotb.test()
async def forgets_at_reset(dut):
    ns, rng = await begin(dut)
    source, sink = StreamSource(dut, "i", 8, 0.0, rng), StreamSink(dut, "o", RECEIVED, 0.0, rng)
    source.send(np.array([0, 0]))
    await send(dut, b"xy", ns)
    await reset(dut, source, sink)
    await ClockCycles(dut.clk, 2)
    assert dut.tx.value
    cocotb.start_soon(send(dut, b"z", ns))
    got = await sink.receive(1)
    assert (got["data"][0], got["error"][0]) == (ord("z"), 0)


@pytest.mark.parametrize(("simulator", "divisor"), [(SIMULATORS[0], 7), (SIMULATORS[1], 16), (SIMULATORS[1], 1)])
def test_serial_uart(simulator, divisor):
    simulate(Both(divisor), __name__, simulator, parameters={"divisor": divisor})


def test_a_bit_of_no_cycles_is_refused():
    with pytest.raises(ValueError, match="at least 1 cycle, not 0"):
        UartReceiver(0)
