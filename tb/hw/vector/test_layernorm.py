"""Residual sum and norm against their references: both norms, both residuals, widths, extremes, stalls, reset."""

import cocotb
import numpy as np
import pytest
from amaranth import Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from cocotb.triggers import ClockCycles, RisingEdge

from hw.vector.layernorm import NORM_COMMAND, LayerNorm
from hw.vector.row_stream import code_element, load_chunk, row_element
from isa.sizes import ROWS_BETWEEN_PASSES
from tb.hw.vector.norm_model import NormModel
from tb.hw.vector.rows import cycles_of_rows, from_elements, stacked, to_elements
from tb.lib.harness import SIMULATORS, StreamSink, StreamSource, parameters, reset, simulate, start_clock

RESIDUAL_DEPTH, NORM_DEPTH = 580, 24


class Observed(wiring.Component):
    """The unit, with the writes to its residual memory as outputs."""

    def __init__(self, lanes, row_columns, axi_bits, norm_depth=NORM_DEPTH):
        self.unit = LayerNorm(lanes, row_columns, RESIDUAL_DEPTH, norm_depth, axi_bits)
        self.unit._MustUse__silence = True  # elaborated by hand, to reach its memory
        ports = {"o_write": Out(1), "o_write_address": Out(17), "o_write_data": Out(lanes * 16)}
        super().__init__(dict(self.unit.signature.members.items()) | ports)

    def elaborate(self, platform):
        m = Module()
        inside = self.unit.elaborate(platform)
        m.submodules.unit = inside
        for name, member in self.unit.signature.members.items():
            if member.is_signature:
                ends = getattr(self, name), getattr(self.unit, name)
                wiring.connect(m, wiring.flipped(ends[0]), ends[1])
            elif member.flow is In:
                m.d.comb += getattr(self.unit, name).eq(getattr(self, name))
            else:
                m.d.comb += getattr(self, name).eq(getattr(self.unit, name))
        memory = inside.submodules.residual
        m.d.comb += [
            self.o_write.eq(memory.write_enable.any()),
            self.o_write_address.eq(memory.write_address),
            self.o_write_data.eq(Mux(memory.write_enable[0], memory.write_data[0], memory.write_data[1])),
        ]
        return m


