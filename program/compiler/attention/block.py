"""Lowering of attention: heads side by side, each padded to whole words or tiles."""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from golden.attention.kind import weights_name
from golden.attention.kinds import ATTENTION_KINDS
from golden.model import AttentionBlock
from golden.rescale import clip_bounds
from isa.instruction import Memory
from isa.layout import ceil_div, round_up
from program.compiler.attention.kind import Scores
from program.compiler.attention.kinds import SCORE_LOWERINGS
from program.compiler.builder import Scaling
from program.compiler.graph import At, Operand, Tokens
from program.compiler.limits import check_product
from program.compiler.product import Product
from program.program import positions

if TYPE_CHECKING:
    from program.compiler.lowering import Lowering

#: Heads whose queries of all row tiles but the last are computed before anything that needs the last one, in a batch of 1.
QUERIES_AHEAD = 4
#: Row tiles from which on those of the last head are computed in two halves, in a batch of 1.
LEAST_TO_HALVE = 4


class Pace(NamedTuple):
    """In a step, the engine computes the scores of a unit, which is a head of a sample, and by how many units others:
    ``ahead`` the queries and keys, ``values`` the values, ``behind`` the context."""

    ahead: int
    values: int
    behind: int


#: Of a batch of 1, whose weights come just in time, and of several samples.
ALONE, TOGETHER = Pace(0, -1, 1), Pace(1, 0, 2)


