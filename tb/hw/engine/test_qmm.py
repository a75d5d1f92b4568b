"""The whole QMM engine against golden: any kinds, widths and shapes, constants by column and row, all destinations."""

import cocotb
import numpy as np
import pytest
from cocotb.triggers import RisingEdge

from golden.codes import Kind, code_range
from golden.qmm import correction_constant, qmm
from golden.rescale import fold_rounding, rescale
from hw.engine.dpu_ultrascale import PRIMITIVES, Ultrascale
from hw.engine.qmm import Qmm
from isa.config import AcceleratorConfig
from isa.errors import Error
from isa.instruction import Destination, Instruction, Opcode, encode
from tb.hw.engine.operands import constant_words, load_batch, operand_words
from tb.lib.harness import SIMULATORS, StreamSink, StreamSource, parameters, reset, simulate, start_clock

SQUARE = dict(
    rows=4, columns=4, depth=16, drain=8, row_lanes=4, axi_bits=64, left_depth=256, right_depth=256,
    constant_depth=32, norm_depth=16, residual_depth=64, row_columns=64,
)  # fmt: skip
TALL = SQUARE | {"rows": 8, "columns": 4, "drain": 4}
WIDE = SQUARE | {"rows": 2, "columns": 8, "drain": 16, "depth": 32}
UNSIGNED_BIT = (Kind.UNSIGNED, 1)


