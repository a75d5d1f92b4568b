"""Sequencer against the loop nest of the reference: every step in order, every address, every tile's descriptor, errors."""

from collections import Counter
from itertools import product

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from golden.codes import Kind
from golden.qmm import plane_pairs
from hw.engine.sequencer import Sequencer
from hw.engine.tile import tile_layout
from hw.instruction import ISSUE
from isa.errors import Error
from isa.instruction import Destination, Instruction, Opcode, encode
from tb.hw.engine.tiles import random_format
from tb.lib.harness import SIMULATORS, StreamSource, parameters, reset, simulate, start_clock
from tb.lib.payload import unpack
from tb.lib.ports import number

STEP = ("left_address", "right_address", "first", "twice", "subtract", "last")


class Bench:
    def __init__(self, dut, stall, rng, quick=False):
        self.dut, self.rng, self.quick = dut, rng, quick
        self.unit = Sequencer(**parameters())
        self.source = StreamSource(dut, "i", ISSUE, stall, rng)
        self.counts = Counter()
        self.steps, self.ends, self.tiles, self.errors, self.in_flight = [], [], [], [], 0
        dut.tile_done.value = 0

    def random_fields(self, **fields):
        """A legal instruction; ``fields`` are set as given."""
        rng, unit = self.rng, self.unit
        fields = {
            "words": int(rng.integers(1, 5)),
            "row_tiles": int(rng.integers(1, 6)),
            "column_tiles": int(rng.integers(1, 4)),
        } | fields
        operands = {}
        for side, tiles, depth in (
            ("left", fields["row_tiles"], unit.left_depth),
            ("right", fields["column_tiles"], unit.right_depth),
        ):
            kind, bits = random_format(rng)
            stride, plane = int(rng.integers(0, 40)), int(rng.integers(0, 40))
            most = depth - 1 - (bits - 1) * plane - (tiles - 1) * stride - (fields["words"] - 1)
            operands |= {f"{side}_kind": kind.value, f"{side}_bits": bits, f"{side}_tile": stride, f"{side}_plane": plane}
            # Now and then the last word that is there.
            operands[f"{side}_base"] = most if rng.random() < 0.3 else int(rng.integers(0, most + 1))
        result = {name: int(rng.integers(0, 1 << bits)) for name, bits in (
            ("destination_base", 16), ("destination_plane", 16), ("destination_tile", 8), ("constant_base", 16),
            ("constant_by_row", 1), ("shift", 5))}  # fmt: skip
        result |= {"low": int(rng.integers(-(1 << 16), 1)), "high": int(rng.integers(0, 1 << 16))}
        result |= {"destination": int(rng.integers(0, 3)), "destination_bits": int(rng.integers(1, 9))}
        result["destination_column"] = int(rng.integers(0, 20)) * unit.columns
        result["columns"] = int(rng.integers(0, (fields["column_tiles"] + 1) * unit.columns))
        return operands | result | fields

    def send(self, *instructions):
        words = [int.from_bytes(encode(Instruction(Opcode.QMM, fields)), "little") for fields in instructions]
        return self.source.send({"bits": np.array(words, object), "index": np.arange(len(words))})

    def watch(self):
        """Record every step and descriptor; tiles leave after a random time, at once if ``quick``."""
        return cocotb.start_soon(self._watch())

    async def _watch(self):
        dut, edge, cycle = self.dut, RisingEdge(self.dut.clk), 0
        ready_at = []
        while True:
            done = bool(ready_at) and ready_at[0] <= cycle and (self.quick or self.rng.random() < 0.3)
            dut.tile_done.value = int(done)
            if done:
                ready_at.pop(0)
            await edge
            for name in ("active", "waiting", "enable"):
                self.counts[name] += number(getattr(dut, name))
            if dut.enable.value:
                self.steps.append(tuple(number(getattr(dut, name)) for name in STEP))
                if dut.last.value:
                    self.ends.append(cycle)
            self.in_flight -= done
            if dut.o_tile__valid.value:
                self.tiles.append(number(dut.o_tile__payload))
                self.in_flight += 1
                ready_at.append(cycle if self.quick else cycle + int(self.rng.integers(0, 30)))
            assert self.in_flight <= self.unit.tiles, "more tiles than the drain has room for"
            if number(dut.error) & 1:
                self.errors.append((cycle, number(dut.error) >> 1))
            cycle += 1

    async def wait_idle(self, cycles=20_000):
        for _ in range(cycles):
            await RisingEdge(self.dut.clk)
            if not self.dut.active.value:
                await ClockCycles(self.dut.clk, 2)
                return
        raise AssertionError(f"still active after {cycles} cycles")

    async def check(self, *instructions):
        """Everything that ``instructions`` must do, done."""
        self.steps, self.ends, self.tiles, self.counts = [], [], [], Counter()
        await self.send(*instructions)
        await self.wait_idle()
        steps = [step for fields in instructions for step in expected_steps(fields)]
        assert len(self.steps) == len(steps), f"{len(self.steps)} steps, not {len(steps)}"
        for index, (got, step) in enumerate(zip(self.steps, steps)):
            assert got == step, f"step {index} is {dict(zip(STEP, got))}, not {dict(zip(STEP, step))}"
        tiles = [tile for fields in instructions for tile in expected_tiles(self.unit, fields)]
        got = unpack(tile_layout(self.unit.columns), self.tiles)
        assert len(self.tiles) == len(tiles)
        for name in got:
            assert got[name].tolist() == [tile[name] for tile in tiles], name
        # What an instruction takes: one cycle for each step, those it says that it waits, and two if none ran before it.
        counts = self.counts
        assert 2 <= counts["active"] - counts["enable"] - counts["waiting"] <= 2 * len(instructions), counts
        apart = np.diff(self.ends)
        assert (apart >= self.unit.groups).all(), "tiles end too close to each other"
        assert not self.errors