class Bench:
    def __init__(self, dut, stall, rng, sink_stall=None):
        self.lanes, self.axi_bits = parameters()["lanes"], parameters()["axi_bits"]
        self.row_columns = parameters()["row_columns"]
        self.dut, self.rng = dut, rng
        self.command = StreamSource(dut, "i_command", NORM_COMMAND, stall, rng)
        self.source = StreamSource(dut, "i", row_element(self.lanes), stall, rng)
        self.load_residual = StreamSource(dut, "i_load_residual", load_chunk(self.lanes * 16, self.axi_bits), stall, rng)
        self.load_norm = StreamSource(dut, "i_load_norm", load_chunk(self.lanes * 64, self.axi_bits), stall, rng)
        self.sink = StreamSink(dut, "o", code_element(self.lanes), stall if sink_stall is None else sink_stall, rng)
        self.drivers = self.command, self.source, self.sink, self.load_residual, self.load_norm
        self.model = NormModel(RESIDUAL_DEPTH, parameters().get("norm_depth", NORM_DEPTH), self.lanes)
        #: The residual memory as its writes were seen.
        self.seen = self.model.residual.copy()
        self.expected_saturated = self.saturated = 0
        cocotb.start_soon(self._watch())

    async def _watch(self):
        dut = self.dut
        while True:
            await RisingEdge(dut.clk)
            if dut.o_write.value and int(dut.o_write_address.value) < RESIDUAL_DEPTH:
                word = int(dut.o_write_data.value).to_bytes(self.lanes * 2, "little")
                self.seen[int(dut.o_write_address.value)] = np.frombuffer(word, np.int16)
            # Icarus knows that what is read beyond a memory is unknown.
            count = dut.o_saturated.value
            self.saturated += int(count) if count.is_resolvable else 10**6

    async def fill(self, magnitude=2**15):
        """Random residual stream and constants, through the LOAD streams."""
        self.model.fill(self.rng, magnitude)
        self.seen[:] = self.model.residual
        self.expected_saturated = self.saturated = 0
        residual, constants = self.model.loads(self.axi_bits)
        loads = [self.load_residual.send(residual), self.load_norm.send(constants)]
        for load in loads:
            await load

    def job(self, rows, groups, updates=None, **fields):
        """Updates of an instruction and its command, random where not given."""
        if updates is None:
            updates = self.rng.integers(-(2**15), 2**15, (rows, groups * self.lanes))
        return updates, self.model.random_command(self.rng, rows, groups, **fields)

    async def check(self, *jobs):
        """Jobs one behind the other; those that would read what one before may not have written yet, behind its end."""
        together, touched = [], []
        for updates, command in jobs:
            base, words = command["residual_base"], updates.size // self.lanes
            if any(base < end and start < base + words for start, end in touched):
                await self._check(*together)
                together, touched = [], []
            together.append((updates, command))
            touched.append((base, base + words))
        await self._check(*together)

    async def _check(self, *jobs):
        self.command.send({name: np.array([command[name] for _, command in jobs]) for name in jobs[0][1]})
        self.source.send(stacked([to_elements(updates, self.lanes) for updates, _ in jobs]))
        for updates, command in jobs:
            expected, saturated = self.model.run(updates, command)
            self.expected_saturated += saturated
            got = from_elements(await self.sink.receive(updates.size // self.lanes), command["rows"])
            assert (got == expected & 255).all(), (command, np.argwhere(got != expected & 255)[:5])
        await ClockCycles(self.dut.clk, 20)
        assert (self.seen == self.model.residual).all(), np.argwhere(self.seen != self.model.residual)[:5]
        assert self.saturated == self.expected_saturated


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.4])
async def random_rows_match(dut, stall):
    bench = Bench(dut, stall, np.random.default_rng(1))
    await start_clock(dut)
    await bench.fill()
    shapes = [(5, 8), (3, 1), (2, 3), (7, 2), (4, 16), (1, 1), (5, 4)]
    await bench.check(*[bench.job(rows, groups) for rows, groups in shapes])
    await bench.sink.expect_nothing()


@cocotb.test()
async def every_width_matches(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(2))
    await start_clock(dut)
    await bench.fill()
    groups = bench.row_columns // bench.lanes
    await bench.check(*[bench.job(2, groups, columns=columns) for columns in range(2, bench.row_columns + 1)])


@cocotb.test()
async def every_shift_matches(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(3))
    await start_clock(dut)
    await bench.fill()
    await bench.check(*[
        bench.job(2, 2, residual_shift=shift, code_shift=31 - shift, low=low, high=high, keep_sum=0)
        for shift in range(32)
        for low, high in [(-256, 255), (0, 1), (-8, 7)]
    ])  # fmt: skip


@cocotb.test()
async def extreme_rows_match(dut):
    bench = Bench(dut, 0.2, np.random.default_rng(4))
    await start_clock(dut)
    rng, lanes = bench.rng, bench.lanes
    for magnitude in (1, 30, 2**15):
        await bench.fill(magnitude)
        jobs = []
        for epsilon in (1, 2**32 - 1):
            for rms in (0, 1):
                updates = rng.choice([-(2**15), 2**15 - 1], (4, 4 * lanes))
                jobs.append(bench.job(4, 4, updates, epsilon=epsilon, rms=rms, code_shift=16))
                updates = rng.integers(-1, 2, (6, 4 * lanes))
                updates[0], updates[1] = 0, -(2**15)
                updates[2:4] = rng.integers(-(2**15), 2**15, (2, 1))
                jobs.append(bench.job(6, 4, updates, epsilon=epsilon, rms=rms, columns=4 * lanes - 1, code_shift=18))
        await bench.check(*jobs)


