"""Random SOFTMAX, NORM and STORE against their references; bad shapes, addresses out of range, reset in the middle."""

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles, RisingEdge
from cocotb.utils import get_sim_time

from hw.vector.row_processor import RowProcessor
from isa.errors import Error
from isa.instruction import Opcode, operation
from tb.hw.vector.row_bench import CONFIGS, Bench
from tb.lib.harness import SIMULATORS, reset, simulate, start_clock


async def run_some(bench, count):
    c, rng = bench.config, bench.rng
    start = bench.done
    for n in range(count):
        rows, groups = int(rng.integers(1, 3 * c.rows)), int(rng.integers(1, c.row_columns // c.row_lanes + 1))
        groups = groups if rng.integers(3) else min(groups, 2)
        match int(rng.integers(3)):
            case 0:
                bench.softmax(rows, groups)
            case 1:
                bench.norm(rows, groups)
            case 2:
                await bench.store(rows, groups)
        await bench.finish(start + n + 1)


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.4])
async def random_programs_match(dut, stall):
    bench = Bench(dut, stall, np.random.default_rng(1))
    await start_clock(dut)
    await bench.fill()
    await run_some(bench, 24 if stall == 0 else 12)


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def instructions_run_back_to_back(dut, stall):
    bench = Bench(dut, stall, np.random.default_rng(2))
    await start_clock(dut)
    await bench.fill()
    answering = None
    for _ in range(30):
        match int(bench.rng.integers(5)):
            case 0 | 1:
                bench.softmax(int(bench.rng.integers(1, 6)), 3)
            case 2 | 3:
                bench.norm(int(bench.rng.integers(1, 6)), 2)
            case _:
                answering = bench.store_after(answering)
    if answering:
        await answering
    await bench.finish(30)


@cocotb.test()
@cocotb.parametrize(kinds=["softmax", "norm", "both"])
async def rows_of_the_next_instruction_follow_at_once(dut, kinds):
    """Instructions of some rows, of one unit or in turn of both, take the cycles of their elements."""
    bench = Bench(dut, 0.0, np.random.default_rng(5))
    await start_clock(dut)
    await bench.fill()
    rows, groups = bench.config.rows, 4

    async def cycles_of(count):
        start, before = get_sim_time("ns"), bench.done
        for n in range(count):
            if kinds == "softmax" or (kinds == "both" and n % 2):
                bench.softmax(rows, groups, bits=1)
            else:
                bench.norm(rows, groups, bits=1, residual_base=n * rows * groups, keep_sum=0)
        await bench.finish(before + count)
        return round((get_sim_time("ns") - start) / 5)

    few, many = await cycles_of(4), await cycles_of(20)
    # Of the narrow one the norm loses a cycle in some 256.
    assert many - few <= 16 * rows * groups + 2, (few, many)


@cocotb.test()
async def an_instruction_is_done_behind_the_one_before_whatever_memory_it_writes(dut):
    """Codes for the left memory have to wait; those of the next instruction go to the right one, or nowhere."""
    bench = Bench(dut, 0.0, np.random.default_rng(8))
    await start_clock(dut)
    await bench.fill()
    for _ in range(2):
        for task in bench.sinks:
            task.cancel()
        dut.o_left__ready.value = 0
        before, right = bench.done, bench.right.writes
        bench.softmax(1, 1, bits=1)
        bench.norm(2, 2, left_enable=0, right_enable=1)
        bench.norm(2, 2, left_enable=0, right_enable=0)
        bench.norm(2, 2, left_enable=0, right_enable=1)
        bench.sinks = [cocotb.start_soon(bench.collect("right"))]
        await ClockCycles(dut.clk, 500)
        assert bench.right.writes == bench.right.expected_writes > right
        assert bench.done == before
        bench.sinks.append(cocotb.start_soon(bench.collect("left")))
        await bench.finish(before + 4)


@cocotb.test()
async def codes_wait_for_those_of_the_instruction_before(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(7))
    await start_clock(dut)
    await bench.fill()
    for task in bench.sinks:
        task.cancel()
    dut.o_left__ready.value = 0
    for _ in range(3):
        bench.softmax(1, 1, bits=8)
    await ClockCycles(dut.clk, 300)
    assert bench.done == 0
    bench.start_sinks()
    await bench.finish(3)


