"""Code writer: every plane of every row at its address, whatever the places, widths and stalls."""

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles, RisingEdge
from cocotb.utils import get_sim_time

from golden.codes import planes
from hw.vector.code_writer import CODE_PLACE, CodeWriter
from hw.vector.row_stream import code_element, code_write
from tb.hw.vector.rows import to_elements
from tb.lib.harness import SIMULATORS, StreamSink, StreamSource, parameters, reset, simulate, start_clock
from tb.lib.payload import pack, unpack

#: banks, depth, width, lanes.
SIZES = {"tiny": (4, 512, 16, 4), "odd depth": (8, 300, 32, 4), "one part": (2, 65536, 8, 8)}


class Bench:
    def __init__(self, dut, stall, rng):
        self.dut, self.rng = dut, rng
        self.banks, self.depth, self.width, self.lanes = sizes = SIZES[parameters()["sizes"]]
        self.source = StreamSource(dut, "i", code_element(self.lanes), stall, rng)
        self.sink = StreamSink(dut, "o", code_write(*sizes[:3]), stall, rng)
        self.drivers = self.source, self.sink

    def place(self, **fields):
        self.dut.i_place.value = pack(CODE_PLACE, {name: [value] for name, value in fields.items()})[0]

    def send(self, codes):
        elements = to_elements(codes & 255, self.lanes)
        del elements["first"]
        elements["codes"] = elements.pop("values")
        return self.source.send(elements)

    def expect(self, codes, base, plane, tile, bits):
        """Writes in order: word by word, plane by plane."""
        rows, columns = codes.shape
        words = -(-columns // self.width)
        row, word, p = np.meshgrid(np.arange(rows), np.arange(words), np.arange(bits), indexing="ij")
        padded = np.pad(codes, ((0, 0), (0, words * self.width - columns)))
        content = planes(padded, bits).reshape(bits, rows, words, self.width).transpose(1, 2, 0, 3)
        return {
            "address": (base + p * plane + row // self.banks * tile + word).reshape(-1),
            "bank": (row % self.banks).reshape(-1),
            "data": content.reshape(-1, self.width).astype(object) @ (1 << np.arange(self.width).astype(object)),
        }

    async def check(self, rows, groups, bits):
        rng = self.rng
        codes = rng.integers(-(2 ** (bits - 1)), 2**bits, (rows, groups * self.lanes))
        place = {"base": int(rng.integers(self.depth // 2)), "plane": int(rng.integers(8)), "tile": int(rng.integers(5))}
        self.place(bits=bits, **place)
        expected = self.expect(codes, bits=bits, **place)
        self.send(codes)
        got = await self.sink.receive(len(expected["data"]))
        for name, part in expected.items():
            assert (got[name] == part).all(), (name, place)


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def writes_match(dut, stall):
    bench = Bench(dut, stall, np.random.default_rng(1))
    await start_clock(dut)
    for bits in range(1, 9):
        await bench.check(int(bench.rng.integers(1, 4 * bench.banks)), int(bench.rng.integers(1, 12)), bits)
    await bench.sink.expect_nothing()


@cocotb.test()
async def largest_strides_stay_exact(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(2))
    await start_clock(dut)
    codes = bench.rng.integers(0, 256, (5 * bench.banks, bench.lanes))
    for place in [
        {"base": 0xFFFF, "plane": 0xFFFF, "tile": 0xFFFF},
        {"base": bench.depth - 1, "plane": 1, "tile": 0},
        {"base": 0, "plane": 0, "tile": 0x8000},
        {"base": 0, "plane": 0x4000, "tile": 1},
    ]:
        bench.place(bits=8, **place)
        expected = bench.expect(codes, bits=8, **place)
        fits = expected["address"] < bench.depth
        bench.send(codes)
        if fits.any():
            got = await bench.sink.receive(int(fits.sum()))
            for name, part in expected.items():
                assert (got[name] == part[fits]).all(), (name, place)
        await ClockCycles(dut.clk, 50 * bench.banks)
        await bench.sink.expect_nothing(20)


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def each_element_has_its_own_place(dut, stall):
    bench = Bench(dut, stall, np.random.default_rng(6))
    await start_clock(dut)
    rng = bench.rng
    places = [{
        "base": int(rng.integers(bench.depth // 2)), "plane": int(rng.integers(8)), "tile": 0,
        "bits": int(rng.integers(1, 9)),
    } for _ in range(30)]  # fmt: skip

    async def follow():
        """The next place is there as soon as a row has been taken."""
        for place in places:
            bench.place(**place)
            while True:
                await RisingEdge(dut.clk)
                payload = unpack(code_element(bench.lanes), [int(dut.i__payload.value)]) if dut.i__valid.value else None
                if payload and dut.i__ready.value and payload["last"][0]:
                    break

    following = cocotb.start_soon(follow())
    expected = []
    for place in places:
        codes = rng.integers(0, 256, (1, bench.lanes * int(rng.integers(1, 9))))
        bench.send(codes)
        expected.append(bench.expect(codes, **place))
    for one in expected:
        got = await bench.sink.receive(len(one["data"]))
        for name, part in one.items():
            assert (got[name] == part).all(), name
    await following
    await bench.sink.expect_nothing()


@cocotb.test()
async def an_address_beyond_the_memory_is_an_error(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(3))
    await start_clock(dut)
    for base, errors in [(bench.depth - 1, 0), (bench.depth - 1, 1)]:
        bench.place(base=base, plane=errors, tile=0, bits=2)
        bench.send(np.ones((1, bench.lanes), int))
        seen = 0
        dut.o__ready.value = 1
        for _ in range(10):
            await RisingEdge(dut.clk)
            seen += int(dut.o_error.value)
        assert seen == errors


@cocotb.test()
@cocotb.parametrize(pause=[0, 1, 5])
async def is_done_with_the_last_write_of_an_instruction(dut, pause):
    """Instructions of one row or two, one behind the other: a pulse each, in the cycle of their last write."""
    bench = Bench(dut, 0.0, np.random.default_rng(7))
    await start_clock(dut)
    bench.place(base=0, plane=1, tile=0, bits=3)
    shapes = [(1 + groups % 2, groups) for groups in range(1, 2 * bench.width // bench.lanes + 1)]
    for rows, groups in shapes:
        bench.send(bench.rng.integers(0, 8, (rows, groups * bench.lanes)))
    for rows, groups in shapes:
        writes = 3 * rows * -(-groups * bench.lanes // bench.width)
        for write in range(writes):
            for _ in range(pause):
                await RisingEdge(dut.clk)
                assert dut.o_done.value == 0
            dut.o__ready.value = 1
            while True:
                await RisingEdge(dut.clk)
                taken = bool(dut.o__valid.value)
                assert dut.o_done.value == (taken and write == writes - 1), (rows, groups, write)
                if taken:
                    break
            dut.o__ready.value = 0


@cocotb.test()
async def an_error_comes_behind_the_writes_before_it(dut):
    """What an instruction with good addresses leaves is done before the error of the next one shows."""
    bench = Bench(dut, 0.0, np.random.default_rng(9))
    await start_clock(dut)
    bench.place(base=bench.depth - 1, plane=1, tile=0, bits=1)
    await bench.send(np.ones((1, bench.lanes), int))
    bench.place(base=bench.depth - 1, plane=1, tile=0, bits=2)
    bench.send(np.ones((1, bench.lanes), int))
    for _ in range(20):
        await RisingEdge(dut.clk)
        assert dut.o_error.value == 0
    dut.o__ready.value = 1
    seen = []
    for _ in range(10):
        await RisingEdge(dut.clk)
        seen += ["done"] * bool(dut.o_done.value) + ["error"] * bool(dut.o_error.value)
    assert seen == ["done", "error"]


@cocotb.test()
async def works_after_a_reset_in_the_middle(dut):
    bench = Bench(dut, 0.3, np.random.default_rng(4))
    await start_clock(dut)
    for pause in (3, 10, 25):
        bench.place(base=0, plane=1, tile=1, bits=5)
        bench.send(bench.rng.integers(0, 32, (4, 4 * bench.lanes)))
        await ClockCycles(dut.clk, pause)
        await reset(dut, *bench.drivers)
        await bench.check(5, 3, 3)
        await bench.sink.expect_nothing()


@cocotb.test()
async def sustains_an_element_or_a_write_a_cycle(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(5))
    await start_clock(dut)
    parts = bench.width // bench.lanes
    for bits in range(1, 9):
        start = get_sim_time("ns")
        await bench.check(10, 8, bits)
        # The last word leaves when all have come.
        assert (get_sim_time("ns") - start) / 5 <= 80 // parts * max(parts, bits) + bits + 10


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("sizes", SIZES)
def test_code_writer(simulator, sizes):
    simulate(CodeWriter(*SIZES[sizes]), __name__, simulator, parameters={"sizes": sizes})
