"""Softmax against its reference: masks, steps, every width of codes, stalls on both sides, reset in the middle."""

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles

from golden.softmax import softmax
from hw.vector.row_stream import code_element, row_element
from hw.vector.softmax import SOFTMAX_COMMAND, Softmax
from isa.sizes import ROWS_BETWEEN_PASSES, ring_words
from tb.hw.vector.rows import cycles_of_rows, from_elements, stacked, to_elements
from tb.lib.harness import SIMULATORS, StreamSink, StreamSource, parameters, reset, simulate, start_clock


class Bench:
    def __init__(self, dut, stall, rng, sink_stall=None):
        self.lanes = parameters()["lanes"]
        self.dut, self.rng = dut, rng
        self.command = StreamSource(dut, "i_command", SOFTMAX_COMMAND, stall, rng)
        self.source = StreamSource(dut, "i", row_element(self.lanes), stall, rng)
        self.sink = StreamSink(dut, "o", code_element(self.lanes), stall if sink_stall is None else sink_stall, rng)
        self.drivers = self.command, self.source, self.sink

    def job(self, rows, groups, columns=None, spread=2000, **fields):
        """Scores of an instruction and its command, random where not given."""
        rng = self.rng
        centre = rng.integers(-(2**15) + spread, 2**15 - spread, endpoint=True)
        scores = centre + rng.integers(-spread, spread, (rows, groups * self.lanes))
        command = {
            "rows": rows,
            "columns": int(rng.integers(1, groups * self.lanes + 1)) if columns is None else columns,
            "step": int(rng.integers(2**15, 2**16)),
            "step_shift": int(rng.integers(8, 16)),
            "bits": int(rng.integers(1, 9)),
            **fields,
        }
        return scores, command

    async def check(self, *jobs):
        self.command.send({name: np.array([command[name] for _, command in jobs]) for name in jobs[0][1]})
        self.source.send(stacked([to_elements(scores, self.lanes) for scores, _ in jobs]))
        for scores, command in jobs:
            rows = command["rows"]
            got = from_elements(await self.sink.receive(scores.size // self.lanes), rows)
            expected = softmax(scores, command["columns"], command["step"], command["step_shift"], command["bits"])
            assert (got == expected).all(), (command, np.argwhere(got != expected)[:5])


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.4])
async def random_rows_match(dut, stall):
    bench = Bench(dut, stall, np.random.default_rng(1))
    await start_clock(dut)
    shapes = [(5, 8), (3, 1), (1, 3), (7, 2), (4, 16), (1, 1)]
    await bench.check(*[bench.job(rows, groups) for rows, groups in shapes])
    await bench.sink.expect_nothing()


@cocotb.test()
async def every_width_step_and_mask_matches(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(2))
    await start_clock(dut)
    jobs = [bench.job(2, 3, bits=bits, step_shift=12 + bits) for bits in range(1, 9)]
    jobs += [bench.job(2, 3, step_shift=shift, step=step) for shift in (0, 1, 2, 17, 18, 31) for step in (2**15, 2**16 - 1)]
    jobs += [bench.job(2, 3, columns=columns, step_shift=15, bits=8) for columns in range(1, 3 * bench.lanes + 1)]
    await bench.check(*jobs)


@cocotb.test()
async def extreme_scores_match(dut):
    bench = Bench(dut, 0.2, np.random.default_rng(3))
    await start_clock(dut)
    jobs = []
    for spread in (1, 64, 1024, 1100, 2**15):
        jobs.append(bench.job(6, 4, spread=spread, bits=8, step_shift=14))
    scores, command = bench.job(6, 4, bits=8, step_shift=10, columns=4 * bench.lanes - 1)
    scores[:] = bench.rng.choice([-(2**15), 2**15 - 1], scores.shape)
    scores[0], scores[1], scores[2, 1:] = -(2**15), 2**15 - 1, -(2**15)
    jobs.append((scores, command))
    # Two equal scores and a step of which half is 255.75, which rounds to a bit more than a code has.
    jobs.append((np.zeros((2, bench.lanes), int), bench.job(2, 1, columns=2, step=65472, step_shift=7, bits=8)[1]))
    groups = parameters()["row_columns"] // bench.lanes
    jobs.append(bench.job(3, groups, spread=1, bits=8, columns=groups * bench.lanes, step_shift=15))
    await bench.check(*jobs)


@cocotb.test()
async def works_after_a_reset_in_the_middle(dut):
    bench = Bench(dut, 0.3, np.random.default_rng(4))
    await start_clock(dut)
    for pause in (20, 60, 90):
        scores, command = bench.job(20, 4)
        bench.command.send({name: [value] for name, value in command.items()})
        bench.source.send(to_elements(scores, bench.lanes))
        await bench.sink.receive(pause // 10)
        await ClockCycles(dut.clk, pause)
        await reset(dut, *bench.drivers)
        await bench.check(bench.job(3, 3), bench.job(2, 5))
        await bench.sink.expect_nothing()


@cocotb.test()
async def a_slow_output_holds_everything_up(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(6), sink_stall=0.9)
    await start_clock(dut)
    # More than the rings hold, in rows and in elements.
    groups = parameters()["row_columns"] // bench.lanes
    rows = ROWS_BETWEEN_PASSES
    await bench.check(bench.job(6 * rows, 1), bench.job(2 * ring_words(0) // groups, groups), bench.job(rows, 2))


@cocotb.test()
async def a_row_takes_its_elements_cycles(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(5))
    await start_clock(dut)
    for rows, groups, most in [(40, 16, 16), (60, 8, 8), (80, 4, 4), (100, 3, 3), (120, 2, 2), (120, 1, 2)]:
        ends = cocotb.start_soon(cycles_of_rows(dut, rows))
        await bench.check(bench.job(rows, groups))
        ends = await ends
        assert ends[-1] - ends[0] <= most * (rows - 1), (groups, np.diff(ends))
        assert ends[0] <= groups * 3 + 60, groups


@cocotb.test()
async def rows_enter_while_those_of_the_instruction_before_leave(dut):
    """Instructions with other widths, steps and bits each, at the cost of their elements."""
    bench = Bench(dut, 0.0, np.random.default_rng(7))
    await start_clock(dut)
    count, rows, groups = 30, 3, 4
    ends = cocotb.start_soon(cycles_of_rows(dut, count * rows))
    await bench.check(*[bench.job(rows, groups) for _ in range(count)])
    ends = await ends
    assert ends[-1] - ends[0] <= (count * rows - 1) * groups


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize(("lanes", "row_columns"), [(4, 64), (8, 328)])
def test_softmax(simulator, lanes, row_columns):
    simulate(Softmax(lanes, row_columns), __name__, simulator, parameters={"lanes": lanes, "row_columns": row_columns})
