"""Bursts: the pieces of a request are the request, and each is legal."""

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from hw.axi.axi import READ_REQUEST
from hw.axi.bursts import AxiBursts
from isa.sizes import AXI_PAGE
from tb.lib.harness import SIMULATORS, StreamSink, StreamSource, parameters, reset, simulate, start_clock
from tb.lib.words import naming

SIZES = [(64, 16), (128, 256), (512, 64), (512, 2)]  # axi_bits, burst


class Bench:
    def __init__(self, dut, stall, seed):
        self.dut = dut
        self.axi_bits, self.burst = parameters()["size"]
        self.width = self.axi_bits // 8
        self.rng = np.random.default_rng(seed)
        unit = AxiBursts(self.axi_bits, self.burst)
        dut.discard.value = 0
        self.source = StreamSource(dut, "i", READ_REQUEST, stall, self.rng)
        self.sink = StreamSink(dut, "o", unit.o.payload.shape(), stall, self.rng)

    def requests(self, count):
        beats = self.rng.integers(1, 3 * self.burst, count)
        address = self.rng.integers(0, 1 << 30, count) // self.width * self.width
        return {"address": address, "beats": beats, "tag": self.rng.integers(0, 4, count)}

    def pieces(self, requests):
        """The least number of them, cut at multiples of the burst."""
        pieces = []
        for address, beats, tag in zip(*(requests[name].tolist() for name in ("address", "beats", "tag")), strict=True):
            beat, end = address // self.width, address // self.width + beats
            while beat < end:
                stop = min(end, (beat // self.burst + 1) * self.burst)
                pieces.append((beat * self.width, stop - beat - 1, tag, int(stop == end)))
                beat = stop
        return pieces

    async def check(self, requests):
        expected = self.pieces(requests)
        self.source.send(requests)
        got = await self.sink.receive(len(expected))
        pieces = list(zip(*(got[name].tolist() for name in ("address", "length", "tag", "last")), strict=True))
        assert pieces == expected
        assert all(address % AXI_PAGE + (length + 1) * self.width <= AXI_PAGE for address, length, _, _ in pieces)

    async def finish(self):
        await self.sink.expect_nothing()
        assert self.dut.idle.value == 1


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def cuts_at_multiples_of_the_burst(dut, stall):
    bench = Bench(dut, stall, 1)
    await start_clock(dut)
    await bench.check(bench.requests(50))
    await bench.finish()


@cocotb.test()
async def takes_the_extremes(dut):
    bench = Bench(dut, 0.0, 2)
    await start_clock(dut)
    top = (1 << 40) - bench.width
    await bench.check({
        "address": np.array([top, 0, top - bench.width * bench.burst, 0]),
        "beats": np.array([1, 1, bench.burst + 1, 1000]),
        "tag": np.array([3, 0, 1, 2]),
    })  # fmt: skip
    bench.source.send({"address": np.array([0]), "beats": np.array([(1 << 24) - 1]), "tag": np.array([0])})
    got = await bench.sink.receive(40)
    assert not got["last"].any()


@cocotb.test()
@cocotb.parametrize(how=["discard", "reset"])
async def forgets(dut, how):
    bench = Bench(dut, 0.2, 3)
    await start_clock(dut)
    for wait in range(3, 20):
        bench.source.send(bench.requests(10))
        await ClockCycles(dut.clk, wait)
        if how == "reset":
            await reset(dut, bench.source, bench.sink)
        else:
            dut.discard.value = 1
            bench.source.forget()
            bench.sink.forget()
            await RisingEdge(dut.clk)
            dut.discard.value = 0
        await bench.finish()
        await bench.check(bench.requests(2))


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_axi_bursts(size, simulator):
    simulate(AxiBursts(*size), __name__, simulator, parameters={"size": size})


@pytest.mark.parametrize(("axi_bits", "burst", "most"), [(512, 128, 64), (64, 512, 256), (64, 24, 256), (64, 1, 256)])
def test_rejects_a_burst_that_axi_does_not_allow(axi_bits, burst, most):
    with pytest.raises(ValueError, match=naming("burst", "power of two", f"2..{most}", axi_bits, burst)):
        AxiBursts(axi_bits, burst)
