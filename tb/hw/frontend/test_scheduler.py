"""Scheduler with arbiter and reader: order, semaphores, and every way a run can end; the units are played by the bench."""

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from hw.axi.axi import Tag
from hw.frontend.scheduler import SCHEDULER_EVENTS
from hw.instruction import ERROR
from isa.errors import Error
from isa.instruction import INSTRUCTION_BYTES, Instruction, Opcode, Queue, queue_of
from isa.latency import RESOLVE
from tb.hw.frontend.scheduler_bench import IMAGE, PROGRAM, Bench, SchedulerWithReader, one
from tb.lib.harness import SIMULATORS, reset, simulate, start_clock


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.3, 0.7], speed=[1.0, 0.05])
async def runs_programs_in_order(dut, stall, speed):
    bench = Bench(dut, stall, 1)
    await start_clock(dut)
    bench.speed = speed
    for count in (0, 1, 7, 8, 9, 60):
        await bench.check(count)


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5], speed=[1.0, 0.3, 0.05])
async def what_nothing_is_left_of_completes_in_order_without_its_unit(dut, stall, speed):
    bench = Bench(dut, stall, 20)
    await start_clock(dut)
    bench.speed = speed
    for limited in (0.3, 1.0):
        await bench.check(60, limited)


@cocotb.test()
async def many_of_which_nothing_is_left_wait_behind_one_that_takes_long(dut):
    bench = Bench(dut, 0.0, 21)
    await start_clock(dut)
    bench.speed = 0.001
    absent = {"limit_rows": 1, "first_token": (1 << 16) - 1}
    for opcode in (Opcode.LOAD, Opcode.QMM, Opcode.NORM):
        waits = {f"wait_{queue_of(Instruction(opcode, {})).name.lower()}": 41}
        program = [Instruction(opcode, {}), *[Instruction(opcode, absent)] * 40]
        last = Opcode.QMM if opcode is Opcode.LOAD else Opcode.LOAD
        program += [Instruction(last, waits), Instruction(Opcode.HALT, {})]
        words = bench.put(program, exact=True)
        assert await bench.run() == "done"
        bench.check_seen(program, words)
        assert bench.events["instructions"] == len(program)


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
    program = bench.program(60)
    words = bench.put(program)
    bench.stuck = {59}  # between runs there is no traffic
    running = cocotb.start_soon(bench.run())
    await ClockCycles(dut.clk, 5)
    bench.source.send({"address": address, "beats": beats, "tag": tags})
    got = await bench.sink.receive(int(beats.sum()))
    bench.stuck = set()
    assert await running == "done"
    bench.check_seen(program, words)
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
    for _ in range(16):
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
async def loads_wait_in_a_queue_of_their_own_depth(dut):
    bench = Bench(dut, 0.0, 13)
    await start_clock(dut)
    held = 3 + bench.dma_queue  # the unit of the bench takes three
    for loads, passes in ((held, True), (held + 1, False)):
        bench.stuck = {0}
        program = [Instruction(Opcode.LOAD, {})] * loads + [Instruction(Opcode.QMM, {}), Instruction(Opcode.HALT, {})]
        words = bench.put(program)
        running = cocotb.start_soon(bench.run())
        await ClockCycles(dut.clk, 60 + 24 * loads)
        assert len(bench.seen[Queue.QMM]) == passes
        bench.stuck = set()
        assert await running == "done"
        bench.check_seen(program, words)