def expected_steps(f):
    pairs = plane_pairs(Kind(f["left_kind"]), f["left_bits"], Kind(f["right_kind"]), f["right_bits"])
    for row in range(f["row_tiles"]):
        for column in range(f["column_tiles"]):
            for p, q, double, subtract in pairs:
                for word in range(f["words"]):
                    left = f["left_base"] + p * f["left_plane"] + row * f["left_tile"] + word
                    right = f["right_base"] + q * f["right_plane"] + column * f["right_tile"] + word
                    first, last = word == 0 and (p, q) == pairs[0][:2], word == f["words"] - 1 and (p, q) == (0, 0)
                    yield left, right, first, double and word == 0, subtract, last


def expected_tiles(unit, f):
    banks = unit.columns if f["destination"] == Destination.RIGHT else unit.rows
    for row in range(f["row_tiles"]):
        for column in range(f["column_tiles"]):
            first_column = f["destination_column"] + column * unit.columns
            yield {
                "left_bipolar": f["left_kind"] == Kind.BIPOLAR, "right_bipolar": f["right_kind"] == Kind.BIPOLAR,
                "constant_address": f["constant_base"] + (0 if f["constant_by_row"] else column),
                "row_tile": row, "column_tile": column, "constant_by_row": f["constant_by_row"],
                "shift": f["shift"], "low": f["low"], "high": f["high"],
                "limit": min(max(f["columns"] - column * unit.columns, 0), unit.columns),
                "destination": f["destination"],
                "address": f["destination_base"] + row * unit.rows // banks * f["destination_tile"]
                + first_column // unit.depth,
                "plane": f["destination_plane"], "tile": f["destination_tile"],
                "last_plane": 0 if f["destination"] == Destination.ROWS else f["destination_bits"] - 1,
                "bank": row * unit.rows % unit.columns, "column": first_column % unit.depth // unit.columns,
                "last_column": column == f["column_tiles"] - 1,
                "last": (row, column) == (f["row_tiles"] - 1, f["column_tiles"] - 1),
            }  # fmt: skip


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def visits_everything_in_order(dut, stall):
    rng = np.random.default_rng(1)
    bench = Bench(dut, stall, rng)
    await start_clock(dut)
    bench.watch()
    for _ in range(12):
        await bench.check(bench.random_fields())


