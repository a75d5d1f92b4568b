"""Store: every row in beats of the bus, lowest lanes first; the request beside it; nothing kept over a reset."""

import cocotb
import numpy as np
import pytest
from cocotb.triggers import RisingEdge

from hw.vector.row_stream import row_element
from hw.vector.store import STORE_REQUEST, Store
from isa.instruction import Region
from tb.hw.vector.rows import to_elements
from tb.lib.harness import SIMULATORS, StreamSink, StreamSource, parameters, reset, simulate, start_clock

STALLS = [(0.0, 0.0), (0.4, 0.0), (0.0, 0.4), (0.4, 0.4)]


class Bench:
    def __init__(self, dut, stalls, rng):
        self.lanes, self.axi_bits, self.rng = parameters()["lanes"], parameters()["axi_bits"], rng
        dut.i_store_done.value = 0
        self.command = StreamSource(dut, "i_command", STORE_REQUEST, stalls[0], rng)
        self.rows = StreamSource(dut, "i", row_element(self.lanes), stalls[0], rng)
        self.request = StreamSink(dut, "o_store", STORE_REQUEST, stalls[1], rng)
        self.words = StreamSink(dut, "o_store_data", self.axi_bits, stalls[1], rng)
        self.drivers = [self.command, self.rows, self.request, self.words]

    def send(self, rows, groups):
        """A command and its rows. Returns both as they must leave: fields of the request, bytes of the data."""
        values = self.rng.integers(-(2**15), 2**15, (rows, groups * self.lanes))
        values[0, 0], values[-1, -1] = -(2**15), 2**15 - 1
        request = {
            "region": int(self.rng.choice(Region)),
            "offset": int(self.rng.integers(2**32)),
            "beats": values.size * 16 // self.axi_bits,
        }
        self.command.send({name: np.array([value]) for name, value in request.items()})
        self.rows.send(to_elements(values, self.lanes))
        return request, values.astype("<i2").tobytes()

    async def check(self, request, data):
        got = await self.request.receive(1)
        assert {name: int(value[0]) for name, value in got.items()} == request
        words = await self.words.receive(request["beats"])
        assert b"".join(int(word).to_bytes(self.axi_bits // 8, "little") for word in words) == data


@cocotb.test()
@cocotb.parametrize(stalls=STALLS)
async def rows_leave_as_they_are(dut, stalls):
    bench = Bench(dut, stalls, np.random.default_rng(1))
    await start_clock(dut)
    sent = [bench.send(int(bench.rng.integers(1, 6)), int(bench.rng.integers(1, 5))) for _ in range(12)]
    for request, data in sent:
        await bench.check(request, data)
    await bench.words.expect_nothing()


@cocotb.test()
async def the_answer_passes_at_once(dut):
    await start_clock(dut)
    for answer in (0, 1, 0, 1, 1, 0):
        dut.i_store_done.value = answer
        await RisingEdge(dut.clk)
        assert dut.o_done.value == answer


@cocotb.test()
async def works_after_a_reset_in_the_middle_of_an_element(dut):
    bench = Bench(dut, (0.0, 0.0), np.random.default_rng(2))
    await start_clock(dut)
    bench.send(2, 2)
    await bench.request.receive(1)
    await bench.words.receive(1)
    await reset(dut, *bench.drivers)
    await bench.check(*bench.send(3, 2))
    await bench.words.expect_nothing()


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize(("lanes", "axi_bits"), [(4, 64), (8, 32)])
def test_store(simulator, lanes, axi_bits):
    simulate(Store(lanes, axi_bits), __name__, simulator, parameters={"lanes": lanes, "axi_bits": axi_bits})