@cocotb.test()
async def starts_an_instruction_soon_after_what_it_waits_for(dut):
    bench = Bench(dut, 0.0, 14)
    await start_clock(dut)
    bench.speed = 1.0
    # Opcodes of different queues, each waiting for the one before.
    program, counts = [], [0, 0, 0]
    for n in range(6):
        opcode = (Opcode.LOAD, Opcode.QMM, Opcode.NORM)[n % 3]
        program.append(Instruction(opcode, dict(zip(("wait_dma", "wait_qmm", "wait_row"), counts, strict=True))))
        counts[n % 3] += 1
    # The first one is held back until all of them are in their queues.
    bench.stuck = {0}
    words = bench.put([*program, Instruction(Opcode.HALT, {})])
    running = cocotb.start_soon(bench.run())
    await ClockCycles(dut.clk, 200)
    bench.stuck = set()
    starts, last_done, cycle = [], 0, 0
    while len(starts) < 5:
        await RisingEdge(dut.clk)
        cycle += 1
        if any(valid.value and ready.value for valid, ready, _ in bench.ports):
            starts.append(cycle - last_done)
        if dut.i_done.value:
            last_done = cycle
    # The first from its unit's done; the others a cycle later, in which completions are put in order.
    assert starts == [3, 4, 4, 4, 4], starts
    assert await running == "done"
    bench.check_seen(program, words)


@cocotb.test()
async def dispatches_and_issues_quickly(dut):
    bench = Bench(dut, 0.0, 15)
    await start_clock(dut)
    bench.speed = 1.0
    program = [Instruction(Opcode.LOAD, {})] * 60
    bench.put([*program, Instruction(Opcode.HALT, {})])
    issued, cycle = [], 0

    async def watch():
        nonlocal cycle
        while True:
            await RisingEdge(dut.clk)
            cycle += 1
            if bench.ports[0][0].value and bench.ports[0][1].value:
                issued.append(cycle)

    watching = cocotb.start_soon(watch())
    assert await bench.run() == "done"
    watching.cancel()
    beats = INSTRUCTION_BYTES * 8 // bench.axi_bits
    # A memory of the bench answers a read after some 10 cycles.
    assert issued[-1] - issued[0] <= 59 * (beats + RESOLVE + 1)


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
    for settings in ({"length": 1 << 16}, {"offset": PROGRAM + bench.axi_bits // 16}, {"length": 0x80000001}):
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
        wanted = [i for i, x in enumerate(program[:-1]) if code is not Error.AXI_WRITE or queue_of(x) is Queue.ROW]
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
async def stops_when_told_to(dut):
    bench = Bench(dut, 0.2, 15)
    await start_clock(dut)
    dut.i_stop.value = one(ERROR, valid=1, code=Error.ABORTED)  # of no run
    await ClockCycles(dut.clk, 5)
    assert not dut.o_busy.value
    dut.i_stop.value = 0
    for wait, place in ((0, 0), (1, 0), (2, 0), (200, 5)):
        bench.stuck = {place}
        bench.put(bench.program(12), watchdog=0)
        running = cocotb.start_soon(bench.run())
        await ClockCycles(dut.clk, 1 + wait)
        dut.i_stop.value = one(ERROR, valid=1, code=Error.ABORTED)
        assert await running == (Error.ABORTED, place)
        dut.i_stop.value = 0
        bench.stuck = set()
        await bench.check(5)


@cocotb.test()
async def halt_with_a_buffer_that_is_not_empty_is_an_error(dut):
    bench = Bench(dut, 0.2, 16)
    await start_clock(dut)
    for count in (0, 1, 30):
        dut.i_leftover.value = 1
        bench.put(bench.program(count))
        assert await bench.run() == (Error.LEFTOVER, count)
        dut.i_leftover.value = 0
        await bench.check(5)


@cocotb.test()
async def units_are_in_reset_between_runs(dut):
    bench = Bench(dut, 0.2, 17)
    await start_clock(dut)
    for _ in range(3):
        await ClockCycles(dut.clk, 5)
        assert dut.o_reset.value == dut.o_discard.value == 1
        await bench.check(20)


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
@pytest.mark.parametrize(("axi_bits", "dma_queue"), [(32, 4), (64, 8), (512, 64)])
def test_scheduler(axi_bits, dma_queue, simulator):
    parameters = {"axi_bits": axi_bits, "dma_queue": dma_queue}
    simulate(SchedulerWithReader(axi_bits, dma_queue), __name__, simulator, parameters=parameters)
