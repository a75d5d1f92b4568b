"""DMA behind a reader: LOAD and GATHER write what the architecture page says, bad ones are refused with their code."""

from dataclasses import replace

import cocotb
import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from cocotb.triggers import ClockCycles, RisingEdge

from golden.instruction import Instruction, Memory, Opcode, Region, encode
from golden.registers import Error
from hw.axi import AxiRead
from hw.axi_reader import AxiReader
from hw.config import preset
from hw.control import SETTINGS
from hw.dma import Dma
from hw.dma_placer import dma_write_layout, memory_chunks, memory_depths
from hw.instruction import ERROR, ISSUE
from tb.axi_memory import AxiMemory
from tb.axi_monitor import AxiMonitor
from tb.harness import SIMULATORS, StreamSink, StreamSource, parameters, reset, simulate, start_clock
from tb.payload import pack, unpack

SIZE = 1 << 18
BASES = {Region.IMAGE: 0x1000, Region.INPUT: 0x9040, Region.OUTPUT: 0x30000}
LENGTH = 37

tiny = preset("tiny")
CONFIGS = {
    "tiny": tiny,
    "deep words": replace(tiny, depth=64),  # one word a beat
    "wide bus": replace(preset("zcu102"), left_depth=300, constant_depth=33),
}


class DmaWithReader(wiring.Component):
    def __init__(self, config):
        self.config = config
        super().__init__({
            "i": In(stream.Signature(ISSUE)),
            "i_settings": In(SETTINGS),
            "o": Out(stream.Signature(dma_write_layout(config))),
            "o_done": Out(1),
            "o_error": Out(ERROR),
            "o_busy": Out(1),
            "o_wait_memory": Out(1),
            "axi": Out(AxiRead(config.axi_bits)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.dma = dma = Dma(self.config)
        m.submodules.reader = reader = AxiReader(self.config.axi_bits)
        wiring.connect(m, dma.o_request, reader.i)
        wiring.connect(m, reader.o, dma.i_data)
        wiring.connect(m, reader.axi, wiring.flipped(self.axi))
        wiring.connect(m, wiring.flipped(self.i), dma.i)
        wiring.connect(m, dma.o, wiring.flipped(self.o))
        m.d.comb += dma.i_settings.eq(self.i_settings)
        m.d.comb += [getattr(self, name).eq(getattr(dma, name)) for name in ("o_done", "o_error", "o_busy", "o_wait_memory")]
        return m


class Bench:
    def __init__(self, dut, stall, seed):
        self.dut = dut
        self.config = CONFIGS[parameters()["config"]]
        self.width = self.config.axi_bits // 8
        self.rng = np.random.default_rng(seed)
        self.memory = AxiMemory(dut, "axi_", SIZE, stall, self.rng)
        self.monitor = AxiMonitor(dut, "axi__", self.config.axi_bits)
        self.layout = dma_write_layout(self.config)
        self.source = StreamSource(dut, "i", ISSUE, stall, self.rng)
        self.sink = StreamSink(dut, "o", self.layout, stall, self.rng)
        settings = {name: np.zeros(1, int) for name in SETTINGS.members}
        for region, base in BASES.items():
            settings[f"{region.name.lower()}_base"] = np.array([base])
        settings["length"] = np.array([LENGTH])
        (dut.i_settings.value,) = pack(SETTINGS, settings)
        self.done = self.cycles = self.waits = 0
        self.error = None
        cocotb.start_soon(self._watch())

    async def _watch(self):
        while True:
            await RisingEdge(self.dut.clk)
            if self.dut.rst.value:
                self.error = None
                continue
            self.cycles += 1
            self.done += int(self.dut.o_done.value)
            self.waits += int(self.dut.o_wait_memory.value)
            error = unpack(ERROR, [int(self.dut.o_error.value)])
            if error["valid"][0] and self.error is None:
                self.error = Error(int(error["code"][0]))

    def send(self, program):
        bits = np.array([int.from_bytes(encode(i), "little") for i in program], object)
        self.source.send({"bits": bits, "index": np.arange(len(program))})

    async def receive(self, count):
        """Writes as tuples, without what they leave open."""
        got = await self.sink.receive(count)
        mask = (1 << self.config.depth) - 1
        return [
            (1, memory, bank, address, int(data) & mask) if gather else (0, memory, chunk, address, int(data))
            for gather, memory, bank, chunk, address, data in zip(
                *(got[name].tolist() for name in ("gather", "memory", "bank", "chunk", "address", "data")), strict=True
            )
        ]

    def beats(self, region, offset, count):
        return self.memory.beats(BASES[region] + offset, count, self.config.axi_bits)

    def writes(self, instruction):
        """What ``instruction`` must write, in order."""
        i, config = instruction, self.config
        if i.opcode is Opcode.LOAD:
            chunks = memory_chunks(config)[i.memory]
            offset = i.offset + (LENGTH << i.index_shift if i.index_shift else 0)
            data = self.beats(i.region, offset, i.beats)
            return [(0, i.memory, n % chunks, i.address + n // chunks, value) for n, value in enumerate(data)]
        per_beat = config.axi_bits // 32
        packed = self.beats(i.index_region, i.index_offset, -(-i.count // per_beat))
        indices = [packed[n // per_beat] >> 32 * (n % per_beat) & 0xFFFFFFFF for n in range(i.count)]
        mask = (1 << config.depth) - 1
        writes = []
        for n, index in enumerate(indices):
            row = self.beats(i.region, i.offset + index * i.row_beats * self.width, i.row_beats)
            whole = sum(beat << config.axi_bits * place for place, beat in enumerate(row))
            address = i.address + n // config.rows * i.tile
            writes += [
                (1, Memory.LEFT, n % config.rows, address + w, whole >> config.depth * w & mask) for w in range(i.words)
            ]
        return writes

    def load(self, **fields):
        memory = fields.get("memory", int(self.rng.integers(len(Memory))))
        chunks, depth = memory_chunks(self.config)[memory % 5], memory_depths(self.config)[memory % 5]
        words = int(self.rng.integers(1, min(depth, max(2, 40 // chunks)) + 1))
        beats = max(1, words * chunks - int(self.rng.integers(chunks)) * int(self.rng.random() < 0.3))
        shift = int(self.rng.choice([0, 6, 8]))
        defaults = {
            "region": int(self.rng.integers(3)), "offset": int(self.rng.integers(500)) * self.width, "index_shift": shift,
            "memory": memory, "address": int(self.rng.integers(depth - words + 1)), "beats": beats,
        }  # fmt: skip
        return Instruction(Opcode.LOAD, defaults | fields)

    def gather(self, **fields):
        """A GATHER whose indices are put into memory."""
        config, rng = self.config, self.rng
        count = fields.get("count", int(rng.integers(1, 40)))
        row_beats = fields.get("row_beats", int(rng.integers(1, 5)))
        words = int(rng.integers(1, max(1, row_beats) * config.axi_bits // config.depth + 1))
        tile = int(rng.integers(words, words + 3))
        tiles = -(-count // config.rows)
        limit = fields.get("limit", 50)
        # One region for each gather of a program, so that they do not overwrite each other.
        self.gathers = getattr(self, "gathers", 0) + 1
        index_offset = self.gathers % 64 * 0x100
        address = BASES[Region.OUTPUT] + index_offset
        self.memory.bytes[address : address + 4 * count] = rng.integers(0, limit, count).astype("<u4").view(np.uint8)
        defaults = {
            "region": Region.INPUT, "offset": int(rng.integers(100)) * self.width, "index_region": Region.OUTPUT,
            "index_offset": index_offset, "count": count, "limit": limit, "row_beats": row_beats, "words": words,
            "address": int(rng.integers(config.left_depth - (tiles - 1) * tile - words + 1)), "tile": tile,
        }  # fmt: skip
        return Instruction(Opcode.GATHER, defaults | fields)

    async def check(self, program):
        done = self.done
        expected = [write for instruction in program for write in self.writes(instruction)]
        self.send(program)
        assert await self.receive(len(expected)) == expected
        await ClockCycles(self.dut.clk, 2)
        assert self.done == done + len(program)
        assert self.error is None

    async def check_error(self, good, bad, code, most=0):
        """``good`` instructions complete, then ``bad`` fails with ``code`` after at most ``most`` correct writes."""
        done = self.done
        self.send([*good, bad])
        expected = [write for instruction in good for write in self.writes(instruction)]
        assert await self.receive(len(expected)) == expected
        self.dut.o__ready.value = 1
        writes = 0
        for _ in range(3000):
            await RisingEdge(self.dut.clk)
            writes += int(self.dut.o__valid.value)
            if self.error is not None:
                break
        assert self.error == code
        assert self.done == done + len(good)
        assert writes <= most
        await ClockCycles(self.dut.clk, 20)
        assert self.done == done + len(good)
        self.dut.o__ready.value = 0
        await reset(self.dut, self.source, self.sink)

    async def finish(self):
        await self.sink.expect_nothing()
        self.monitor.assert_quiet()
        assert self.dut.o_busy.value == 0


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.3, 0.7])
async def loads_and_gathers(dut, stall):
    bench = Bench(dut, stall, 1)
    await start_clock(dut)
    program = [bench.load() if bench.rng.random() < 0.6 else bench.gather() for _ in range(14)]
    await bench.check(program)
    await bench.finish()


@cocotb.test()
async def reaches_the_last_address_of_each_memory(dut):
    bench = Bench(dut, 0.2, 2)
    await start_clock(dut)
    program = []
    for memory in Memory:
        chunks, depth = memory_chunks(bench.config)[memory], memory_depths(bench.config)[memory]
        program.append(bench.load(memory=memory, address=depth - 2, beats=2 * chunks))
        program.append(bench.load(memory=memory, address=0, beats=1))
    count = 2 * bench.config.rows + 1
    last = bench.config.left_depth - 1
    program.append(bench.gather(count=count, words=1, tile=1, address=last - 2))
    program.append(bench.gather(count=1, words=1, tile=0xFFFF, address=last))
    await bench.check(program)
    await bench.finish()


@cocotb.test()
async def one_row_with_all_words(dut):
    bench = Bench(dut, 0.2, 3)
    await start_clock(dut)
    words = 7 * bench.config.axi_bits // bench.config.depth
    await bench.check([bench.gather(count=count, row_beats=7, words=words, tile=words, address=1) for count in (1, 2, 5)])
    await bench.finish()


@cocotb.test()
async def loads_back_to_back_keep_the_bus_busy(dut):
    bench = Bench(dut, 0.0, 4)
    await start_clock(dut)
    program = [bench.load(memory=Memory.LEFT, address=0, beats=64) for _ in range(10)]
    bench.cycles = bench.waits = 0
    await bench.check(program)
    assert bench.cycles < 640 + 40, f"640 beats took {bench.cycles} cycles"
    assert 0 < bench.waits < 40
    await bench.finish()


@cocotb.test()
async def refuses_instructions_that_make_no_sense(dut):
    bench = Bench(dut, 0.1, 5)
    await start_clock(dut)
    row_words = 2 * bench.config.axi_bits // bench.config.depth
    for bad in [
        bench.load(beats=0), bench.load(memory=5), bench.load(memory=7), bench.load(region=3),
        bench.load(offset=bench.width // 2), bench.load(index_shift=1),
        bench.gather(count=0), bench.gather(row_beats=0), bench.gather(words=0), bench.gather(region=3),
        bench.gather(index_region=3), bench.gather(offset=1), bench.gather(index_offset=4),
        bench.gather(row_beats=2, words=row_words + 1),
    ]:  # fmt: skip
        good = [bench.load() for _ in range(int(bench.rng.integers(0, 4)))]
        await bench.check_error(good, bad, Error.SHAPE)
    await bench.check([bench.load(), bench.gather()])
    await bench.finish()


@cocotb.test()
async def refuses_addresses_beyond_the_memory(dut):
    bench = Bench(dut, 0.1, 6)
    await start_clock(dut)
    for memory in Memory:
        chunks, depth = memory_chunks(bench.config)[memory], memory_depths(bench.config)[memory]
        for address, beats, most in [
            (depth, 1, 0), (depth - 1, chunks + 1, chunks), (0xFFFF, chunks + 1, chunks if depth == 1 << 16 else 0)
        ]:  # fmt: skip
            bad = bench.load(memory=memory, address=address, beats=beats)
            await bench.check_error([bench.load()], bad, Error.ADDRESS_RANGE, most)
    rows, depth = bench.config.rows, bench.config.left_depth
    for address, tile, count, words, row_beats in [
        (depth - 1, 1, rows + 1, 1, 1), (1, 0xFFFF, rows + 1, 1, 1), (depth - 1, 0, 1, 2, 4)
    ]:  # fmt: skip
        bad = bench.gather(address=address, tile=tile, count=count, words=words, row_beats=row_beats)
        await bench.check_error([bench.gather()], bad, Error.ADDRESS_RANGE, rows * words)
    await bench.check([bench.load(), bench.gather()])
    await bench.finish()


@cocotb.test()
async def refuses_indices_at_the_limit(dut):
    bench = Bench(dut, 0.1, 7)
    await start_clock(dut)
    for value, place, limit in [(50, 0, 50), (50, 20, 50), (0xFFFFFFFF, 3, 50), (49, 24, 50), (0, 0, 0)]:
        bad = bench.gather(count=25, row_beats=1, words=1, tile=1, address=0)
        bad.fields["limit"] = limit
        address = BASES[Region.OUTPUT] + bad.index_offset + 4 * place
        bench.memory.bytes[address : address + 4] = np.array([value], "<u4").view(np.uint8)
        if value < limit:
            await bench.check([bad])
        else:
            await bench.check_error([bench.gather(), bench.load()][: place % 3], bad, Error.INDEX_RANGE, place)
    await bench.finish()


@cocotb.test()
async def reports_read_errors(dut):
    bench = Bench(dut, 0.1, 8)
    await start_clock(dut)
    for good in ([], [bench.load()], [bench.gather(), bench.load()]):
        bad = bench.load(region=Region.IMAGE, offset=0x4000, index_shift=0, beats=9, memory=Memory.LEFT, address=0)
        start = BASES[Region.IMAGE] + 0x4000
        bench.memory.bad = range(start + 7 * bench.width, start + 8 * bench.width)
        await bench.check_error([i for i in good if i.region != Region.IMAGE], bad, Error.AXI_READ, 7)
        bad = bench.gather(count=20, row_beats=1, words=1)
        start = BASES[Region.OUTPUT] + bad.index_offset
        bench.memory.bad = range(start + 64, start + 80)
        await bench.check_error(good, bad, Error.AXI_READ, 16)
        bad = bench.gather(count=20, row_beats=4, words=1, offset=0x8000)
        bench.memory.bad = range(BASES[Region.INPUT] + 0x8000, BASES[Region.INPUT] + 0x14000)
        await bench.check_error(good, bad, Error.AXI_READ)
        bench.memory.bad = range(0)
    await bench.check([bench.load(), bench.gather()])
    await bench.finish()


@cocotb.test()
async def works_after_reset_in_the_middle(dut):
    bench = Bench(dut, 0.3, 9)
    await start_clock(dut)
    for _ in range(4):
        bench.send([bench.load(), bench.gather(), bench.load()])
        bench.dut.o__ready.value = 1
        await ClockCycles(dut.clk, int(bench.rng.integers(20, 150)))
        await reset(dut, bench.source, bench.sink)
        await bench.check([bench.load(), bench.gather()])
    await bench.finish()


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("config", CONFIGS)
def test_dma(config, simulator):
    simulate(DmaWithReader(CONFIGS[config]), __name__, simulator, parameters={"config": config})
