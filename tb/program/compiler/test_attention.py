"""Attention as the program shows it: each head on its own words and tiles, every row and column of it once."""

from dataclasses import replace

import numpy as np
import pytest

from golden.codes import Kind, unpack_words
from golden.model import Attention, Format
from isa.instruction import Destination, Memory, Opcode
from isa.presets import preset
from program.compiler.compiler import compile_encoder
from program.memory_image import pack_input
from program.program import CompileError
from program.verify.interpreter import Interpreter
from tb.models import BIT, BYTE, random_encoder, random_inputs
from tb.program.cases import any_config, any_format, compiled

BLOCK = "layer0.attention"


class Case:
    """The attention of a random encoder, one layer, on any configuration."""

    def __init__(self, seed, **changes):
        rng = np.random.default_rng(seed)
        self.heads, self.head_width, self.tokens = (int(rng.integers(1, end)) for end in (4, 21, 40))
        names = ("query", "key", "value", "context")
        changes = {"attention": Attention.SOFTMAX, "probability": Format(Kind.UNSIGNED, int(rng.integers(1, 5)))} | changes
        if changes["attention"] is Attention.THRESHOLD:
            changes["probability"] = BIT
        self.encoder = random_encoder(
            rng, heads=self.heads, head_width=self.head_width, tokens=self.tokens, width=16,
            **{name: any_format(rng, *Kind, most=3) for name in names}, **changes,
        )  # fmt: skip
        self.config = any_config(rng)
        self.program = compiled(self.encoder, self.config)

    def symbol(self, name):
        return self.program.symbols[f"{BLOCK}.{name}"]

    def writers(self, name):
        return [self.program.instructions[index] for index in self.symbol(name).writers]

    def scores(self, head):
        """The QMMs that make the scores of a head: those whose rows its probabilities take, or those themselves."""
        writers = self.symbol(f"probability{head}").writers
        behind = self.program.instructions[writers[0]].opcode is not Opcode.QMM
        return [self.program.instructions[index - behind] for index in writers]


EVERY = [(attention, seed) for attention in Attention for seed in range(4)]


@pytest.fixture(scope="module", params=EVERY, ids=lambda case: "-".join(map(str, case)))
def case(request):
    attention, seed = request.param
    return Case(seed, attention=attention)


