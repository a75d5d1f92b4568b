"""DMA behind a reader, and a bench that knows what every LOAD and GATHER must write."""

from collections import deque
from dataclasses import replace

import cocotb
import numpy as np
from amaranth.hdl import Cat, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from cocotb.triggers import ClockCycles, RisingEdge

from hw.axi.axi import READ_REQUEST, AxiRead, read_data_layout
from hw.axi.read_arbiter import ReadArbiter
from hw.axi.reader import AxiReader
from hw.dma.dma import Dma
from hw.dma.placer import dma_write_layout, memory_chunks, memory_depths
from hw.frontend.control import SETTINGS
from hw.instruction import ERROR, ISSUE
from isa.errors import Error
from isa.instruction import SAMPLES, Instruction, Memory, Opcode, Region, encode
from isa.presets import preset
from tb.lib.axi_memory import AxiMemory
from tb.lib.axi_monitor import AxiMonitor
from tb.lib.harness import StreamSink, StreamSource, parameters, reset
from tb.lib.payload import pack, unpack

SIZE = 1 << 18
BASES = {Region.IMAGE: 0x1000, Region.INPUT: 0x9040, Region.OUTPUT: 0x30000}

tiny = preset("tiny")
CONFIGS = {
    "tiny": tiny,
    "deep words": replace(tiny, depth=64),  # one word a beat
    "narrow bus": replace(preset("ecp5"), right_depth=300),  # one word and one index a beat, constants in halves
    "wide bus": replace(preset("zcu102"), left_depth=300, constant_depth=33),
}


class DmaWithReader(wiring.Component):
    def __init__(self, config):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(ISSUE)),
                "i_settings": In(SETTINGS),
                "o": Out(stream.Signature(dma_write_layout(config))),
                "o_done": Out(1),
                "o_error": Out(ERROR),
                "o_busy": Out(1),
                "o_wait_memory": Out(1),
                "i_fetch": In(stream.Signature(READ_REQUEST)),
                "o_fetch": Out(stream.Signature(read_data_layout(config.axi_bits))),
                "axi": Out(AxiRead(config.axi_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.dma = dma = Dma(self.config)
        m.submodules.reader = reader = AxiReader(self.config.axi_bits)
        m.submodules.arbiter = arbiter = ReadArbiter(self.config.axi_bits)
        wiring.connect(m, wiring.flipped(self.i_fetch), arbiter.i_fetch)
        wiring.connect(m, dma.o_request, arbiter.i_dma)
        wiring.connect(m, arbiter.o, reader.i)
        wiring.connect(m, reader.o, arbiter.i)
        wiring.connect(m, arbiter.o_fetch, wiring.flipped(self.o_fetch))
        wiring.connect(m, arbiter.o_dma, dma.i_data)
        wiring.connect(m, reader.axi, wiring.flipped(self.axi))
        wiring.connect(m, wiring.flipped(self.i), dma.i)
        wiring.connect(m, dma.o, wiring.flipped(self.o))
        m.d.comb += dma.i_settings.eq(self.i_settings)
        # Operand memories that hold nothing back.
        operand = Cat(dma.o.p.memory == memory.value for memory in (Memory.LEFT, Memory.RIGHT)).any()
        m.d.comb += dma.i_loaded.eq(dma.o.valid & dma.o.ready & dma.o.p.last & operand)
        m.d.comb += [getattr(self, name).eq(getattr(dma, name)) for name in ("o_done", "o_error", "o_busy", "o_wait_memory")]
        return m


class FarMemory(AxiMemory):
    """Answers every burst ``latency`` cycles after its announcement or straight after the burst before, a beat a cycle."""

    def __init__(self, dut, prefix, size, latency, rng):
        self.bytes = rng.integers(0, 256, size, np.uint8)
        self.bad = range(0)
        self.latency = latency
        names = ("arvalid", "arready", "araddr", "arlen", "rvalid", "rready", "rdata", "rlast", "rresp", "rid")
        self._ports = {name: getattr(dut, f"{prefix}_{name}") for name in names}
        self._dut = dut
        cocotb.start_soon(self._play())

    async def _play(self):
        p, width, cycle, due = self._ports, len(self._ports["rdata"]) // 8, 0, deque()
        p["arready"].value, p["rvalid"].value, p["rid"].value = 1, 0, 0
        while True:
            await RisingEdge(self._dut.clk)
            cycle += 1
            if self._dut.rst.value:
                due.clear()
                p["rvalid"].value = 0
                continue
            if p["rvalid"].value and p["rready"].value:
                due.popleft()
            if p["arvalid"].value:
                address, beats = int(p["araddr"].value), int(p["arlen"].value) + 1
                due.extend((cycle + self.latency, address + n * width, n == beats - 1) for n in range(beats))
            p["rvalid"].value = int(bool(due) and due[0][0] <= cycle)
            if due:
                _, address, last = due[0]
                (p["rdata"].value,) = self.beats(address, 1, 8 * width)
                p["rlast"].value, p["rresp"].value = int(last), 2 * (address in self.bad)


class Bench:
    def __init__(self, dut, stall, seed, latency=None):
        self.dut = dut
        self.config = CONFIGS[parameters()["config"]]
        self.width = self.config.axi_bits // 8
        self.rng = np.random.default_rng(seed)
        if latency is None:
            self.memory = AxiMemory(dut, "axi_", SIZE, stall, self.rng)
        else:
            self.memory = FarMemory(dut, "axi_", SIZE, latency, self.rng)
        self.monitor = AxiMonitor(dut, "axi__", self.config.axi_bits)
        self.layout = dma_write_layout(self.config)
        self.source = StreamSource(dut, "i", ISSUE, stall, self.rng)
        self.sink = StreamSink(dut, "o", self.layout, stall, self.rng)
        settings = {name: np.zeros(1, int) for name in SETTINGS.members} | {"lengths": np.zeros((1, SAMPLES), int)}
        for region, base in BASES.items():
            settings[f"{region.name.lower()}_base"] = np.array([base])
        dut.i_fetch__valid.value, dut.o_fetch__ready.value = 0, 1
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
            data = self.beats(i.region, i.offset, i.beats)
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
        defaults = {
            "region": int(self.rng.integers(3)), "offset": int(self.rng.integers(500)) * self.width,
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

    async def check_error(self, good, bad, code, most=0, after=()):
        """``good`` instructions complete, then ``bad`` fails with ``code`` after at most ``most`` correct writes; those
        ``after`` it write nothing."""
        done = self.done
        self.send([*good, bad, *after])
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
