"""Lowering of attention: heads side by side, each padded to whole words or tiles."""

import numpy as np

from golden.instruction import Memory, Opcode
from golden.model import Attention
from golden.residual import HIGH, LOW
from program.builder import Scaling
from program.graph import At, Step
from program.layout import ceil_div, round_up
from program.limits import check_product
from program.program import positions


class AttentionLowering:
    """Query, key, value, scores and context of one block; `context` is the operand for the output projection.

    Queries and keys give each head whole words, since a head is a contraction of its own. Values and context give
    it whole tiles of columns, since its context is a product of its own.
    """

    def __init__(self, lowering, name, block):
        self.lowering, self.builder, self.config = lowering, lowering.builder, lowering.config
        self.name, self.block = name, block
        self.heads, self.head_width = lowering.model.heads, lowering.model.head_width
        self.tokens = lowering.model.tokens
        k, c = self.config.depth, self.config.columns
        inner = self.heads * self.head_width
        self.head_words = ceil_div(self.head_width, k)
        self.head_columns = round_up(self.head_width, c)
        self.in_words = positions(inner, self.head_width, self.head_words * k)
        self.in_tiles = positions(inner, self.head_width, self.head_columns)
        self.padded_inner = round_up(self.heads * self.head_columns, k)
        self.softmax = lowering.model.attention is Attention.SOFTMAX
        #: Codes of a threshold fill whole words themselves; scores are padded by the softmax.
        self.score_tiles = ceil_div(self.tokens, c) if self.softmax else lowering.token_tiles

        if self.softmax:
            self.key_groups = lowering.groups_of(self.tokens, "the number of tokens")
        self._queries_and_keys()
        self._place_constants()
        self._operands_of_context()
        # The engine computes scores of the next head while the softmax works on those of this one.
        probability = self._scores(0)
        self._values()
        context_steps = []
        for head in range(self.heads):
            following = self._scores(head + 1) if head + 1 < self.heads else None
            context_steps.append(self._context(head, probability))
            probability = following
        lowering.symbol(
            f"{name}.context", context_steps, self.context, self.tokens, inner,
            column_map=(self.head_width, self.head_columns),
        )  # fmt: skip

    def _queries_and_keys(self):
        low, builder, block = self.lowering, self.builder, self.block
        words = self.heads * self.head_words
        # Keys are computed in tiles of R rows and read in tiles of C columns, up to whole words of codes.
        key_tiles = max(ceil_div(low.row_tiles * self.config.rows, self.config.columns), self.score_tiles)
        self.query = builder.operand(f"{self.name}.query", Memory.LEFT, low.row_tiles, words, block.query.output)
        self.key = builder.operand(f"{self.name}.key", Memory.RIGHT, key_tiles, words, block.key.output)
        for part, layer, target in (("query", block.query, self.query), ("key", block.key, self.key)):
            steps = builder.to_codes(
                f"{self.name}.{part}", low.x_left, low.row_tiles, layer, low.width, self.in_words, target
            )
            low.symbol(
                f"{self.name}.{part}", steps, target, self.tokens, self.heads * self.head_width,
                column_map=(self.head_width, self.head_words * self.config.depth),
            )  # fmt: skip

    def _place_constants(self):
        """Constants of the scores, one per head, repeated for its columns, and of the context."""
        builder, block = self.builder, self.block
        scale, offset = builder.fold(block.score, block.query.output, block.key.output, self.head_width)
        columns = self.score_tiles * self.config.columns
        self.score_constant = builder.constants(f"{self.name}.score", np.repeat(scale, columns), np.repeat(offset, columns))
        scale, offset = builder.fold(block.context, block.probability, block.value.output, self.tokens)
        self.context_constant = builder.constants(
            f"{self.name}.context",
            builder.place(scale, self.in_tiles, self.padded_inner),
            builder.place(offset, self.in_tiles, self.padded_inner),
        )

    def _operands_of_context(self):
        c, builder, low, block = self.config, self.builder, self.lowering, self.block
        computed = round_up(self.heads * self.head_columns, max(c.rows, c.columns))
        tiles = max(computed, self.padded_inner) // c.columns
        words = builder.words(self.tokens)
        self.value = builder.operand(f"{self.name}.value", Memory.RIGHT, tiles, words, block.value.output)
        self.context = builder.operand(
            f"{self.name}.context", Memory.LEFT, low.row_tiles, builder.words(self.padded_inner), block.context_format
        )

    def _values(self):
        low = self.lowering
        steps = self.builder.transposed(
            f"{self.name}.value", low.x_right, self.tokens, self.block.value, self.in_tiles, self.value
        )
        low.symbol(
            f"{self.name}.value", steps, self.value, self.tokens, self.heads * self.head_width,
            column_map=(self.head_width, self.head_columns), transposed=True,
        )  # fmt: skip

    def _scores(self, head):
        """Probabilities of a head, as the left operand of its context."""
        low, builder, block = self.lowering, self.builder, self.block
        name = f"{self.name}.probability{head}"
        check_product(f"{self.name}.scores", self.config, block.query.output, block.key.output, self.head_width)
        probability = builder.operand(name, Memory.LEFT, low.row_tiles, builder.words(self.tokens), block.probability)
        word = head * self.head_words
        query = self.query.part(word=word, words=self.head_words)
        key = self.key.part(word=word, words=self.head_words)
        at = At(self.score_constant, head * self.score_tiles)
        if not self.softmax:
            scaling = Scaling(at, False, block.score.shift, *block.probability.range)
            op = builder.qmm(name, query, key, low.row_tiles, self.score_tiles, scaling, self.tokens,
                             target=probability, mask=True)  # fmt: skip
        else:
            fields = {
                "rows": self.tokens, "groups": self.key_groups, "columns": self.tokens, "left_enable": 1,
                "bits": block.probability.bits, "mask": 1, "step": block.step, "step_shift": block.step_shift,
            } | probability.write_fields("left")  # fmt: skip
            row = Step(name, Opcode.SOFTMAX, fields, writes=(probability.buffer,))
            scaling = Scaling(at, False, block.score.shift, LOW, HIGH)
            op = builder.qmm(f"{self.name}.scores{head}", query, key, low.row_tiles, self.score_tiles, scaling,
                             self.tokens, row=row)  # fmt: skip
        low.symbol(name, [op.steps[-1]], probability, self.tokens, self.tokens)
        return probability

    def _context(self, head, probability):
        """The step that computes the context of a head; that of the last one also zeroes what fills the last word."""
        low, c, block = self.lowering, self.config, self.block
        name = f"{self.name}.context{head}"
        check_product(name, c, block.probability, block.value.output, self.tokens)
        first = head * self.head_columns
        end = self.padded_inner if head + 1 == self.heads else first + self.head_columns
        scaling = Scaling(
            At(self.context_constant, first // c.columns), False, block.context.shift, *block.context_format.range
        )
        op = self.builder.qmm(
            name, probability, self.value.part(tile=first // c.columns), low.row_tiles, (end - first) // c.columns,
            scaling, self.head_width, target=self.context, column=first,
        )  # fmt: skip
        return op.steps[0]