class Bench:
    """Drives one engine: loads operands and constants, runs instructions, collects groups."""

    def __init__(self, dut, stall, rng):
        self.dut, self.rng = dut, rng
        self.config = AcceleratorConfig(**parameters())
        unit = Qmm(self.config)
        shape = {
            name: getattr(unit, name).payload.shape()
            for name in ("i", "i_left_load", "i_right_load", "i_constant", "o_rows")
        }
        self.loads = {
            name: StreamSource(dut, f"i_{name}", shape[f"i_{name}"], 0.0, rng)
            for name in ("left_load", "right_load", "constant")
        }
        self.instructions = StreamSource(dut, "i", shape["i"], stall, rng)
        self.rows = StreamSink(dut, "o_rows", shape["o_rows"], stall, rng)
        for silent in (dut.i_left_row__valid, dut.i_right_row__valid):
            silent.value = 0
        self.index = 0

    @property
    def drivers(self):
        return [*self.loads.values(), self.instructions, self.rows]

    async def load(self, name, words, address):
        batch = load_batch(words, address, self.config.axi_bits)
        if name != "constant":
            zeros = np.zeros(len(batch["address"]), int)
            batch |= {"gather": zeros, "bank": zeros, "last": np.append(zeros[1:], 1)}
        await self.loads[name].send(batch)

    def send(self, **fields):
        word = int.from_bytes(encode(Instruction(Opcode.QMM, fields)), "little")
        self.instructions.send({"bits": np.array([word], object), "index": np.array([self.index])})
        self.index += 1

    async def wait_done(self, cycles=20_000):
        for _ in range(cycles):
            await RisingEdge(self.dut.clk)
            if self.dut.done.value:
                return
        raise AssertionError(f"no done in {cycles} cycles")

    async def collect(self, rows, columns):
        """Groups of an instruction as one matrix, padding cut off."""
        c = self.config
        tiles = (-(-rows // c.rows), -(-columns // c.columns))
        groups = c.rows // c.drain_rows
        got = await self.rows.receive(tiles[0] * tiles[1] * groups)
        values = got["values"].reshape(*tiles, groups * c.drain_rows, c.columns)
        assert (got["column_tile"].reshape(*tiles, groups) == np.arange(tiles[1])[None, :, None]).all()
        assert (got["group"].reshape(*tiles, groups) == np.arange(groups)).all()
        last = np.zeros((*tiles, groups), int)
        last[:, -1, -1] = 1
        assert (got["last"].reshape(last.shape) == last).all()
        return values.swapaxes(1, 2).reshape(tiles[0] * c.rows, tiles[1] * c.columns)[:rows, :columns]


def operand_fields(side, words, base, kind, bits):
    tile = words.shape[2]
    return {
        f"{side}_base": base,
        f"{side}_plane": tile * words.shape[1],
        f"{side}_tile": tile,
        f"{side}_bits": bits,
        f"{side}_kind": kind.value,
    }


def random_codes(rng, shape, kind, bits):
    low, high = code_range(kind, bits)
    if rng.random() < 0.2:
        return np.full(shape, rng.choice([low, high]))
    return rng.integers(low, high + 1, shape)


def random_format(rng):
    kind = Kind(rng.integers(0, 3))
    return kind, 1 if kind is Kind.BIPOLAR else int(rng.integers(1, 9 if rng.random() < 0.2 else 4))


def random_constants(rng, t, count, by_row):
    """Constants that spread the results of ``t`` over about 9 bits."""
    spread = max(int(np.abs(t).max()), 1)
    shift = int(rng.integers(0, 32))
    scale = np.clip(rng.integers(-400, 400, count) * (2.0**shift / spread), -32768, 32767).astype(np.int64)
    offset = (rng.integers(-300, 300, count) << min(shift, 29)).astype(np.int64)
    return scale, offset, shift


async def product(bench, left, right, left_format, right_format, at, **fields):
    """Load two operands and their constants at addresses ``at``; the fields for their instruction."""
    c = bench.config
    left_words = operand_words(left, left_format[1], c.rows, c.depth)
    right_words = operand_words(right, right_format[1], c.columns, c.depth)
    await bench.load("left_load", left_words, at)
    await bench.load("right_load", right_words, at)
    return {
        **operand_fields("left", left_words, at, *left_format), **operand_fields("right", right_words, at, *right_format),
        "words": left_words.shape[2], "row_tiles": left_words.shape[1], "column_tiles": right_words.shape[1],
        "columns": right.shape[0], "low": -32768, "high": 32767,
    } | fields  # fmt: skip


async def constants(bench, m, o, base, left_format, right_format, depth, shift):
    """Load constants with everything static folded in, as the compiler does."""
    folded = fold_rounding(o + m * correction_constant(depth, left_format[0], right_format[0]), shift)
    await bench.load("constant", constant_words(m, folded, bench.config.columns, bench.config.rows), base)


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.4], by_row=[0, 1])
async def multiplies_any_operands(dut, stall, by_row):
    rng = np.random.default_rng(10 + by_row)
    await start_clock(dut)
    bench = Bench(dut, stall, rng)
    for _ in range(8):
        left_format, right_format = random_format(rng), random_format(rng)
        rows, columns, depth = (int(rng.integers(1, high)) for high in (11, 14, 50))
        left, right = random_codes(rng, (rows, depth), *left_format), random_codes(rng, (columns, depth), *right_format)
        t = qmm(left, right, *left_format, *right_format)
        m, o, shift = random_constants(rng, t, rows if by_row else columns, by_row)
        base, limit = int(rng.integers(0, 20)), int(rng.integers(0, columns + 3))
        fields = await product(
            bench,
            left,
            right,
            left_format,
            right_format,
            int(rng.integers(0, 16)),
            destination=Destination.ROWS,
            constant_base=base,
            constant_by_row=by_row,
            shift=shift,
            columns=limit,
        )
        await constants(bench, m, o, base, left_format, right_format, depth, shift)
        bench.send(**fields)
        expected = rescale(t, m[:, None] if by_row else m, o[:, None] if by_row else o, shift, -32768, 32767)
        expected[:, limit:] = 0
        assert (await bench.collect(rows, columns) == expected).all()
    await bench.rows.expect_nothing()


