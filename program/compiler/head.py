"""Lowering of the head: which rows are classified, the mean over tokens, pooler, classifier."""

from typing import TYPE_CHECKING

import numpy as np

from golden.codes import Kind
from golden.model import Format, Head, Linear, Requantization
from golden.rescale import fold_rounding
from isa.instruction import Memory, Opcode, Region
from isa.layout import ceil_div, pack_constants, pack_operand, pad_to, round_up
from program.compiler.builder import Scaling
from program.compiler.graph import At, Draft, Fields, Operand, Tokens
from program.compiler.limits import check_product
from program.compiler.product import Product
from program.program import CompileError, OutputLayout

if TYPE_CHECKING:
    from program.compiler.lowering import Lowering

BIT = Format(Kind.UNSIGNED, 1)


def lower_head(lowering: "Lowering") -> OutputLayout:
    """Lower everything behind the last layer; returns the layout of the output."""
    encoder, builder, model = lowering.encoder, lowering.builder, lowering.model
    c = lowering.config
    x, rows = lowering.x_left, 1 if model.head is not Head.TOKEN else model.tokens
    if model.head is Head.MEAN:
        x = _mean(lowering)
    tiles = builder.row_tiles(rows)
    if encoder.pooler is not None:
        target = builder.operands("pooler", Memory.LEFT, tiles, lowering.width_words, encoder.pooler.codes)
        pooler = Product(builder, "pooler", x, encoder.pooler, lowering.width, lowering.width, target)
        pooler.compute(rows)
        for sample in lowering.samples:
            lowering.symbol("pooler", sample, pooler.steps[sample], target[sample], rows, model.width)
        x = target
    groups = ceil_div(model.classes, c.row_lanes)
    if round_up(model.classes, c.columns) > c.row_columns:
        raise CompileError(
            f"the number of classes is {model.classes}, but a row of logits has at most {c.row_columns} columns; raise "
            "row_columns or choose a larger preset"
        )
    layout = OutputLayout(model.head, rows, model.classes, groups * c.row_lanes * 2)
    classifier = Product(builder, "classifier", x, encoder.classifier, lowering.width, np.arange(model.classes))
    for sample in lowering.samples:
        offset = sample * layout.bytes
        fields: Fields = Tokens(rows=0).fields() | {
            "rows": rows, "groups": groups, "columns": model.classes, "region": Region.OUTPUT, "offset": offset,
        }  # fmt: skip
        store = Draft(builder.of(sample, "logits"), Opcode.STORE, fields, sample=sample)
        classifier.compute(rows, [sample], row=store)
        lowering.plain_symbol("logits", sample, [store], None, offset, layout.row_bytes, rows, model.classes)
    return layout


def _mean(lowering):
    """The pooled codes in row 0 of a left operand for each sample.

    Tokens are the contraction, so the codes are transposed by a product with an identity; then a row of LENGTH ones
    sums them. That row and the constants depend on LENGTH: tables hold them for every length.
    """
    builder, c, n, d = lowering.builder, lowering.config, lowering.model.tokens, lowering.model.width
    x, pooling = lowering.x_right, lowering.encoder.pooling
    codes, words = x[0].format, builder.words(n)
    bipolar = codes.kind is Kind.BIPOLAR
    # A bipolar value -1 or 1 becomes code 0 or 1 again: (t + 1) >> 1, the 1 being the rounding.
    unchanged = Requantization(np.ones(d, np.int64), np.zeros(d, np.int64), int(bipolar))
    identity = Linear(np.eye(d, dtype=np.int64), BIT, unchanged, codes)
    tiles = round_up(d, max(c.rows, c.columns)) // c.columns
    transposed = builder.operands("transposed", Memory.RIGHT, tiles, words, codes)
    Product(builder, "transposed", x, identity, lowering.width, lowering.width, transposed, transposed=True).compute(n)

    check_product("pooled", c, BIT, codes, n)
    masks = [pack_operand((np.arange(n)[None] < length).astype(np.int64), 1, c.rows, c.depth) for length in range(n + 1)]
    offset = fold_rounding(pooling.constants.offset, pooling.constants.shift)
    channels = round_up(c.rows, c.columns)
    builder.check_offsets("pooled", offset)
    entries = [
        pack_constants(*(pad_to(part[length : length + 1], channels) for part in (pooling.constants.scale, offset)))
        for length in range(n + 1)
    ]
    pooled = builder.operands("pooled", Memory.LEFT, 1, lowering.width_words, pooling.output)
    for sample, target in enumerate(pooled):
        own = builder.of(sample, "pooled")
        mask = Operand(builder.load_by_length(f"{own}.mask", Memory.LEFT, masks, sample), 1, words, BIT)
        constant = builder.load_by_length(f"{own}.constants", Memory.CONSTANT, entries, sample)
        scaling = Scaling(At(constant), True, pooling.constants.shift, *pooling.output.range)
        op = builder.qmm(
            "pooled", mask, transposed[sample], 1, ceil_div(d, c.columns), scaling, d, target=target, sample=sample,
            tokens=Tokens(rows=0, words=True),
        )  # fmt: skip
        lowering.symbol("pooled", sample, op.steps, target, 1, d)
    return pooled