@cocotb.test()
async def works_after_a_reset_in_the_middle(dut):
    bench = Bench(dut, 0.3, np.random.default_rng(5))
    await start_clock(dut)
    for pause in (20, 60, 90):
        await bench.fill()
        updates, command = bench.job(12, 4)
        bench.command.send({name: [value] for name, value in command.items()})
        bench.source.send(to_elements(updates, bench.lanes))
        await bench.sink.receive(pause // 10)
        await ClockCycles(dut.clk, pause)
        await reset(dut, *bench.drivers)
        await bench.fill()
        await bench.check(bench.job(3, 3), bench.job(2, 5))
        await bench.sink.expect_nothing()


@cocotb.test()
@cocotb.parametrize(keep_sum=[(0, 0), (1, 1), (0, 1), (1, 0)])
async def rows_enter_while_those_of_the_instruction_before_leave(dut, keep_sum):
    """Instructions with other constants, widths and places each, at the cost of their elements; only what would write the
    residual memory twice at a time waits."""
    bench = Bench(dut, 0.0, np.random.default_rng(10))
    await start_clock(dut)
    await bench.fill()
    count, rows, groups = 12, 8, 4
    jobs = [
        bench.job(rows, groups, residual_base=n * rows * groups, keep_sum=keep_sum[n % 2], constant_base=n)
        for n in range(count)
    ]
    ends = cocotb.start_soon(cycles_of_rows(dut, count * rows))
    await bench.check(*jobs)
    ends = await ends
    waits = keep_sum == (0, 1), keep_sum == (1, 0)
    if not any(waits):
        assert ends[-1] - ends[0] <= (count * rows - 1) * groups
    else:
        gaps = np.diff(ends)[rows - 1 :: rows]
        assert (gaps[::2] > 20).all() == waits[0]
        assert (gaps[1::2] > 20).all() == waits[1]
        assert (gaps[waits[0] :: 2] <= groups).all()


@cocotb.test()
async def a_load_beside_a_norm_loses_nothing(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(8))
    await start_clock(dut)
    half, rows = RESIDUAL_DEPTH // 2, RESIDUAL_DEPTH // 8
    for keep_sum in (0, 1):
        await bench.fill()
        bench.model.residual[half:] = bench.rng.integers(-(2**15), 2**15, (half, bench.lanes))
        bench.seen[half:] = bench.model.residual[half:]
        loads, _ = bench.model.loads(bench.axi_bits)
        upper = {name: part[len(part) // 2 :] for name, part in loads.items()}
        norm = cocotb.start_soon(bench.check(bench.job(rows, 4, residual_base=0, keep_sum=keep_sum)))
        # The unit never waits for the memory, so only the load could lose.
        await RisingEdge(dut.o_write)
        await RisingEdge(dut.clk)
        await bench.load_residual.send(upper)
        await norm
        nothing = np.zeros((rows, 4 * bench.lanes), np.int64)
        columns = 4 * bench.lanes
        await bench.check(bench.job(rows, 4, nothing, residual_base=half, keep_sum=1, columns=columns))


@cocotb.test()
async def a_slow_output_holds_everything_up(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(9), sink_stall=0.9)
    await start_clock(dut)
    await bench.fill()
    # More than the ring holds, in rows and in elements.
    groups = bench.row_columns // bench.lanes
    rows = ROWS_BETWEEN_PASSES
    await bench.check(bench.job(4 * rows, 1), bench.job(rows, 2), bench.job(RESIDUAL_DEPTH // groups, groups))


@cocotb.test()
async def a_row_takes_its_elements_cycles(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(7))
    await start_clock(dut)
    await bench.fill()
    for rows, groups, most in [(12, 16, 16), (24, 8, 8), (60, 4, 4), (80, 3, 3), (80, 2, 2), (80, 1, 2)]:
        ends = cocotb.start_soon(cycles_of_rows(dut, rows))
        await bench.check(bench.job(rows, groups))
        ends = await ends
        assert ends[-1] - ends[0] <= most * (rows - 1), (groups, np.diff(ends))
        assert ends[0] <= groups * 2 + 80, groups


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize(("lanes", "row_columns", "axi_bits"), [(4, 64, 64), (8, 136, 32)])
def test_layernorm(simulator, lanes, row_columns, axi_bits):
    simulate(
        Observed(lanes, row_columns, axi_bits), __name__, simulator,
        parameters={"lanes": lanes, "row_columns": row_columns, "axi_bits": axi_bits},
    )  # fmt: skip
