"""Scheduler with arbiter and reader, and a bench that plays control and the three units."""

from collections import deque

import cocotb
import numpy as np
from amaranth.hdl import Module, ResetInserter
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from cocotb.triggers import ClockCycles, RisingEdge

from hw.axi.axi import READ_REQUEST, AxiRead, Tag, read_data_layout
from hw.axi.read_arbiter import ReadArbiter
from hw.axi.reader import AxiReader
from hw.frontend.control import FAILURE, SETTINGS
from hw.frontend.scheduler import SCHEDULER_EVENTS, Scheduler, used_bits
from hw.instruction import ERROR, ISSUE
from isa.errors import Error
from isa.instruction import (
    INSTRUCTION_BYTES,
    SAMPLES,
    Instruction,
    Opcode,
    Queue,
    decode,
    encode,
    operation,
    queue_of,
)
from isa.presets import preset
from isa.resolve import limit_units, resolve
from tb.lib.axi_memory import AxiMemory
from tb.lib.axi_monitor import AxiMonitor
from tb.lib.harness import StreamSink, StreamSource, parameters
from tb.lib.payload import pack, unpack

SIZE = 1 << 16
IMAGE, PROGRAM = 0x1000, 0x240
CONFIG = preset("tiny")
UNITS = limit_units(CONFIG)