class AttentionLowering:
    """Query, key, value, scores and context of one block; `context` has each sample's operand for the output projection.

    Queries and keys give each head whole words, since a head is a contraction of its own. Values and context give
    it whole tiles of columns, since its context is a product of its own. What a head leaves of its last word is zero:
    the engine clears a word with its first tile.

    Everything is cut by head, and a head is computed for one sample after another: its weights are used by all before
    those of the next are, and while a row unit works on one, the engine computes all that the next one needs.
    """

    def __init__(self, lowering: "Lowering", name: str, block: AttentionBlock):
        self.lowering, self.builder, self.config = lowering, lowering.builder, lowering.config
        self.name, self.block = name, block
        self.heads, self.head_width = lowering.model.heads, lowering.model.head_width
        self.tokens = lowering.model.tokens
        k, c = self.config.depth, self.config.columns
        self.inner = self.heads * self.head_width
        self.head_words = ceil_div(self.head_width, k)
        self.head_columns = round_up(self.head_width, c)
        self.in_tiles = positions(self.inner, self.head_width, self.head_columns)
        self.padded_inner = round_up(self.heads * self.head_columns, k)
        self.token_tiles = ceil_div(self.tokens, c)

        self.kind = SCORE_LOWERINGS[lowering.model.attention]
        self.kind.check(self.builder, self.tokens)
        self._queries_and_keys()
        self._values()
        self._place_constants()
        self.context = self.builder.operands(
            f"{name}.context", Memory.LEFT, lowering.row_tiles, self.builder.words(self.padded_inner), block.context_format
        )
        self._context_steps = [[] for _ in lowering.samples]
        self._units = [(head, sample) for head in range(self.heads) for sample in lowering.samples]
        self._weights: dict[tuple[int, int], Operand] = {}
        self._pace = ALONE if self.builder.batch == 1 else TOGETHER
        self._step = -self._pace.ahead

    def attend(self, sample: int) -> None:
        """Add what the context of a sample needs, but for what `finish` does."""
        last = self._units.index((self.heads - 1, sample))
        while self._step <= last + self._pace.behind:
            at, pace = self._step, self._pace
            self._step += 1
            for head, own in self._unit(at + pace.ahead):
                self._compute_queries_and_keys(head, own)
            for head, own in self._unit(at + pace.values):
                self._compute_values(head, own)
            for head, own in self._unit(at):
                self._weights[head, own] = self._scores(head, own)
            for head, own in self._unit(at - pace.behind):
                bands = self._bands(head)
                self._context(head, own, bands if (head, own) != self._units[-1] else bands[:1])

    def _unit(self, index):
        """The unit of a number, if there is one."""
        return self._units[index : index + 1] if index >= 0 else []

    def finish(self) -> None:
        """Add what `attend` leaves out of the last sample, so that the first row tiles of its output projection can come
        before it."""
        head, last = self._units[-1]
        self._context(head, last, self._bands(head)[1:])
        for sample in self.lowering.samples:
            self._name_tensors(sample)

    def _bands(self, head):
        """``(tile, tiles)`` of the row tiles that are computed together: all of them, or, where no other sample gives the
        engine work, half of them for the last head (an odd one is left over), so that what comes behind attention can begin
        during its row unit."""
        tiles, alone = self.lowering.row_tiles, self.builder.batch == 1
        halved = alone and self.kind.in_row_unit and head + 1 == self.heads and tiles >= LEAST_TO_HALVE
        half = tiles // 2 if halved else tiles
        return [(tile, min(half, tiles - tile)) for tile in range(0, tiles, half)]

    def _queries_and_keys(self):
        low, builder, block = self.lowering, self.builder, self.block
        words = self.heads * self.head_words
        # Keys are computed in tiles of R rows and read in tiles of C columns.
        key_tiles = ceil_div(low.row_tiles * self.config.rows, self.config.columns)
        self.query = builder.operands(f"{self.name}.query", Memory.LEFT, low.row_tiles, words, block.query.codes)
        self.key = builder.operands(f"{self.name}.key", Memory.RIGHT, key_tiles, words, block.key.codes)
        stride = self.head_words * self.config.depth
        cuts = [(head * stride, head * stride + self.head_columns) for head in range(self.heads)]
        in_words = positions(self.inner, self.head_width, stride)
        self.query_product, self.key_product = (
            Product(builder, f"{self.name}.{part}", low.x_left, layer, low.width, in_words, target, cuts=cuts)
            for part, layer, target in (("query", block.query, self.query), ("key", block.key, self.key))
        )
        # While the norm of the last row tile is under way, the others can be used already, and so can other samples.
        self.ahead = min(self.heads, QUERIES_AHEAD) if low.row_tiles > 1 and builder.batch == 1 else 0
        for head in range(self.ahead):
            self.query_product.compute(self.tokens, cut=head, tiles=low.row_tiles - 1)

    def _compute_queries_and_keys(self, head, sample):
        tile = self.lowering.row_tiles - 1 if head < self.ahead else 0
        self._compute(self.query_product, sample, head, tile)
        self._compute(self.key_product, sample, head)

    def _compute(self, product, sample, cut, tile=0):
        """A sample's part of a cut; with the first, those of all where the weights come in pieces."""
        if product.whole:
            product.compute(self.tokens, [sample], cut, tile)
        elif sample == 0:
            product.compute(self.tokens, None, cut, tile)

    def _values(self):
        """Values, transposed: heads together that make whole tiles of rows and of columns."""
        low, c, builder = self.lowering, self.config, self.builder
        self.value_heads = max(c.rows, c.columns) // math.gcd(max(c.rows, c.columns), self.head_columns)
        size = self.value_heads * self.head_columns
        count = ceil_div(self.heads, self.value_heads)
        words = builder.words(self.tokens)
        self.value = builder.operands(
            f"{self.name}.value", Memory.RIGHT, count * size // c.columns, words, self.block.value.codes
        )
        cuts = [(index * size, (index + 1) * size) for index in range(count)]
        assert low.x_right, "attention follows a norm that transposes"
        self.value_product = Product(
            builder, f"{self.name}.value", low.x_right, self.block.value, low.width, self.in_tiles, self.value,
            cuts=cuts, transposed=True,
        )  # fmt: skip

    def _compute_values(self, head, sample):
        if head % self.value_heads == 0:
            self._compute(self.value_product, sample, head // self.value_heads)

    def _place_constants(self):
        """Constants of the scores, one per head, repeated for its columns, and of the context."""
        builder, block = self.builder, self.block
        scale, offset = builder.fold(block.score, block.query.codes, block.key.codes, self.head_width)
        columns = self.token_tiles * self.config.columns
        self.score_constant = builder.constants(f"{self.name}.score", np.repeat(scale, columns), np.repeat(offset, columns))
        scale, offset = builder.fold(block.context, block.probability, block.value.codes, self.tokens)
        self.context_constant = builder.constants(
            f"{self.name}.context",
            builder.place(scale, self.in_tiles, self.padded_inner),
            builder.place(offset, self.in_tiles, self.padded_inner),
        )

    def _name_tensors(self, sample):
        symbol, name, n, c = self.lowering.symbol, self.name, self.tokens, self.config
        for part, product, codes in (("query", self.query_product, self.query), ("key", self.key_product, self.key)):
            symbol(f"{name}.{part}", sample, product.steps[sample], codes[sample], n, self.inner,
                   column_map=(self.head_width, self.head_words * c.depth))  # fmt: skip
        symbol(f"{name}.value", sample, self.value_product.steps[sample], self.value[sample], n, self.inner,
               column_map=(self.head_width, self.head_columns), transposed=True)  # fmt: skip
        symbol(f"{name}.context", sample, self._context_steps[sample], self.context[sample], n, self.inner,
               column_map=(self.head_width, self.head_columns))  # fmt: skip

    def _scores(self, head, sample):
        """Weights of the values of a head, as the left operand of its context."""
        low, builder, block = self.lowering, self.builder, self.block
        name = weights_name(self.name, head)
        check_product(f"{self.name}.scores", self.config, block.query.codes, block.key.codes, self.head_width)
        own, words = builder.of(sample, name), builder.words(self.tokens)
        weights = builder.operand(own, Memory.LEFT, low.row_tiles, words, block.probability)
        word = head * self.head_words
        bounds = clip_bounds(ATTENTION_KINDS[low.model.attention].score_format(block))
        scores = Scores(
            name, f"{self.name}.scores{head}", self.query[sample].part(word=word, words=self.head_words),
            self.key[sample].part(word=word, words=self.head_words), self.token_tiles,
            Scaling(At(self.score_constant, head * self.token_tiles), False, block.score.shift, *bounds),
            weights, self._bands(head), sample,
        )  # fmt: skip
        steps = self.kind.lower(builder, self.tokens, block, scores)
        low.symbol(name, sample, steps, weights, self.tokens, self.tokens, token_columns=True)
        return weights

    def _context(self, head, sample, bands):
        """Add the context of a head of a sample, for the row tiles of some bands."""
        c, block = self.config, self.block
        name = f"{self.name}.context{head}"
        check_product(name, c, block.probability, block.value.codes, self.tokens)
        first = head * self.head_columns
        scaling = Scaling(
            At(self.context_constant, first // c.columns), False, block.context.shift, *block.context_format.range
        )
        weights, value = self._weights[head, sample], self.value[sample].part(tile=first // c.columns)
        for tile, tiles in bands:
            op = self.builder.qmm(
                name, weights.part(tile=tile), value, tiles, self.head_columns // c.columns, scaling,
                self.head_width, target=self.context[sample].part(tile=tile), column=first, sample=sample,
                tokens=Tokens(rows=tile * c.rows, words=True),
            )  # fmt: skip
            self._context_steps[sample] += op.steps
