"""Read arbiter: every request is announced as bursts, a fetch goes first, data passes to who asked."""

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles

from hw.axi.axi import READ_REQUEST, Tag, read_data_layout
from hw.axi.bursts import BURST
from hw.axi.read_arbiter import ReadArbiter
from tb.lib.harness import SIMULATORS, StreamSink, StreamSource, reset, simulate, start_clock

AXI_BITS, BURST_BEATS = 64, 16
WIDTH = AXI_BITS // 8
BEAT = read_data_layout(AXI_BITS)


class Bench:
    def __init__(self, dut, stall, seed):
        self.rng = np.random.default_rng(seed)
        self.fetch = StreamSource(dut, "i_fetch", READ_REQUEST, stall, self.rng)
        self.dma = StreamSource(dut, "i_dma", READ_REQUEST, stall, self.rng)
        self.requests = StreamSink(dut, "o", BURST, stall, self.rng)
        self.data = StreamSource(dut, "i", BEAT, stall, self.rng)
        self.fetched = StreamSink(dut, "o_fetch", BEAT, 0.0, self.rng)
        self.loaded = StreamSink(dut, "o_dma", BEAT, stall, self.rng)
        self.drivers = (self.fetch, self.dma, self.requests, self.data, self.fetched, self.loaded)

    def batch(self, count, tags, most=70):
        return {
            "address": self.rng.integers(0, 1 << 30, count) * WIDTH,
            "beats": self.rng.integers(1, most, count),
            "tag": self.rng.choice(tags, count),
        }

    @staticmethod
    def cut(requests):
        """Bursts of the ``requests``: address, beats less one, tag, last."""
        bursts = []
        for address, beats, tag in zip(*(requests[name].tolist() for name in ("address", "beats", "tag")), strict=True):
            end = address + beats * WIDTH
            while address < end:
                stop = min(end, (address // (BURST_BEATS * WIDTH) + 1) * BURST_BEATS * WIDTH)
                bursts.append((address, (stop - address) // WIDTH - 1, tag, int(stop == end)))
                address = stop
        return bursts

    async def check(self, fetches=20, loads=60):
        fetch, dma = self.batch(fetches, [Tag.FETCH]), self.batch(loads, [Tag.LOAD, Tag.INDEX, Tag.ROW])
        self.fetch.send(fetch)
        self.dma.send(dma)
        expected = self.cut(fetch), self.cut(dma)
        got = await self.requests.receive(sum(map(len, expected)))
        bursts = list(zip(*(got[name].tolist() for name in ("address", "length", "tag", "last")), strict=True))
        assert [burst for burst in bursts if burst[2] == Tag.FETCH] == expected[0]
        assert [burst for burst in bursts if burst[2] != Tag.FETCH] == expected[1]
        return bursts


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
    tags = [tag for _, _, tag, _ in await bench.check(loads=200)]
    # A burst of either every two cycles, and two cycles between requests: the loads get no more than the gaps.
    last = len(tags) - tags[::-1].index(Tag.FETCH)
    assert tags[:last].count(Tag.FETCH) >= 0.5 * last


@cocotb.test()
async def a_fetch_waits_for_one_burst_of_a_long_load(dut):
    bench = Bench(dut, 0.0, 5)
    await start_clock(dut)
    for wait in (40, 41, 42, 43):
        bench.dma.send({"address": np.zeros(1, int), "beats": np.array([4000]), "tag": np.array([Tag.LOAD])})
        receiving = cocotb.start_soon(bench.requests.receive(250))
        await ClockCycles(dut.clk, wait)
        bench.fetch.send({"address": np.zeros(1, int), "beats": np.array([4]), "tag": np.array([Tag.FETCH])})
        got = await receiving
        assert 10 < got["tag"].tolist().index(Tag.FETCH) < wait // 2 + 3
        await bench.requests.receive(1)


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def hands_data_back(dut, stall):
    bench = Bench(dut, stall, 3)
    await start_clock(dut)
    count = 100
    beats = {
        "data": np.array([int.from_bytes(bench.rng.bytes(8), "little") for _ in range(count)], object),
        # Who takes all beats never refuses those of a fetch.
        "tag": bench.rng.choice([Tag.LOAD, Tag.INDEX, Tag.ROW] if stall else list(Tag), count),
        "last": bench.rng.integers(0, 2, count),
        "error": bench.rng.integers(0, 2, count),
    }
    fetched = beats["tag"] == Tag.FETCH
    wanted = [(bench.loaded, np.full(count, True)), (bench.fetched, fetched)]
    receiving = [(cocotb.start_soon(sink.receive(int(mine.sum()))), mine) for sink, mine in wanted if mine.any()]
    bench.data.send(beats)
    for task, mine in receiving:
        got = await task
        for name, values in beats.items():
            assert got[name].tolist() == values[mine].tolist()
    await bench.loaded.expect_nothing()
    await bench.fetched.expect_nothing()


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