class SchedulerWithReader(wiring.Component):
    def __init__(self, axi_bits, dma_queue):
        self.axi_bits, self.dma_queue = axi_bits, dma_queue
        members = dict(Scheduler(axi_bits, UNITS, dma_queue).signature.members)
        for name in ("o_request", "i_data", "i_progress", "i_idle"):
            del members[name]
        super().__init__(
            members
            | {
                "i_request": In(stream.Signature(READ_REQUEST)),
                "o_data": Out(stream.Signature(read_data_layout(axi_bits))),
                "axi": Out(AxiRead(axi_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.scheduler = scheduler = Scheduler(self.axi_bits, UNITS, self.dma_queue)
        m.submodules.arbiter = arbiter = ResetInserter(scheduler.o_reset)(ReadArbiter(self.axi_bits))
        m.submodules.reader = reader = AxiReader(self.axi_bits)
        wiring.connect(m, scheduler.o_request, arbiter.i_fetch)
        wiring.connect(m, arbiter.o_fetch, scheduler.i_data)
        wiring.connect(m, wiring.flipped(self.i_request), arbiter.i_dma)
        # As the DMA does: beats of a fetch pass.
        fetch = arbiter.o_dma.p.tag == Tag.FETCH
        m.d.comb += [
            self.o_data.valid.eq(arbiter.o_dma.valid & ~fetch),
            self.o_data.payload.eq(arbiter.o_dma.payload),
            arbiter.o_dma.ready.eq(self.o_data.ready | fetch),
        ]
        wiring.connect(m, arbiter.o, reader.i)
        wiring.connect(m, reader.o, arbiter.i)
        wiring.connect(m, reader.axi, wiring.flipped(self.axi))
        for name in ("o_dma", "o_qmm", "o_row"):
            wiring.connect(m, getattr(scheduler, name), wiring.flipped(getattr(self, name)))
        m.d.comb += [
            reader.discard.eq(scheduler.o_discard),
            scheduler.i_idle.eq(reader.idle),
            scheduler.i_progress.eq(reader.beat),
        ]
        for name, member in self.signature.members.items():
            if member.is_port and member.flow is In:
                m.d.comb += getattr(scheduler, name).eq(getattr(self, name))
            elif member.is_port:
                m.d.comb += getattr(self, name).eq(getattr(scheduler, name))
        return m


def one(layout, **fields):
    def batch(value):
        return np.array([value], object if np.ndim(value) == 0 and value >> 62 else int)

    return pack(layout, {name: batch(value) for name, value in fields.items()})[0]


class Bench:
    """Plays control and the three units. A unit takes up to three instructions ahead and completes them in order."""

    def __init__(self, dut, stall, seed):
        self.dut, self.axi_bits, self.dma_queue = dut, parameters()["axi_bits"], parameters()["dma_queue"]
        self.rng = np.random.default_rng(seed)
        self.stall = stall
        for name in ("i_start", "i_done", "i_error", "i_write_error", "i_settings", "i_stop", "i_leftover"):
            getattr(dut, name).value = 0
        self.memory = AxiMemory(dut, "axi_", SIZE, stall, self.rng)
        self.monitor = AxiMonitor(dut, "axi__", self.axi_bits)
        self.source = StreamSource(dut, "i_request", READ_REQUEST, stall, self.rng)
        self.sink = StreamSink(dut, "o_data", read_data_layout(self.axi_bits), stall, self.rng)
        parts = ("valid", "ready", "payload")
        self.ports = [tuple(getattr(dut, f"o_{queue.name.lower()}__{part}") for part in parts) for queue in Queue]
        self.speed = 0.3  # probability that a unit completes in a cycle
        self.fail_at = {}  # index: (code, how)
        self.stuck = set()  # indices that never complete
        self.todo = [[] for _ in Queue]  # of each instruction what it waits for, and whether nothing is left of it
        self._clear()
        cocotb.start_soon(self._play())

    def _clear(self):
        self.started = [deque() for _ in Queue]
        self.completed = [0, 0, 0]
        self.seen = [[] for _ in Queue]
        self.ended = None
        self.events = dict.fromkeys(SCHEDULER_EVENTS.members, 0)
        self.ready = [0, 0, 0]
        self.released = self.was_reset = False
        self.failed = False

    async def _play(self):
        dut = self.dut
        while True:
            await RisingEdge(dut.clk)
            if dut.rst.value:
                self._clear()
                dut.i_done.value = dut.i_error.value = dut.i_write_error.value = 0
                continue
            self._observe()
            self.released |= bool(dut.o_busy.value and not dut.o_reset.value)
            if dut.o_reset.value:
                self.was_reset |= self.released and bool(dut.o_busy.value)
                self.started = [deque() for _ in Queue]
            self._act()

    def _observe(self):
        dut = self.dut
        for queue, (valid, _, payload) in zip(Queue, self.ports, strict=True):
            if valid.value and self.ready[queue]:
                word = int(payload.value)
                issue = unpack(ISSUE, [word])
                bits, index = int(issue["bits"][0]), int(issue["index"][0])
                waits = [bits >> 8 + 16 * other & 0xFFFF for other in Queue]
                assert all(done >= wait for done, wait in zip(self.completed, waits, strict=True)), f"{index} came too early"
                self.started[queue].append(index)
                self.seen[queue].append((index, bits))
        if dut.o_busy.value:
            for name, amount in unpack(SCHEDULER_EVENTS, [int(dut.o_events.value)]).items():
                self.events[name] += int(amount[0])
        failure = unpack(FAILURE, [int(dut.o_failure.value)])
        if dut.o_done.value or failure["valid"][0]:
            assert dut.o_busy.value
            assert self.ended is None
            self.ended = (Error(int(failure["code"][0])), int(failure["instruction"][0])) if failure["valid"][0] else "done"
        elif self.ended:
            assert not dut.o_busy.value

    def _pass_over(self):
        """What nothing is left of is complete as soon as all before it are and what it waits for is."""
        moved = True
        while moved:
            moved = False
            for queue in Queue:
                place = self.completed[queue]
                if place < len(self.todo[queue]):
                    waits, nothing = self.todo[queue][place]
                    moved |= nothing and all(done >= wait for done, wait in zip(self.completed, waits, strict=True))
                    self.completed[queue] += moved
                    if moved:
                        break

    def _act(self):
        dut = self.dut
        self._pass_over()
        done, errors, write_error = 0, [0, 0, 0], 0
        for queue, (_, ready, _) in zip(Queue, self.ports, strict=True):
            started = self.started[queue]
            hurry = self.rng.random() < self.speed
            if started and started[0] not in {*self.stuck, *self.fail_at} and hurry:
                started.popleft()
                self.completed[queue] += 1
                self._pass_over()
                done |= 1 << queue
            # Straight after a completion, so that done and error meet in one cycle.
            if started and started[0] in self.fail_at and not self.failed and hurry:
                self.failed = True
                code = self.fail_at[started[0]]
                if code is Error.AXI_WRITE:
                    write_error = 1
                else:
                    errors[queue] = one(ERROR, valid=1, code=code)
            self.ready[queue] = int(len(started) < 3 and self.rng.random() >= self.stall)
            ready.value = self.ready[queue]
        dut.i_done.value = done
        dut.i_error.value = sum(error << ERROR.size * queue for queue, error in enumerate(errors))
        dut.i_write_error.value = write_error

    def program(self, count, halt=True, limited=0.0):
        """Random instructions; thresholds name earlier ones. Of some that are ``limited`` nothing will be left."""
        counts, program = [0, 0, 0], []
        for _ in range(count):
            opcode = self.rng.choice([opcode for opcode in Opcode if operation(opcode).queue is not None])
            waits = [int(self.rng.integers(max(0, n - 3), n + 1)) if self.rng.random() < 0.5 else 0 for n in counts]
            counts[operation(opcode).queue] += 1
            header = {"wait_dma": waits[0], "wait_qmm": waits[1], "wait_row": waits[2]}
            header |= {"limit_rows": int(self.rng.random() < limited), "sample": int(self.rng.integers(SAMPLES))}
            program.append(Instruction(Opcode(opcode), header))
        return program + [Instruction(Opcode.HALT, {})] * halt

    def put(self, program, length=None, watchdog=0, offset=PROGRAM, exact=False):
        """Into memory, unless ``exact`` random bits in place of the fields that the scheduler does not look at."""
        words = []
        for instruction in program:
            word = int.from_bytes(encode(instruction), "little")
            word |= 0 if exact else int.from_bytes(self.rng.bytes(56), "little") << 64
            words.append(word)
            raw = np.frombuffer(word.to_bytes(INSTRUCTION_BYTES, "little"), np.uint8)
            place = IMAGE + offset + len(words) * INSTRUCTION_BYTES
            self.memory.bytes[place - INSTRUCTION_BYTES : place] = raw
        self.lengths = self.rng.integers(0, 1 << 16, SAMPLES)
        self.todo = [[] for _ in Queue]
        for instruction, word in zip(program, words, strict=True):
            if queue_of(instruction) is not None:
                waits = (instruction.wait_dma, instruction.wait_qmm, instruction.wait_row)
                self.todo[queue_of(instruction)].append((waits, self.resolved(word) is None))
        self.dut.i_settings.value = one(
            SETTINGS, image_base=IMAGE, input_base=0, output_base=0, program_offset=offset,
            program_length=len(program) if length is None else length, lengths=self.lengths, watchdog=watchdog,
        )  # fmt: skip
        return words

    async def run(self, patience=8_000):
        self._clear()
        self.dut.i_start.value = 1
        await RisingEdge(self.dut.clk)
        self.dut.i_start.value = 0
        for _ in range(patience):
            await RisingEdge(self.dut.clk)
            if self.ended:
                break
        else:
            raise AssertionError(f"still running after {patience} cycles")
        await ClockCycles(self.dut.clk, 3)
        return self.ended

    def check_seen(self, program, words, complete=True):
        """Each queue saw its instructions in order, resolved, without the bits that its unit does not look at."""
        for queue in Queue:
            mask = (1 << used_bits(queue)) - 1
            expected = [
                (index, left & mask) for index, i in enumerate(program)
                if queue_of(i) is queue and (left := self.resolved(words[index])) is not None
            ]  # fmt: skip
            seen = self.seen[queue]
            assert seen == (expected if complete else expected[: len(seen)])

    def resolved(self, word):
        """An instruction as its lengths leave it, or None; what no field names stays."""
        instruction = decode(word.to_bytes(INSTRUCTION_BYTES, "little"))
        whole = operation(instruction.opcode).bits
        left = resolve(instruction, self.lengths.tolist(), CONFIG)
        if left is None:
            return None
        return word >> whole << whole | int.from_bytes(encode(left), "little")

    async def check(self, count=30, limited=0.0, **settings):
        program = self.program(count, limited=limited)
        words = self.put(program, **settings)
        assert await self.run() == "done"
        self.check_seen(program, words)
        assert self.events["instructions"] == count + 1
        assert not self.was_reset
        self.monitor.assert_quiet()
