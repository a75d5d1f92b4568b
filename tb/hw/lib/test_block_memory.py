"""Memory on the chip: bursts over AXI and bytes of the host at the same time, every word where it belongs."""

import logging

import cocotb
import numpy as np
import pytest
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiMasterRead, AxiMasterWrite, AxiReadBus, AxiResp, AxiWriteBus

from hw.lib.block_memory import BlockMemory
from hw.serial.link import byte_access
from tb.lib.harness import SIMULATORS, StreamSource, parameters, reset, simulate, start_clock
from tb.lib.words import naming

BEAT = 8


class Bench:
    def __init__(self, dut, stall, rng):
        self.dut, self.rng, self.stall = dut, rng, stall
        self.size = parameters()["bytes"]
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.ERROR)
        self.reader = AxiMasterRead(AxiReadBus.from_prefix(dut, "axi_read_"), dut.clk, dut.rst)
        self.writer = AxiMasterWrite(AxiWriteBus.from_prefix(dut, "axi_write_"), dut.clk, dut.rst)
        for channel in (self.reader.ar_channel, self.reader.r_channel, self.writer.aw_channel, self.writer.w_channel,
                        self.writer.b_channel):  # fmt: skip
            channel.set_pause_generator(self._pauses())
        self.host = StreamSource(dut, "host", byte_access(self.size), stall, rng)
        self.got = bytearray()
        cocotb.start_soon(self._collect())

    def _pauses(self):
        while True:
            yield from (self.rng.random(1000) < self.stall).tolist()

    async def _collect(self):
        while True:
            await RisingEdge(self.dut.clk)
            if self.dut.o_host_valid.value:
                self.got.append(int(self.dut.o_host_data.value))

    async def host_write(self, address, data):
        await self.host.send(self._accesses(address, np.frombuffer(data, np.uint8), 1))

    async def host_read(self, address, size):
        self.got.clear()
        await self.host.send(self._accesses(address, np.zeros(size, np.uint8), 0))
        for _ in range(BlockMemory.read_latency + 1):
            await RisingEdge(self.dut.clk)
        return bytes(self.got)

    @staticmethod
    def _accesses(address, data, write):
        return {"address": np.arange(address, address + len(data)), "data": data, "write": np.full(len(data), write)}

    def place(self, least=0):
        """A random range of whole beats, as (address, bytes)."""
        beats = int(self.rng.integers(1, 40))
        address = int(self.rng.integers(least, self.size // BEAT - beats + 1))
        return address * BEAT, beats * BEAT


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.4])
async def keeps_what_both_sides_write(dut, stall):
    rng = np.random.default_rng(11)
    bench = Bench(dut, stall, rng)
    await start_clock(dut)
    kept = bytearray(rng.bytes(bench.size))
    await bench.writer.write(0, bytes(kept))
    for _ in range(12):
        address, size = bench.place()
        kept[address : address + size] = data = rng.bytes(size)
        await bench.writer.write(address, data)
        address, size = int(rng.integers(bench.size - 50)), int(rng.integers(1, 50))
        kept[address : address + size] = data = rng.bytes(size)
        await bench.host_write(address, data)
        address, size = bench.place()
        answer = await bench.reader.read(address, size)
        assert answer.resp == AxiResp.OKAY
        assert answer.data == kept[address : address + size]
        address, size = int(rng.integers(bench.size - 50)), int(rng.integers(1, 50))
        assert await bench.host_read(address, size) == kept[address : address + size]
    assert (await bench.reader.read(0, bench.size)).data == kept


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.4])
async def serves_bursts_and_the_host_at_the_same_time(dut, stall):
    rng = np.random.default_rng(12)
    bench = Bench(dut, stall, rng)
    await start_clock(dut)
    kept = bytearray(rng.bytes(bench.size))
    await bench.writer.write(0, bytes(kept))
    half = bench.size // 2
    reads = [bench.place() for _ in range(8)]
    tasks = [cocotb.start_soon(bench.reader.read(address, size)) for address, size in reads if address + size <= half]
    new = rng.bytes(half // BEAT * BEAT)
    writing = cocotb.start_soon(bench.writer.write(half // BEAT * BEAT + BEAT, new[:-BEAT]))
    first = half // BEAT * BEAT
    await bench.host_write(first, new[:BEAT])
    assert await bench.host_read(0, 300) == kept[:300]
    await writing
    for task, (address, size) in zip(tasks, [r for r in reads if sum(r) <= half]):
        assert (await task).data == kept[address : address + size]
    kept[first : first + BEAT], kept[first + BEAT : first + len(new)] = new[:BEAT], new[:-BEAT]
    assert (await bench.reader.read(first, len(new))).data == kept[first : first + len(new)]


@cocotb.test()
async def a_beat_beyond_its_end_is_an_error_and_writes_nothing(dut):
    rng = np.random.default_rng(13)
    bench = Bench(dut, 0.2, rng)
    await start_clock(dut)
    kept = rng.bytes(bench.size)
    await bench.writer.write(0, kept)
    for address, size in ((bench.size, BEAT), (bench.size - BEAT, 2 * BEAT), (bench.size << 8, 64), (1 << 39, BEAT)):
        assert (await bench.writer.write(address, kept[-BEAT:] + bytes(size - BEAT))).resp == AxiResp.DECERR
        assert (await bench.reader.read(address, size)).resp == AxiResp.DECERR
    answer = await bench.reader.read(0, bench.size)
    assert (answer.resp, answer.data) == (AxiResp.OKAY, kept)
    assert (await bench.writer.write(0, kept)).resp == AxiResp.OKAY


@cocotb.test()
async def gives_a_beat_a_cycle(dut):
    """Bursts of 16 by hand: the whole of it takes little more than its beats."""
    rng = np.random.default_rng(14)
    await start_clock(dut)
    kept = rng.bytes(128)
    for name in ("axi_write__wvalid", "axi_write__bready", "axi_read__arvalid", "axi_read__rready", "host__valid"):
        getattr(dut, name).value = 0
    dut.axi_write__awaddr.value, dut.axi_write__awlen.value, dut.axi_write__awvalid.value = 0, 15, 1
    dut.axi_write__wstrb.value, dut.axi_write__bready.value = 255, 1
    await RisingEdge(dut.clk)
    dut.axi_write__awvalid.value = 0
    for beat in range(16):
        dut.axi_write__wvalid.value, dut.axi_write__wlast.value = 1, beat == 15
        dut.axi_write__wdata.value = int.from_bytes(kept[8 * beat : 8 * beat + 8], "little")
        await RisingEdge(dut.clk)
        assert dut.axi_write__wready.value
    dut.axi_write__wvalid.value = 0
    dut.axi_read__araddr.value, dut.axi_read__arlen.value, dut.axi_read__arvalid.value = 0, 15, 1
    dut.axi_read__rready.value = 1
    got, cycles = bytearray(), 0
    while len(got) < 3 * 128:
        await RisingEdge(dut.clk)
        cycles += 1
        if dut.axi_read__rvalid.value:
            got += int(dut.axi_read__rdata.value).to_bytes(8, "little")
    assert got == kept * 3
    assert cycles <= 48 + 8


@cocotb.test()
async def forgets_bursts_at_reset(dut):
    rng = np.random.default_rng(15)
    bench = Bench(dut, 0.2, rng)
    await start_clock(dut)
    kept = rng.bytes(512)
    await bench.writer.write(0, kept)
    cocotb.start_soon(bench.reader.read(0, 512))
    for _ in range(20):
        await RisingEdge(dut.clk)
    await reset(dut, bench.host)
    assert (await bench.reader.read(64, 256)).data == kept[64:320]


@pytest.mark.parametrize(("simulator", "size"), [(SIMULATORS[0], 4096), (SIMULATORS[1], 5000)])
def test_block_memory(simulator, size):
    simulate(BlockMemory(size, 64, bank_words=256), __name__, simulator, parameters={"bytes": size})


def test_a_memory_of_broken_beats_is_refused():
    with pytest.raises(ValueError, match=naming("multiple of a beat", 8, 1001)):
        BlockMemory(1001, 64)
