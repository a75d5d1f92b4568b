"""Scheduler with arbiter and reader: order, semaphores, and every way a run can end; the units are played by the bench."""

from collections import deque

import cocotb
import numpy as np
import pytest
from amaranth.hdl import Module, ResetInserter
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from cocotb.triggers import ClockCycles, RisingEdge

from golden.instruction import INSTRUCTION_BYTES, QUEUE_OF, Instruction, Opcode, Queue, encode
from golden.registers import Error
from hw.axi import READ_REQUEST, AxiRead, Tag, read_data_layout
from hw.axi_reader import AxiReader
from hw.control import FAILURE, SETTINGS
from hw.instruction import ERROR, ISSUE
from hw.read_arbiter import ReadArbiter
from hw.scheduler import SCHEDULER_EVENTS, Scheduler
from tb.axi_memory import AxiMemory
from tb.axi_monitor import AxiMonitor
from tb.harness import SIMULATORS, StreamSink, StreamSource, parameters, reset, simulate, start_clock
from tb.payload import pack, unpack

SIZE = 1 << 16
IMAGE, PROGRAM = 0x1000, 0x240


class SchedulerWithReader(wiring.Component):
    def __init__(self, axi_bits):
        self.axi_bits = axi_bits
        members = dict(Scheduler(axi_bits).signature.members)
        for name in ("o_request", "i_data", "i_progress", "i_idle"):
            del members[name]
        super().__init__(members | {
            "i_request": In(stream.Signature(READ_REQUEST)),
            "o_data": Out(stream.Signature(read_data_layout(axi_bits))),
            "axi": Out(AxiRead(axi_bits)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.scheduler = scheduler = Scheduler(self.axi_bits)
        m.submodules.arbiter = arbiter = ResetInserter(scheduler.o_reset)(ReadArbiter(self.axi_bits))
        m.submodules.reader = reader = AxiReader(self.axi_bits)
        wiring.connect(m, scheduler.o_request, arbiter.i_fetch)
        wiring.connect(m, arbiter.o_fetch, scheduler.i_data)
        wiring.connect(m, wiring.flipped(self.i_request), arbiter.i_dma)
        wiring.connect(m, arbiter.o_dma, wiring.flipped(self.o_data))
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
    return pack(layout, {name: np.array([value], object if value >> 62 else int) for name, value in fields.items()})[0]


class Bench:
    """Plays control and the three units. A unit takes up to three instructions ahead and completes them in order."""

    def __init__(self, dut, stall, seed):
        self.dut, self.axi_bits = dut, parameters()["axi_bits"]
        self.rng = np.random.default_rng(seed)
        self.stall = stall
        for name in ("i_start", "i_done", "i_error", "i_write_error", "i_settings"):
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
        self._clear()
        cocotb.start_soon(self._play())

    def _clear(self):
        self.started = [deque() for _ in Queue]
        self.completed = [0, 0, 0]
        self.seen = [[] for _ in Queue]
        self.ended = None
        self.events = dict.fromkeys(SCHEDULER_EVENTS.members, 0)
        self.ready = [0, 0, 0]
        self.was_reset = False
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
            if dut.o_reset.value:
                self.was_reset = True
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

    def _act(self):
        dut = self.dut
        done, errors, write_error = 0, [0, 0, 0], 0
        for queue, (_, ready, _) in zip(Queue, self.ports, strict=True):
            started = self.started[queue]
            hurry = self.rng.random() < self.speed
            if started and started[0] not in {*self.stuck, *self.fail_at} and hurry:
                started.popleft()
                self.completed[queue] += 1
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

    def program(self, count, halt=True):
        """Random instructions; thresholds name earlier ones."""
        counts, program = [0, 0, 0], []
        for _ in range(count):
            opcode = self.rng.choice(list(QUEUE_OF))
            waits = [int(self.rng.integers(max(0, n - 3), n + 1)) if self.rng.random() < 0.5 else 0 for n in counts]
            counts[QUEUE_OF[opcode]] += 1
            program.append(Instruction(Opcode(opcode), {"wait_dma": waits[0], "wait_qmm": waits[1], "wait_row": waits[2]}))
        return program + [Instruction(Opcode.HALT, {})] * halt

    def put(self, program, length=None, watchdog=0, offset=PROGRAM):
        """Into memory, random bits in place of the fields that the scheduler does not look at."""
        words = []
        for instruction in program:
            word = int.from_bytes(encode(instruction), "little") | int.from_bytes(self.rng.bytes(56), "little") << 64
            words.append(word)
            raw = np.frombuffer(word.to_bytes(INSTRUCTION_BYTES, "little"), np.uint8)
            place = IMAGE + offset + len(words) * INSTRUCTION_BYTES
            self.memory.bytes[place - INSTRUCTION_BYTES : place] = raw
        self.dut.i_settings.value = one(
            SETTINGS, image_base=IMAGE, input_base=0, output_base=0, program_offset=offset,
            program_length=len(program) if length is None else length, length=0, watchdog=watchdog,
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
        """Each queue saw its instructions in order."""
        for queue in Queue:
            expected = [
                (index, words[index]) for index, i in enumerate(program)
                if i.opcode is not Opcode.HALT and QUEUE_OF[i.opcode] is queue
            ]  # fmt: skip
            seen = self.seen[queue]
            assert seen == (expected if complete else expected[: len(seen)])

    async def check(self, count=30, **settings):
        program = self.program(count)
        words = self.put(program, **settings)
        assert await self.run() == "done"
        self.check_seen(program, words)
        assert self.events["instructions"] == count + 1
        assert not self.was_reset
        self.monitor.assert_quiet()


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.3, 0.7], speed=[1.0, 0.05])
async def runs_programs_in_order(dut, stall, speed):
    bench = Bench(dut, stall, 1)
    await start_clock(dut)
    bench.speed = speed
    for count in (0, 1, 7, 8, 9, 60):
        await bench.check(count)


@cocotb.test()
async def stops_at_halt(dut):
    bench = Bench(dut, 0.2, 2)
    await start_clock(dut)
    for after in (1, 3, 30):
        first = bench.program(5)
        program = first + bench.program(after)
        words = bench.put(program)
        assert await bench.run() == "done"
        bench.check_seen(first, words[: len(first)])
        bench.monitor.assert_quiet()


@cocotb.test()
async def fetches_beside_dma_traffic(dut):
    bench = Bench(dut, 0.2, 3)
    await start_clock(dut)
    width = bench.axi_bits // 8
    beats = bench.rng.integers(1, 40, 60)
    address = bench.rng.integers(0, 0x1000 // width - 40, 60) * width
    tags = bench.rng.choice([Tag.LOAD, Tag.INDEX, Tag.ROW], 60)
    bench.source.send({"address": address, "beats": beats, "tag": tags})
    received = cocotb.start_soon(bench.sink.receive(int(beats.sum())))
    program = bench.program(60)
    words = bench.put(program)
    assert await bench.run() == "done"
    bench.check_seen(program, words)
    got = await received
    places = zip(address.tolist(), beats.tolist(), strict=True)
    assert got["data"].tolist() == [beat for place in places for beat in bench.memory.beats(*place, bench.axi_bits)]
    assert got["tag"].tolist() == np.repeat(tags, beats).tolist()


@cocotb.test()
async def counts_waits(dut):
    bench = Bench(dut, 0.0, 4)
    await start_clock(dut)
    bench.speed = 0.02
    program = [
        Instruction(Opcode.LOAD, {}), Instruction(Opcode.QMM, {"wait_dma": 1}), Instruction(Opcode.NORM, {"wait_qmm": 1}),
        Instruction(Opcode.LOAD, {"wait_row": 1}), Instruction(Opcode.HALT, {}),
    ]  # fmt: skip
    waits = dict.fromkeys(SCHEDULER_EVENTS.members, 0)
    for _ in range(8):
        bench.put(program)
        assert await bench.run() == "done"
        waits = {name: waits[name] + bench.events[name] for name in waits}
    # A unit takes 50 cycles on average; each waits for all that come before it.
    assert waits["dma_wait_semaphore"] > waits["row_wait_semaphore"] > waits["qmm_wait_semaphore"] > 100
    assert waits["qmm_idle"] > waits["row_wait_semaphore"] - waits["qmm_wait_semaphore"]
    bench.put([Instruction(Opcode.LOAD, {}), Instruction(Opcode.STORE, {}), Instruction(Opcode.HALT, {})])
    assert await bench.run() == "done"
    for name in ("dma_wait_semaphore", "qmm_wait_semaphore", "row_wait_semaphore"):
        assert bench.events[name] == 0, name


@cocotb.test()
async def refuses_illegal_opcodes(dut):
    bench = Bench(dut, 0.2, 5)
    await start_clock(dut)
    for opcode, place in [(0, 0), (8, 3), (255, 20), (0, 9), (0x82, 1)]:
        program = bench.program(20)
        words = bench.put(program)
        bench.memory.bytes[IMAGE + PROGRAM + place * INSTRUCTION_BYTES] = opcode
        assert await bench.run() == (Error.ILLEGAL_OPCODE, place)
        assert bench.was_reset
        bench.check_seen(program[:place], words, complete=False)
        await bench.check()


@cocotb.test()
async def misses_halt(dut):
    bench = Bench(dut, 0.2, 6)
    await start_clock(dut)
    for count in (0, 1, 3, 4, 5, 20):
        program = bench.program(count, halt=False)
        words = bench.put([*program, *bench.program(3)], length=count)
        assert await bench.run() == (Error.NO_HALT, count)
        bench.check_seen(program, words)
        await bench.check(5)


@cocotb.test()
async def refuses_programs_out_of_place(dut):
    bench = Bench(dut, 0.0, 7)
    await start_clock(dut)
    for settings in ({"length": 1 << 16}, {"offset": PROGRAM + 4}, {"length": 0x80000001}):
        bench.put(bench.program(3), **settings)
        assert await bench.run() == (Error.SHAPE, 0)
        await bench.check(5)


@cocotb.test()
async def reports_a_bad_fetch(dut):
    bench = Bench(dut, 0.2, 8)
    await start_clock(dut)
    for place in (0, 1, 6, 19):
        bench.put(bench.program(20))
        start = IMAGE + PROGRAM + place * INSTRUCTION_BYTES + INSTRUCTION_BYTES // 2
        bench.memory.bad = range(start - bench.axi_bits // 16, start + 1)
        assert await bench.run() == (Error.AXI_READ, place)
        bench.memory.bad = range(0)
        await bench.check(5)


@cocotb.test()
@cocotb.parametrize(speed=[1.0, 0.1])
async def names_the_instruction_that_failed(dut, speed):
    bench = Bench(dut, 0.2, 9)
    await start_clock(dut)
    bench.speed = speed
    for number in range(12):
        program = bench.program(40)
        code = [Error.SHAPE, Error.ADDRESS_RANGE, Error.AXI_WRITE][number % 3]
        wanted = [i for i, x in enumerate(program[:-1]) if code is not Error.AXI_WRITE or QUEUE_OF[x.opcode] is Queue.ROW]
        place = int(bench.rng.choice(wanted))
        bench.fail_at = {place: code}
        bench.put(program)
        bench.source.send({"address": np.zeros(3, int), "beats": np.full(3, 30), "tag": np.ones(3, int)})
        dut.o_data__ready.value = 1
        assert await bench.run() == (code, place)
        bench.source.forget()
        bench.fail_at = {}
        assert bench.was_reset
        bench.monitor.assert_quiet()
        await bench.check(10)


@cocotb.test()
async def watchdog_names_the_oldest_instruction(dut):
    bench = Bench(dut, 0.0, 10)
    await start_clock(dut)
    for place in (0, 5, 11):
        bench.stuck = {place}
        bench.put(bench.program(12), watchdog=300)
        assert await bench.run(3000) == (Error.WATCHDOG, place)
        bench.stuck = set()
        await bench.check(5, watchdog=300)
    bench.stuck = {4}
    bench.put(bench.program(12), watchdog=0)
    running = cocotb.start_soon(bench.run())
    await ClockCycles(dut.clk, 3000)
    assert dut.o_busy.value == 1
    bench.stuck = set()
    assert await running == "done"


@cocotb.test()
async def survives_a_memory_that_does_not_answer(dut):
    bench = Bench(dut, 0.0, 11)
    await start_clock(dut)
    for wait in (0, 30, 60):
        bench.put(bench.program(40), watchdog=200)
        running = cocotb.start_soon(bench.run(3000))
        await ClockCycles(dut.clk, wait)
        bench.memory.silence()
        code, _ = await running
        assert code is Error.WATCHDOG
        # The next run finds a memory that first answers what the run before had asked.
        program = bench.program(10)
        words = bench.put(program, watchdog=200)
        running = cocotb.start_soon(bench.run())
        await ClockCycles(dut.clk, 50)
        bench.memory.speak()
        assert await running == "done"
        bench.check_seen(program, words)


@cocotb.test()
async def works_after_reset_in_the_middle(dut):
    bench = Bench(dut, 0.2, 12)
    await start_clock(dut)
    for _ in range(4):
        bench.put(bench.program(40))
        running = cocotb.start_soon(bench.run())
        await ClockCycles(dut.clk, int(bench.rng.integers(5, 150)))
        running.cancel()
        dut.i_start.value = 0
        await reset(dut, bench.source, bench.sink)
        await bench.check(10)


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("axi_bits", [64, 512])
def test_scheduler(axi_bits, simulator):
    simulate(SchedulerWithReader(axi_bits), __name__, simulator, parameters={"axi_bits": axi_bits})