@cocotb.test()
async def an_error_is_about_its_own_instruction(dut):
    """A good SOFTMAX whose writes have to wait, then a bad instruction: first that is done, then comes the error."""
    good = {"rows": 2, "groups": 2, "columns": 5, "bits": 2, "epsilon": 1, "width_reciprocal": 2**28}
    for opcode, wrong, error in [
        (Opcode.NORM, {"columns": 0}, Error.SHAPE), (Opcode.NORM, {"residual_base": 60000}, Error.ADDRESS_RANGE),
        (Opcode.NORM, {"right_enable": 1, "right_base": 60000}, Error.ADDRESS_RANGE),
        (Opcode.NORM, {"left_enable": 1, "left_base": 60000}, Error.ADDRESS_RANGE),
        (Opcode.STORE, {"region": 3}, Error.SHAPE),
    ]:  # fmt: skip
        bench = Bench(dut, 0.0, np.random.default_rng(6))
        await start_clock(dut)
        await bench.fill()
        for task in bench.sinks:
            task.cancel()
        dut.o_left__ready.value = 0
        bench.softmax(1, 1, bits=8)
        names = {field.name for field in operation(opcode).fields}
        fields = {name: value for name, value in (good | wrong).items() if name in names}
        bench.send_instruction(opcode, fields)
        bench.send_rows(bench.rng.integers(-(2**15), 2**15, (2, 2 * bench.config.row_lanes)))
        await ClockCycles(dut.clk, 200)
        assert (bench.done, bench.errors) == (0, [])
        bench.start_sinks()
        await ClockCycles(dut.clk, 200)
        assert (bench.done, bench.errors) == (1, [error.value]), opcode
        for task in [*bench.sinks, *bench.tasks]:
            task.cancel()
        await reset(dut, *bench.drivers)


@cocotb.test()
async def works_after_a_reset_in_the_middle(dut):
    bench = Bench(dut, 0.2, np.random.default_rng(3))
    await start_clock(dut)
    for pause in (30, 70, 150):
        await bench.fill()
        bench.norm(20, 4)
        bench.softmax(9, 3)
        await ClockCycles(dut.clk, pause)
        for task in bench.sinks:
            task.cancel()
        await reset(dut, *bench.drivers)
        bench.start_sinks()
        for operands in (bench.left, bench.right):
            operands.accept()
        await bench.fill()
        await run_some(bench, 6)


def bad_instructions(config):
    """(opcode, fields that differ from good ones, error) of instructions that must be refused."""
    c = config
    left, norm, residual = c.left_depth - 1, c.norm_depth - 1, c.residual_depth - 1
    yield Opcode.SOFTMAX, {"rows": 0}, Error.SHAPE
    yield Opcode.SOFTMAX, {"groups": 0}, Error.SHAPE
    yield Opcode.SOFTMAX, {"groups": c.row_columns // c.row_lanes + 1}, Error.SHAPE
    yield Opcode.SOFTMAX, {"columns": 2 * c.row_lanes + 1}, Error.SHAPE
    yield Opcode.SOFTMAX, {"columns": 0}, Error.SHAPE
    yield Opcode.SOFTMAX, {"bits": 0}, Error.SHAPE
    yield Opcode.SOFTMAX, {"bits": 9}, Error.SHAPE
    yield Opcode.SOFTMAX, {"left_base": left, "left_plane": 1}, Error.ADDRESS_RANGE
    yield Opcode.SOFTMAX, {"rows": 2 * c.rows, "left_tile": left + 1}, Error.ADDRESS_RANGE
    yield Opcode.NORM, {"columns": 1}, Error.SHAPE
    yield Opcode.NORM, {"bits": 0}, Error.SHAPE
    yield Opcode.NORM, {"epsilon": 0}, Error.SHAPE
    yield Opcode.NORM, {"residual_base": residual}, Error.ADDRESS_RANGE
    yield Opcode.NORM, {"constant_base": norm}, Error.ADDRESS_RANGE
    yield Opcode.NORM, {"right_enable": 1, "right_base": 0xFFFF}, Error.ADDRESS_RANGE
    yield Opcode.STORE, {"rows": 0}, Error.SHAPE
    yield Opcode.STORE, {"region": 3}, Error.SHAPE
    yield Opcode.HALT, {}, Error.SHAPE


@cocotb.test()
async def bad_instructions_are_errors_and_the_next_program_runs(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(4))
    await start_clock(dut)
    await bench.fill()
    good = {
        "rows": 2, "groups": 2, "columns": 7, "bits": 2, "left_enable": 1, "step": 2**15, "epsilon": 1,
        "width_reciprocal": 2**28, "region": 2,
    }  # fmt: skip
    for opcode, fields, error in bad_instructions(bench.config):
        done = bench.done
        names = {field.name for field in operation(opcode).fields}
        fields = {name: value for name, value in (good | fields).items() if name in names}
        bench.send_instruction(opcode, fields)
        bench.send_rows(bench.rng.integers(-(2**15), 2**15, (8, 16)))
        for _ in range(300):
            if bench.errors:
                break
            await RisingEdge(dut.clk)
        await ClockCycles(dut.clk, 30)
        assert bench.errors == [error.value], (opcode, fields, bench.errors)
        assert bench.done == done
        for task in bench.sinks:
            task.cancel()
        await reset(dut, *bench.drivers)
        bench.start_sinks()
        for operands in (bench.left, bench.right):
            operands.accept()
        await bench.fill()  # a bad NORM may have spoilt the residual stream
        bench.softmax(3, 2)
        bench.norm(3, 2)
        await bench.finish(2)


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("config", CONFIGS)
def test_row_processor(simulator, config):
    simulate(RowProcessor(CONFIGS[config]), __name__, simulator, parameters={"config": config})