def test_scores_read_the_words_of_their_head_and_no_other_head_has_a_part_of_them(case):
    k = case.config.depth
    for head in range(case.heads):
        for part, side in (("query", "left"), ("key", "right")):
            symbol = case.symbol(part)
            positions = symbol.column_positions().reshape(case.heads, case.head_width)[head]
            assert positions.tolist() == list(range(positions[0], positions[0] + case.head_width))
            assert positions[0] % k == 0
            first = 0  # row tile
            for scores in case.scores(head):
                base = symbol.base + positions[0] // k + (first * symbol.tile if side == "left" else 0)
                first += scores.row_tiles
                assert (getattr(scores, f"{side}_base"), scores.words) == (base, -(-case.head_width // k))
                assert getattr(scores, f"{side}_bits") == symbol.format.bits


def test_every_row_of_every_head_is_taken_once_and_keys_beyond_the_length_are_masked(case):
    softmax = case.encoder.config.attention is Attention.SOFTMAX
    for head in range(case.heads):
        writers = case.writers(f"probability{head}")
        for scores in case.scores(head):
            assert scores.column_tiles == -(-case.tokens // case.config.columns)
            assert scores.columns == case.tokens
            assert scores.destination == (Destination.ROWS if softmax else Destination.LEFT)
        assert all(i.limit_columns for i in writers)
        if softmax:
            rows = [row for i in writers for row in range(i.first_row, i.first_row + i.rows)]
            assert rows == list(range(case.tokens))
            assert {(i.columns, i.bits) for i in writers} == {(case.tokens, case.symbol(f"probability{head}").format.bits)}
        else:
            assert [i.row_tiles for i in writers] == [-(-case.tokens // case.config.rows)]
            assert {(i.low, i.high, i.destination_bits) for i in writers} == {(0, 1, 1)}


def test_every_tile_of_the_context_is_computed_once_from_the_head_it_belongs_to(case):
    symbol, c = case.symbol("context"), case.config
    value = case.symbol("value")
    seen = []
    for i in case.writers("context"):
        row_tile = (i.destination_base - symbol.base) // symbol.tile
        first = i.destination_column
        seen += [(row_tile + r, first // c.columns + t) for r in range(i.row_tiles) for t in range(i.column_tiles)]
        assert i.right_base == value.base + first // c.columns * value.tile
        assert i.columns == case.head_width
    columns = sorted({position // c.columns for position in symbol.column_positions().tolist()})
    assert sorted(seen) == [(row, column) for row in range(-(-case.tokens // c.rows)) for column in columns]


def test_the_heads_of_values_are_whole_tiles_in_the_order_of_the_context(case):
    """So that the context of a head is a product of its own."""
    for name in ("value", "context"):
        positions = case.symbol(name).column_positions().reshape(case.heads, case.head_width)
        assert (positions[:, 0] % case.config.columns == 0).all()
        tiles = [{*(row // case.config.columns).tolist()} for row in positions]
        assert sum(map(len, tiles)) == len(set.union(*tiles))


def test_what_a_head_leaves_of_its_words_is_zero(case):
    """Codes 0 add nothing to a count; ones there would, to every score and every sum of the output projection."""
    ((inputs, _),) = random_inputs(np.random.default_rng(0), case.encoder, 1)
    machine = Interpreter(case.program, pack_input(case.program, inputs, case.tokens), [case.tokens])
    for memory in (Memory.LEFT, Memory.RIGHT):
        machine.memories[memory][:] = 255
    checked = {"query": "column", "key": "column", "context": "column", "value": "row"}
    for index in range(max(case.symbol(name).ready for name in checked) + 1):
        machine.step(index)
        for name in [name for name in checked if case.symbol(name).ready == index]:
            symbol = case.symbol(name)
            words = symbol.base + np.arange(symbol.tile)
            bits = unpack_words(machine.memories[symbol.memory][words, 0], symbol.tile * case.config.depth)
            depth = symbol.column_positions() if name != "value" else symbol.row_positions()
            assert set(np.flatnonzero(bits).tolist()) <= set(depth.tolist()), name


@pytest.mark.parametrize(("tokens", "tiles"), [(12, [3]), (13, [2, 2]), (16, [2, 2]), (17, [2, 2, 1]), (24, [3, 3])])
def test_from_four_row_tiles_on_the_last_head_is_in_halves_and_no_other(tokens, tiles):
    """What comes behind attention begins during its softmax."""
    encoder = random_encoder(np.random.default_rng(0), heads=3, tokens=tokens)
    program = compiled(encoder, replace(preset("tiny"), left_depth=1024, right_depth=1024, constant_depth=128))
    rows = [
        [-(-program.instructions[i].rows // 4) for i in program.symbols[f"{BLOCK}.probability{head}"].writers]
        for head in range(3)
    ]
    assert rows == [[-(-tokens // 4)], [-(-tokens // 4)], tiles]


@pytest.mark.parametrize("tokens", [13, 40])
def test_thresholds_need_no_row_instruction_and_no_halves(tokens):
    encoder = random_encoder(np.random.default_rng(0), attention=Attention.THRESHOLD, tokens=tokens)
    program = compiled(encoder, replace(preset("tiny"), left_depth=2048, right_depth=2048, residual_depth=2048))
    assert Opcode.SOFTMAX not in [i.opcode for i in program.instructions]
    assert [len(program.symbols[f"{BLOCK}.probability{head}"].writers) for head in range(2)] == [1, 1]


def test_more_tokens_than_a_row_has_columns_are_refused_with_softmax_only():
    """Thresholds make codes straight from the accumulators, without the row buffer."""
    config = replace(preset("tiny"), residual_depth=2048, left_depth=2048, right_depth=2048, constant_depth=256)
    with pytest.raises(CompileError, match=r"number of tokens is 65, .* 64; raise row_columns"):
        compile_encoder(random_encoder(np.random.default_rng(0), tokens=65), config)
    compiled(random_encoder(np.random.default_rng(0), tokens=65, attention=Attention.THRESHOLD), config)


@pytest.mark.parametrize(
    ("changes", "name", "worst"),
    [
        ({"query": BYTE, "key": BYTE, "head_width": 3}, "scores", 3 * 255 * 255),
        ({"probability": BYTE, "value": BYTE, "tokens": 4}, "context0", 4 * 255 * 255),
    ],
)
def test_sums_beyond_the_accumulators_are_refused_by_the_name_of_the_product(changes, name, worst):
    encoder = random_encoder(np.random.default_rng(0), patch=BIT, **changes)
    bits = worst.bit_length()
    compile_encoder(encoder, replace(preset("tiny"), accumulator_bits=bits + 1))
    with pytest.raises(CompileError, match=rf"^{BLOCK}.{name}: .*\b{worst}\b.* raise accumulator_bits"):
        compile_encoder(encoder, replace(preset("tiny"), accumulator_bits=bits))
