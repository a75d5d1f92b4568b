"""Products computed by what they emit: every channel once, with its own weights and constants, however they are cut."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.codes import Kind
from golden.model import Format, Linear, Requantization
from golden.qmm import product
from golden.rescale import rescale
from golden.residual import HIGH, LOW
from isa.instruction import Memory, Opcode, Region
from isa.layout import ceil_div, round_up, spread
from program.compiler.allocate import allocate
from program.compiler.builder import Builder
from program.compiler.graph import Draft
from program.compiler.product import Product
from program.compiler.schedule import emit, order, thresholds
from program.memory_image import unpack_symbol
from program.program import CompileError, Symbol, positions
from program.verify.interpreter import Interpreter
from tb.models import BINARY, random_codes
from tb.program.cases import any_config, any_format


class Case:
    """A random product of some samples: heads of channels at their own strides on both sides, on any configuration."""

    def __init__(self, seed, transposed, parts, samples=1):
        rng = np.random.default_rng(seed)
        self.config, self.transposed = any_config(rng), transposed
        self.builder = Builder(self.config, {"product": parts}, samples)
        self.rows = int(rng.integers(1, 3 * max(self.config.rows, self.config.columns)))
        unit = max(self.config.rows, self.config.columns) if transposed else self.config.columns
        self.heads, self.head_width = int(rng.integers(1, 4)), int(rng.integers(1, 3 * unit))
        size = round_up(self.head_width, unit)
        stride = size + unit * int(rng.integers(0, 3))
        self.outputs = positions(self.heads * self.head_width, self.head_width, stride)
        self.cuts = [(head * stride, head * stride + size) for head in range(self.heads)]
        self.depth = int(rng.integers(1, 40))
        self.inputs = positions(self.depth, 7, 7 + int(rng.integers(0, 5)))
        x_format, self.output = any_format(rng, *Kind, most=3), any_format(rng, *Kind, most=4)
        weight_format = any_format(rng, *Kind, most=2)
        self.codes = [random_codes(rng, x_format, (self.rows, self.depth)) for _ in range(samples)]
        weight = random_codes(rng, weight_format, (len(self.outputs), self.depth))
        constants = Requantization(
            rng.integers(-99, 99, len(self.outputs)), rng.integers(-999, 999, len(self.outputs)), int(rng.integers(0, 8))
        )
        self.layer = Linear(weight, weight_format, constants, self.output)
        memory, shape = Memory.RIGHT if transposed else Memory.LEFT, (self.rows, self.inputs[-1] + 1)
        wide = [spread(codes, np.arange(self.rows), self.inputs, shape) for codes in self.codes]
        self.x = [self.builder.weight(f"x{index}", memory, codes, x_format) for index, codes in enumerate(wide)]

    @property
    def row_tiles(self):
        return self.builder.row_tiles(self.rows)

    def target(self):
        c, columns = self.config, self.cuts[-1][1]
        if self.transposed:
            size = Memory.RIGHT, ceil_div(columns, c.columns), self.builder.words(self.rows)
        else:
            size = Memory.LEFT, self.row_tiles, self.builder.words(columns)
        self.y = self.builder.operands("y", *size, self.output)
        return self.y

    def product(self, target, **options):
        options |= {"transposed": self.transposed}
        return Product(self.builder, "product", self.x, self.layer, self.inputs, self.outputs, target, **options)

    def expected(self, low, high, sample=0):
        """(rows, channels), from the matrices alone."""
        layer = self.layer
        t = product(self.codes[sample], layer.weight, self.x[sample].format.kind, layer.weight_format.kind)
        return rescale(t, layer.constants.scale, layer.constants.offset, layer.constants.shift, low, high)

    def run(self, made=None):
        """The machine behind all that was emitted; ``found`` has then what each sample got from the product ``made``, read
        before others take its place."""
        ops = self.builder.ops
        steps = order(ops, allocate(ops, self.config))
        instructions = emit(steps, thresholds(steps, self.config))
        program: Any = SimpleNamespace(config=self.config, instructions=instructions, image=bytes(self.builder.image.data),
                                  output_bytes=0)  # fmt: skip
        machine = Interpreter(program, b"", [self.rows] * len(self.x))
        last = {} if made is None else {id(own[-1]): sample for sample, own in enumerate(made.steps)}
        self.found = {}
        for index, step in enumerate(steps):
            machine.step(index)
            if id(step) in last:
                self.found[last[id(step)]] = self.read(machine, last[id(step)])
        return machine

    def read(self, machine, sample=0):
        """All that the target holds: (rows, columns), the gaps between channels included."""
        y, columns = self.y[sample], self.cuts[-1][1]
        place = (y.buffer.memory, y.buffer.address, y.plane, y.tile, y.format)
        maps = (self.rows, self.rows, columns, columns)
        symbol = Symbol(*place, self.rows, columns, *maps, self.transposed, False, 0, ())
        program: Any = SimpleNamespace(symbols={"y": symbol}, config=self.config)
        return unpack_symbol(program, "y", machine.memories, [self.rows])


seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=60)
@given(seeds, st.booleans(), st.sampled_from([1, 2, 3, 8]), st.integers(1, 3), st.data())
def test_every_channel_is_the_reference_and_every_gap_zero_however_it_is_cut(seed, transposed, parts, samples, data):
    case = Case(seed, transposed, parts, samples)
    made = case.product(case.target(), cuts=case.cuts)
    for cut in range(case.heads):  # in order, since the first tile of a word clears the rest of it
        if transposed:
            made.compute(case.rows, cut=cut)
        else:
            ahead = data.draw(st.integers(0, case.row_tiles - 1))
            if ahead:
                made.compute(case.rows, cut=cut, tiles=ahead)
            made.compute(case.rows, cut=cut, tile=ahead)
    case.run(made)
    within = np.concatenate([np.arange(*cut) for cut in case.cuts])  # between cuts nothing is written
    low, high = case.output.range
    for sample in range(samples):
        found, result = case.found[sample], case.expected(low, high, sample)
        expected = spread(result, np.arange(case.rows), case.outputs, found.shape)
        assert np.array_equal(found[:, within], expected[:, within])


@given(seeds, st.booleans(), st.sampled_from([1, 2, 8]), st.integers(2, 4))
def test_a_piece_of_the_weights_is_used_by_all_samples_before_the_next(seed, transposed, parts, samples):
    case = Case(seed, transposed, parts, samples)
    made = case.product(case.target(), cuts=case.cuts)
    made.compute(case.rows)
    weights = [op.buffers[0 if transposed else 1] for op in case.builder.ops]
    assert weights == [piece.weight.buffer for pieces in made.parts.values() for piece in pieces for _ in range(samples)]
    assert [step.sample for op in case.builder.ops for step in op.steps] == list(range(samples)) * (len(weights) // samples)


@given(seeds, st.booleans(), st.sampled_from([1, 2, 3, 8]))
def test_the_pieces_of_a_cut_are_whole_tiles_side_by_side_from_its_start_to_its_end(seed, transposed, parts):
    case = Case(seed, transposed, parts)
    made = case.product(case.target(), cuts=case.cuts)
    unit = max(case.config.rows, case.config.columns) if transposed else case.config.columns
    names = []
    assert len(made.parts) == case.heads
    for pieces, (start, end) in zip(made.parts.values(), case.cuts, strict=True):
        edges = [start, *(piece.end for piece in pieces)]
        assert [piece.start for piece in pieces] == edges[:-1]
        assert edges[-1] == end
        assert all((piece.end - piece.start) % unit == 0 < piece.end - piece.start for piece in pieces)
        assert len(pieces) <= parts
        assert [piece.split.tiles for piece in pieces] == [(piece.end - piece.start) // unit for piece in pieces]
        names += [piece.name for piece in pieces]
    assert len(set(names)) == len(names)
    assert made.whole == (parts == 1)


@given(seeds, st.booleans(), st.sampled_from([1, 2, 8]))
def test_every_row_tile_of_every_channel_is_computed_once(seed, transposed, parts):
    case = Case(seed, transposed, parts)
    made = case.product(case.target(), cuts=case.cuts)
    made.compute(case.rows)
    assert [step for op in case.builder.ops for step in op.steps] == made.steps[0]
    seen = []
    for step in made.steps[0]:
        fields, tile = step.fields, step.fields["destination_base"].offset // case.y[0].tile
        across = 1 if transposed else fields["row_tiles"]
        first = tile * case.config.columns if transposed else fields["destination_column"]
        width = fields["row_tiles"] * case.config.rows if transposed else fields["column_tiles"] * case.config.columns
        seen += [(row, channel) for row in range(across) for channel in range(first, first + width)]
    rows = range(1 if transposed else case.row_tiles)
    assert sorted(seen) == [(row, channel) for row in rows for start, end in case.cuts for channel in range(start, end)]


@settings(max_examples=30)
@given(seeds, st.sampled_from([1, 4]))
def test_what_goes_to_the_row_buffer_is_16_bit_and_in_one_piece(seed, parts):
    """A row instruction takes whole rows, so that weights which do not fit cannot be cut there."""
    case = Case(seed, False, parts)
    case.outputs = np.arange(len(case.outputs))
    made = case.product(None)
    assert made.whole
    assert [piece.split for pieces in made.parts.values() for piece in pieces] == [None]
    made.compute(case.rows, row=Draft("row", Opcode.HALT, {"reserved": 0}))
    found = np.concatenate(case.run().row_buffer)[: case.rows, : len(case.outputs)]
    assert np.array_equal(found, case.expected(LOW, HIGH))


def test_cuts_share_one_load_of_constants_unless_they_are_cut_themselves():
    for parts, loads in ((1, 1), (2, 4)):
        case = Case(0, False, parts)
        case.head_width, case.heads, size = 2 * case.config.columns, 2, 2 * case.config.columns
        case.outputs, case.cuts = np.arange(2 * size), [(0, size), (size, 2 * size)]
        weight = random_codes(np.random.default_rng(0), BINARY, (2 * size, case.depth))
        ones = np.ones(2 * size, np.int64)
        case.layer = Linear(weight, BINARY, Requantization(ones, ones, 0), case.output)
        made = case.product(case.target(), cuts=case.cuts)
        assert len({piece.constant.buffer for pieces in made.parts.values() for piece in pieces}) == loads


def test_weights_come_from_the_image():
    case = Case(1, False, 1)
    made = case.product(case.target(), cuts=case.cuts)
    for pieces in made.parts.values():
        for piece in pieces:
            (load,) = piece.weight.buffer.fetches
            assert (load.opcode, load.fields["region"]) == (Opcode.LOAD, Region.IMAGE)


def test_sums_beyond_the_accumulators_are_refused_by_name_and_parameter():
    builder = Builder(any_config(np.random.default_rng(0), accumulator_bits=16), {})
    wide = Format(Kind.UNSIGNED, 8)
    x = builder.operand("x", Memory.LEFT, 1, builder.words(200), wide)
    layer = Linear(np.full((1, 200), 255), wide, Requantization(np.ones(1, np.int64), np.zeros(1, np.int64), 0), None)
    with pytest.raises(CompileError, match=rf"^projection: .*\b{200 * 255 * 255}\b.*raise accumulator_bits"):
        Product(builder, "projection", [x], layer, np.arange(200), np.arange(1))