@cocotb.test()
async def runs_instructions_back_to_back(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(2), quick=True)
    await start_clock(dut)
    bench.watch()
    quick = [bench.random_fields(words=1 + number % 2, row_tiles=1 + number % 3) for number in range(12)]
    await bench.check(*quick)


@cocotb.test()
async def widest_operands_match(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(3), quick=True)
    await start_clock(dut)
    bench.watch()
    for left_kind, right_kind in ((1, 2), (2, 1), (2, 2)):
        fields = {"left_kind": left_kind, "right_kind": right_kind, "left_bits": 8, "right_bits": 8, "left_base": 0}
        strides = {"left_plane": 3, "left_tile": 24, "right_plane": 11, "right_tile": 2, "right_base": 1}
        await bench.check(bench.random_fields(words=2, row_tiles=2, column_tiles=2, **fields, **strides))


@cocotb.test()
async def a_long_tile_every_cycle(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(4), quick=True)
    await start_clock(dut)
    bench.watch()
    long = bench.random_fields(words=bench.unit.groups + 3, left_plane=0, right_plane=0, left_base=0, right_base=0)
    await bench.check(long)
    assert not bench.counts["waiting"]


@cocotb.test()
async def tiles_end_as_close_to_each_other_as_they_may(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(10), quick=True)
    await start_clock(dut)
    bench.watch()
    one_step = {f"{side}_{field}": 1 for side in ("left", "right") for field in ("kind", "bits")}
    await bench.check(bench.random_fields(words=1, row_tiles=3, column_tiles=3) | one_step)
    assert np.diff(bench.ends).min() == bench.unit.groups


@cocotb.test()
async def an_instruction_starts_right_behind_the_last_word_of_the_one_before(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(12), quick=True)
    await start_clock(dut)
    bench.watch()
    for _ in range(5):
        await bench.check(*(bench.random_fields(words=4) for _ in range(4)))
        assert bench.counts["active"] - bench.counts["enable"] - bench.counts["waiting"] == 2


@cocotb.test()
@cocotb.parametrize(address=[False, True])
async def an_error_names_the_instruction_it_is_about(dut, address):
    """One that makes no sense starts after the one before; a bad address may show when the next has started."""
    bench = Bench(dut, 0.0, np.random.default_rng(13), quick=True)
    await start_clock(dut)
    bench.watch()
    one_step = {f"{side}_{field}": 1 for side in ("left", "right") for field in ("kind", "bits")}
    before_last = set()
    for words, behind in product(range(1, 6), (False, True)):
        good = [bench.random_fields(words=words, row_tiles=1, column_tiles=1) | one_step for _ in range(3)]
        bad = good[1] | ({"left_base": bench.unit.left_depth - words + 1} if address else {"words": 0})
        started, bench.errors, bench.tiles = 0, [], []
        bench.send(good[0], bad, *[good[2]] * behind)
        for _ in range(100):
            await RisingEdge(dut.clk)
            started += number(dut.started)
        assert len({code for _, code in bench.errors}) == 1
        assert started == 2 + number(dut.error_before_last)
        assert len(bench.tiles) == 1, "the one before has its tile, the wrong one has none"
        before_last.add(number(dut.error_before_last))
        await reset(dut, bench.source)
    assert before_last == ({0, 1} if address else {0})


@cocotb.test()
async def waits_while_the_drain_is_full(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(5))
    unit = bench.unit
    await start_clock(dut)
    await bench.send(bench.random_fields(words=2, row_tiles=4, column_tiles=3))
    ended = 0
    for _ in range(4000):
        await RisingEdge(dut.clk)
        ended += number(dut.o_tile__valid)
    assert ended == unit.tiles
    assert dut.waiting.value
    assert not dut.enable.value
    for count in range(1, 4):
        dut.tile_done.value = 1
        await RisingEdge(dut.clk)
        dut.tile_done.value = 0
        for _ in range(400):
            await RisingEdge(dut.clk)
            ended += number(dut.o_tile__valid)
        assert ended == unit.tiles + count


