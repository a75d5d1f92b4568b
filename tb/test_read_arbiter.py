"""Read arbiter: no request is lost or changed, a fetch goes first, data goes to who asked."""

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles

from hw.axi import READ_REQUEST, Tag, read_data_layout
from hw.read_arbiter import ReadArbiter
from tb.harness import SIMULATORS, StreamSink, StreamSource, reset, simulate, start_clock

AXI_BITS = 64
BEAT = read_data_layout(AXI_BITS)


class Bench:
    def __init__(self, dut, stall, seed):
        self.rng = np.random.default_rng(seed)
        self.fetch = StreamSource(dut, "i_fetch", READ_REQUEST, stall, self.rng)
        self.dma = StreamSource(dut, "i_dma", READ_REQUEST, stall, self.rng)
        self.requests = StreamSink(dut, "o", READ_REQUEST, stall, self.rng)
        self.data = StreamSource(dut, "i", BEAT, stall, self.rng)
        self.fetched = StreamSink(dut, "o_fetch", BEAT, stall, self.rng)
        self.loaded = StreamSink(dut, "o_dma", BEAT, stall, self.rng)
        self.drivers = (self.fetch, self.dma, self.requests, self.data, self.fetched, self.loaded)

    def batch(self, count, tags):
        return {
            "address": self.rng.integers(0, 1 << 40, count),
            "beats": self.rng.integers(1, 1 << 24, count),
            "tag": self.rng.choice(tags, count),
        }

    async def check(self, fetches=20, loads=60):
        fetch, dma = self.batch(fetches, [Tag.FETCH]), self.batch(loads, [Tag.LOAD, Tag.INDEX, Tag.ROW])
        self.fetch.send(fetch)
        self.dma.send(dma)
        got = await self.requests.receive(fetches + loads)
        for expected, mine in ((fetch, got["tag"] == Tag.FETCH), (dma, got["tag"] != Tag.FETCH)):
            for name, values in expected.items():
                assert got[name][mine].tolist() == values.tolist()
        return got


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def merges_requests(dut, stall):
    bench = Bench(dut, stall, 1)
    await start_clock(dut)
    await bench.check()
    await bench.requests.expect_nothing()


@cocotb.test()
async def prefers_the_fetch(dut):
    bench = Bench(dut, 0.0, 2)
    await start_clock(dut)
    got = await bench.check()
    assert (got["tag"][:20] == Tag.FETCH).all()


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def hands_data_back(dut, stall):
    bench = Bench(dut, stall, 3)
    await start_clock(dut)
    count = 100
    beats = {
        "data": np.array([int.from_bytes(bench.rng.bytes(8), "little") for _ in range(count)], object),
        "tag": bench.rng.integers(0, 4, count),
        "last": bench.rng.integers(0, 2, count),
        "error": bench.rng.integers(0, 2, count),
    }
    fetched = beats["tag"] == Tag.FETCH
    bench.data.send(beats)
    other = cocotb.start_soon(bench.loaded.receive(int((~fetched).sum())))
    for got, mine in ((await bench.fetched.receive(int(fetched.sum())), fetched), (await other, ~fetched)):
        for name, values in beats.items():
            assert got[name].tolist() == values[mine].tolist()
    await bench.loaded.expect_nothing()


@cocotb.test()
async def works_after_reset_in_the_middle(dut):
    bench = Bench(dut, 0.3, 4)
    await start_clock(dut)
    for _ in range(3):
        bench.fetch.send(bench.batch(9, [Tag.FETCH]))
        bench.dma.send(bench.batch(9, [Tag.ROW]))
        await ClockCycles(dut.clk, int(bench.rng.integers(3, 9)))
        await reset(dut, *bench.drivers)
        await bench.check(5, 5)
    await bench.requests.expect_nothing()


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_read_arbiter(simulator):
    simulate(ReadArbiter(AXI_BITS), __name__, simulator)