@cocotb.test()
@cocotb.parametrize(side=["left", "right"])
async def writes_codes_that_multiply_again(dut, side):
    rng = np.random.default_rng(20)
    await start_clock(dut)
    bench = Bench(dut, 0.0, rng)
    c = bench.config
    for _ in range(6):
        (kind, bits), rows, columns = random_format(rng), int(rng.integers(1, 11)), int(rng.integers(1, 20))
        left, right = rng.integers(0, 2, (rows, 20)), rng.integers(0, 2, (columns, 20))
        bipolar = (Kind.BIPOLAR, 1)
        t = qmm(left, right, bipolar[0], 1, bipolar[0], 1)
        low, high = code_range(kind, bits)
        m, o, shift = rng.integers(-2000, 2000, columns), rng.integers(-5000, 5000, columns), int(rng.integers(5, 12))
        fields = await product(bench, left, right, bipolar, bipolar, 0)
        await constants(bench, m, o, 0, bipolar, bipolar, 20, shift)
        # Columns start somewhere inside the word; the rest of the last word must be 0 for the second product.
        start = int(rng.integers(0, 3)) * c.columns
        words = -(-(start + columns) // c.depth)
        banks = c.rows if side == "left" else c.columns
        tiles = -(-(-(-rows // c.rows) * c.rows) // banks)
        zeros = np.zeros((bits, tiles, words, banks, c.depth // 8), np.uint8)
        await bench.load(f"{side}_load", zeros, 100)
        limited = int(rng.integers(0, columns + 1))
        bench.send(
            **fields
            | dict(
                low=low,
                high=high,
                shift=shift,
                destination=Destination[side.upper()],
                destination_base=100,
                destination_plane=words * tiles,
                destination_tile=words,
                destination_bits=bits,
                destination_column=start,
                columns=limited,
            )
        )
        await bench.wait_done()
        codes = rescale(t, m, o, shift, low, high)
        codes[:, limited:] = 0

        unit = np.eye(start + columns, dtype=np.int64)[start:]
        other = operand_words(unit, 1, c.columns if side == "left" else c.rows, c.depth)
        other_side = "right" if side == "left" else "left"
        await bench.load(f"{other_side}_load", other, 0)
        await bench.load(
            "constant", constant_words(np.ones(max(rows, columns), int), np.zeros(max(rows, columns), int), c.columns), 0
        )
        counted = kind if kind is not Kind.BIPOLAR else Kind.UNSIGNED
        shape = (rows, columns) if side == "left" else (columns, rows)
        bench.send(
            **{
                f"{side}_base": 100,
                f"{side}_plane": words * tiles,
                f"{side}_tile": words,
                f"{side}_bits": bits,
                f"{side}_kind": counted.value,
            },
            **operand_fields(other_side, other, 0, *UNSIGNED_BIT),
            words=words,
            row_tiles=-(-shape[0] // c.rows),
            column_tiles=-(-shape[1] // c.columns),
            columns=shape[1],
            low=-32768,
            high=32767,
            destination=Destination.ROWS,
        )
        got = await bench.collect(*shape)
        assert (got == (codes if side == "left" else codes.T)).all()
        await bench.wait_done()


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def overlaps_instructions(dut, stall):
    rng = np.random.default_rng(30)
    await start_clock(dut)
    bench = Bench(dut, stall, rng)
    expected = []
    for number in range(6):
        left, right = rng.integers(0, 2, (9, 16)), rng.integers(0, 2, (9, 16))
        fields = await product(
            bench,
            left,
            right,
            UNSIGNED_BIT,
            UNSIGNED_BIT,
            10 * number,
            destination=Destination.ROWS,
            constant_base=4 * number,
        )
        m = rng.integers(-100, 100, 9)
        await constants(bench, m, m, 4 * number, UNSIGNED_BIT, UNSIGNED_BIT, 16, 0)
        expected.append((fields, rescale(left @ right.T, m, m, 0, -32768, 32767)))
    for fields, _ in expected:
        bench.send(**fields)
    for _, values in expected:
        assert (await bench.collect(9, 9) == values).all()
    await bench.rows.expect_nothing()


@cocotb.test()
async def recovers_from_reset_in_the_middle(dut):
    rng = np.random.default_rng(40)
    await start_clock(dut)
    bench = Bench(dut, 0.3, rng)
    for _ in range(2):
        left, right = rng.integers(0, 2, (9, 33)), rng.integers(0, 2, (9, 33))
        fields = await product(bench, left, right, UNSIGNED_BIT, UNSIGNED_BIT, 0, destination=Destination.ROWS)
        await constants(bench, np.ones(9, int), np.zeros(9, int), 0, UNSIGNED_BIT, UNSIGNED_BIT, 33, 0)
        bench.send(**fields)
        await bench.rows.receive(3)
        await reset(dut, *bench.drivers)
        await bench.rows.expect_nothing()
        bench.send(**fields)
        assert (await bench.collect(9, 9) == left @ right.T).all()


@cocotb.test()
@cocotb.parametrize(
    wrong=[
        dict(words=0),
        dict(row_tiles=0),
        dict(column_tiles=0),
        dict(left_bits=0),
        dict(right_bits=9),
        dict(left_kind=3),
        dict(left_kind=0, left_bits=2),
        dict(destination=3),
        dict(destination=0, destination_bits=0),
        dict(left_base=256),
        dict(right_base=250, right_tile=6, column_tiles=3),
        dict(destination=0, destination_base=255, destination_bits=2, destination_plane=1),
        dict(destination=1, destination_base=4000, destination_bits=1),
        dict(constant_base=40),
    ]
)
async def reports_what_is_out_of_range(dut, wrong):
    await start_clock(dut)
    bench = Bench(dut, 0.0, np.random.default_rng(50))
    bench.rows._ready.value = 1
    fields = dict(
        left_bits=1, right_bits=1, left_kind=1, right_kind=1, words=1, row_tiles=1, column_tiles=1, columns=4, destination=2
    )
    bench.send(**fields | wrong)
    addresses = {"left_base", "right_base", "destination_base", "constant_base"}
    code = Error.ADDRESS_RANGE if addresses & set(wrong) else Error.SHAPE
    for _ in range(100):
        await RisingEdge(dut.clk)
        if dut.error.value.to_unsigned() & 1:
            assert dut.error.value.to_unsigned() >> 1 == code
            return
        assert not dut.done.value
    raise AssertionError(f"{wrong} was not reported")


@cocotb.test()
@cocotb.parametrize(
    wrong=[
        dict(words=0),
        dict(left_base=256),
        dict(right_tile=256),
        dict(constant_base=40),
        dict(destination=0, destination_base=256),
    ]
)
async def an_error_waits_for_the_instructions_before(dut, wrong):
    rng = np.random.default_rng(60)
    await start_clock(dut)
    bench = Bench(dut, 0.6, rng)
    left, right = rng.integers(0, 2, (2, 9, 16))
    fields = await product(bench, left, right, UNSIGNED_BIT, UNSIGNED_BIT, 0, destination=Destination.ROWS)
    tiles = -(-9 // bench.config.rows) * -(-9 // bench.config.columns)
    groups = bench.config.rows // bench.config.drain_rows
    cocotb.start_soon(bench.rows.receive(1000))
    for _ in range(2):
        bench.send(**fields)
    bench.send(**fields | {"row_tiles": 1, "column_tiles": 2} | wrong)
    done = 0
    for _ in range(40 * tiles * groups + 200):
        await RisingEdge(dut.clk)
        done += bool(dut.done.value)
        assert done == 2 or not dut.error.value.to_unsigned() & 1
    assert done == 2
    assert dut.error.value.to_unsigned() & 1


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("sizes", [SQUARE, TALL, WIDE], ids=["square", "tall", "wide"])
def test_qmm(simulator, sizes):
    simulate(Qmm(AcceleratorConfig(**sizes)), __name__, simulator, parameters=sizes)


def test_qmm_with_an_array_in_primitives():
    simulate(Qmm(AcceleratorConfig(**SQUARE), Ultrascale), __name__, "icarus", parameters=SQUARE, models=PRIMITIVES)