@cocotb.test()
async def starts_anew_after_a_reset_in_the_middle(dut):
    rng = np.random.default_rng(6)
    bench = Bench(dut, 0.0, rng)
    await start_clock(dut)
    for pause in (1, 2, 5, 23, 60):
        watch = bench.watch()
        bench.send(bench.random_fields(row_tiles=5), bench.random_fields())
        await ClockCycles(dut.clk, pause)
        watch.cancel()
        await reset(dut, bench.source)
        dut.tile_done.value = 0
        bench.in_flight = 0
        watch = bench.watch()
        bench.steps = []
        await ClockCycles(dut.clk, 5)
        assert not bench.steps
        await bench.check(bench.random_fields(), bench.random_fields(words=1))
        await ClockCycles(dut.clk, 40)
        watch.cancel()


SHAPE_ERRORS = [
    dict(words=0), dict(row_tiles=0), dict(column_tiles=0), dict(left_kind=3), dict(right_kind=3),
    dict(left_kind=1, left_bits=0), dict(right_kind=1, right_bits=0), dict(left_kind=1, left_bits=9),
    dict(right_kind=2, right_bits=15), dict(left_kind=0, left_bits=2), dict(right_kind=0, right_bits=3),
    dict(destination=3), dict(destination=0, destination_bits=0), dict(destination=1, destination_bits=9),
]  # fmt: skip


@cocotb.test()
@cocotb.parametrize(wrong=SHAPE_ERRORS)
async def refuses_what_makes_no_sense(dut, wrong):
    bench = Bench(dut, 0.0, np.random.default_rng(7), quick=True)
    await start_clock(dut)
    bench.watch()
    await bench.send(bench.random_fields() | wrong)
    await ClockCycles(dut.clk, 30)
    assert {code for _, code in bench.errors} == {Error.SHAPE}
    assert not bench.tiles
    assert not bench.steps


@cocotb.test()
async def any_width_of_codes_may_go_to_the_row_buffer(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(8), quick=True)
    await start_clock(dut)
    bench.watch()
    for bits in (0, 9):
        await bench.check(bench.random_fields(destination=Destination.ROWS, destination_bits=bits))


@cocotb.test()
@cocotb.parametrize(side=["left", "right"], beyond=[0, 1, 2, 9])
async def stops_at_an_address_outside_its_memory(dut, side, beyond):
    """The last word of the last tile of the only plane lies ``beyond`` words outside."""
    bench = Bench(dut, 0.0, np.random.default_rng(9), quick=True)
    narrow = {f"{other}_{field}": 1 for other in ("left", "right") for field in ("kind", "bits")}
    depth = bench.unit.left_depth if side == "left" else bench.unit.right_depth
    await start_clock(dut)
    bench.watch()
    fields = bench.random_fields(words=3, row_tiles=2, column_tiles=2) | narrow
    fields |= {f"{side}_kind": 1, f"{side}_bits": 1, f"{side}_tile": 3, f"{side}_base": depth - 6 + beyond}
    if not beyond:
        await bench.check(fields)
        return
    await bench.send(fields)
    await ClockCycles(dut.clk, 400)
    assert {code for _, code in bench.errors} == {Error.ADDRESS_RANGE}
    steps = list(expected_steps(fields))
    good = next(index for index, step in enumerate(steps) if step[side == "right"] >= depth)
    assert good + 1 <= len(bench.steps) <= good + 3, "stops at once"
    assert bench.steps[:good] == steps[:good]
    assert len(bench.tiles) == sum(step[-1] for step in steps[:good]), "a tile that is not there is not described"
    await reset(dut, bench.source)
    bench.errors = []
    await bench.check(bench.random_fields())


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("sizes", [
    dict(rows=4, columns=4, depth=16, groups=2, tiles=4, left_depth=512, right_depth=600),
    dict(rows=8, columns=2, depth=8, groups=8, tiles=2, left_depth=600, right_depth=512),
    dict(rows=2, columns=8, depth=32, groups=1, tiles=4, left_depth=520, right_depth=530),
], ids=["square", "tall", "wide"])  # fmt: skip
def test_sequencer(simulator, sizes):
    simulate(Sequencer(**sizes), __name__, simulator, parameters=sizes)
