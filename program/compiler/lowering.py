"""Lowering: an encoder as operations of the machine, in program order, over buffers without addresses."""

from collections.abc import Mapping, Sequence

import numpy as np

from golden.codes import Kind
from golden.layernorm import width_reciprocal
from golden.model import Encoder, Format, Head, Input, Requantization
from golden.residual import HIGH, LOW
from isa.config import AcceleratorConfig
from isa.instruction import Memory, Opcode, Region
from isa.layout import ceil_div, pack_norm, pack_operand, pack_residual, pad_to, round_up
from program.compiler.attention.block import AttentionLowering
from program.compiler.builder import Builder, Scaling
from program.compiler.graph import At, Draft, Fields, Operand, Tokens, Use
from program.compiler.head import lower_head
from program.compiler.limits import check_product
from program.compiler.product import Product
from program.program import InputLayout

BIT = Format(Kind.UNSIGNED, 1)
#: Bands of row tiles of a product to the row buffer that come before what needs the norm of the first.
NORM_AHEAD = 2
#: Cycles of the rows of a NORM, at least, where samples have each other to wait for: the fewer the NORMs, the fewer the
#: cycles between them.
LONG_NORM = 512


class Lowering:
    """Walks an encoder once, computing each product for all samples of a batch while its weights are on chip; afterwards
    ``builder`` has the operations, ``input`` and ``output`` the layouts."""

    def __init__(self, encoder: Encoder, config: AcceleratorConfig, splits: Mapping[str, int], batch: int = 1):
        self.encoder, self.config = encoder, config
        self.model = encoder.config
        self.builder = Builder(config, splits, batch)
        self.samples = range(batch)
        n, d = self.model.tokens, self.model.width
        self.row_tiles = self.builder.row_tiles(n)
        self.width = np.arange(d)
        self.width_words = self.builder.words(d)
        self.groups = self.builder.row_groups(d, "the width of the model")
        longer = 1 if batch == 1 else ceil_div(LONG_NORM, self.groups * config.rows)
        #: ``(tile, tiles)`` of the row tiles that share a NORM.
        self.bands = [(tile, min(longer, self.row_tiles - tile)) for tile in range(0, self.row_tiles, longer)]
        #: Codes of each sample from the last norm, as left and, where that transposes, as right operands.
        self.x_left: list[Operand] = []
        self.x_right: list[Operand] = []
        self._embed()
        for index, layer in enumerate(encoder.layers):
            last = index + 1 == len(encoder.layers)
            name = f"layer{index}.attention"
            attention = AttentionLowering(self, name, layer.attention)
            attended = self._norm(name, layer.attention.norm, transposes=False)
            output = Product(self.builder, f"{name}.output", attention.context, layer.attention.output,
                             attention.in_tiles, self.width)  # fmt: skip
            self._feed_forward(f"layer{index}.feed_forward", layer.feed_forward, attention, output, attended,
                               transposes=not last or self.model.head is Head.MEAN)  # fmt: skip
        self.output = lower_head(self)

    def symbol(
        self, name: str, sample: int, steps: Sequence[Draft], operand: Operand, rows: int, columns: int, *,
        row_map: tuple[int, int] | None = None, column_map: tuple[int, int] | None = None, transposed: bool = False,
        token_columns: bool = False,
    ) -> None:  # fmt: skip
        """Record where a tensor of a sample lives; a map is (segment, stride), see `program.Symbol`."""
        row_segment, row_stride = row_map or (rows, rows)
        column_segment, column_stride = column_map or (columns, columns)
        self.builder.symbols[self.builder.of(sample, name)] = steps, {
            "memory": operand.buffer.memory, "base": At(operand.buffer, operand.first), "plane": operand.plane,
            "tile": operand.tile, "format": operand.format, "rows": rows, "columns": columns,
            "row_segment": row_segment, "row_stride": row_stride, "column_segment": column_segment,
            "column_stride": column_stride, "transposed": transposed, "token_columns": token_columns,
            "sample": sample,
        }  # fmt: skip

    def plain_symbol(
        self, name: str, sample: int, steps: Sequence[Draft], memory: Memory | None, base: int | At, tile: int, rows: int,
        columns: int,
    ) -> None:  # fmt: skip
        """Record where a tensor of a sample, of 16-bit elements, lives."""
        self.builder.symbols[self.builder.of(sample, name)] = steps, {
            "memory": memory, "base": base, "plane": 0, "tile": tile, "format": None, "rows": rows,
            "columns": columns, "row_segment": rows, "row_stride": rows, "column_segment": columns,
            "column_stride": columns, "transposed": False, "token_columns": False, "sample": sample,
        }  # fmt: skip

    def _embed(self):
        embedding, builder, model = self.encoder.embedding, self.builder, self.model
        groups = self.groups
        data = pack_residual(embedding.position, groups * self.config.row_lanes)
        norm = self._norm("embedding", embedding.norm, transposes=True, residual=data)
        if model.input is Input.PATCHES:
            codes = embedding.input_format
            zero = np.zeros((model.tokens, model.input_size), np.int64)
            patches = [
                builder.weight(builder.of(sample, "patches"), Memory.LEFT, zero, codes, Region.INPUT, sample)
                for sample in self.samples
            ]
            projection = Product(builder, "embedding.projection", patches, embedding.linear,
                                 np.arange(model.input_size), self.width)  # fmt: skip
            self._normed(projection, norm)
            size = patches[0].buffer.size * builder.word_bytes(Memory.LEFT)
        else:
            codes = embedding.linear.weight_format
            size = round_up(4 * model.tokens, builder.image.beat)
            gathered = self._gather(embedding.linear.weight, codes, size)
            check_product("embedding.projection", self.config, codes, BIT, 1)
            identity = builder.weight("embedding.identity", Memory.RIGHT, np.eye(model.width, dtype=np.int64), BIT)
            constants = embedding.linear.constants
            scale, offset = builder.fold(constants, codes, BIT, 1)
            constant = builder.constants("embedding.projection", scale, offset)
            scaling = Scaling(At(constant), False, constants.shift, LOW, HIGH)
            for sample in self.samples:
                for (tile, tiles), step in zip(self.bands, norm[sample], strict=True):
                    builder.qmm("embedding.projection", gathered[sample].part(tile=tile), identity, tiles, identity.tiles,
                                scaling, model.width, row=step, sample=sample,
                                tokens=Tokens(rows=tile * self.config.rows))  # fmt: skip
        self.input = InputLayout(model.input, model.tokens, model.input_size, codes, size)

    def _gather(self, table, codes, index_bytes):
        """Rows of the table by token id for each sample, one GATHER a plane; ids are ``index_bytes`` for each sample."""
        builder, c = self.builder, self.config
        gathered = builder.operands("embedding.gathered", Memory.LEFT, self.row_tiles, self.width_words, codes)
        row_bytes = round_up(self.width_words * c.depth // 8, builder.image.beat)
        planes = np.frombuffer(pack_operand(table, codes.bits, 1, c.depth), np.uint8).reshape(codes.bits, len(table), -1)
        packed = pad_to(planes, codes.bits, len(table), row_bytes)
        for plane in range(codes.bits):
            offset = builder.image.add(f"embedding.table{plane}", packed[plane].tobytes())
            for sample, rows in enumerate(gathered):
                fields: Fields = {
                    "region": Region.IMAGE, "offset": offset, "index_region": Region.INPUT,
                    "index_offset": sample * index_bytes, "count": self.model.tokens, "limit": len(table),
                    "row_beats": row_bytes // builder.image.beat, "words": rows.words,
                    "address": At(rows.buffer, plane * rows.plane), "tile": rows.tile,
                } | Tokens(rows=0).fields()  # fmt: skip
                name = builder.of(sample, f"embedding.gathered plane {plane}")
                step = Draft(name, Opcode.GATHER, fields, writes=(Use(rows.buffer),), sample=sample)
                rows.buffer.fetches.append(step)
        return gathered

    def _norm(self, name, norm, transposes, residual=None):
        """The NORMs that end a block, for each sample one for each band: the new stream, and its codes left and, for
        ``transposes``, right. They are steps yet to be added to the products that feed them."""
        builder, c = self.builder, self.config
        n, d, groups = self.model.tokens, self.model.width, self.groups
        if residual is not None:
            parts, name_of = max(1, n // c.rows), "embedding.position"
            self.residual = [
                builder.load_tokens(builder.of(sample, name_of), Memory.RESIDUAL, residual, n, parts, sample)
                for sample in self.samples
            ]
        zero = np.zeros(d, np.int64)
        to_residual = norm.residual or Requantization(zero, zero, 0)
        constants = (to_residual.scale, to_residual.offset, norm.codes.scale, norm.codes.offset)
        data = pack_norm(*(pad_to(part, groups * c.row_lanes) for part in constants))
        constant = builder.load(f"{name}.norm", Memory.NORM, data)
        self.x_left = builder.operands(f"{name}.codes", Memory.LEFT, self.row_tiles, self.width_words, norm.output)
        self.x_right = []
        fields = {
            "groups": groups, "columns": d, "left_enable": 1, "bits": norm.output.bits,
            "constant_base": At(constant), "rms": int(norm.rms),
            "keep_sum": int(norm.residual is None), "width_reciprocal": width_reciprocal(d),
            "epsilon": norm.epsilon, "residual_shift": to_residual.shift, "code_shift": norm.codes.shift,
            "low": norm.output.range[0], "high": norm.output.range[1],
        }  # fmt: skip
        if transposes:
            tiles = ceil_div(n, c.columns)
            self.x_right = builder.operands(f"{name}.codes right", Memory.RIGHT, tiles, self.width_words, norm.output)
        return [self._norm_steps(name, sample, fields, constant) for sample in self.samples]

    def _norm_steps(self, name, sample, fields, constant):
        """Those of a sample."""
        c, n, d, groups, left, residual = (
            self.config, self.model.tokens, self.model.width, self.groups, self.x_left[sample], self.residual[sample],
        )  # fmt: skip
        right = self.x_right[sample] if self.x_right else None
        fields = fields | left.write_fields("left")
        if right is not None:
            fields |= right.write_fields("right") | {"right_enable": 1}
        steps = []
        for tile, tiles in self.bands:
            first = tile * c.rows
            rows = min(tiles * c.rows, n - first)
            stream = Use(residual, np.arange(first * groups, (first + rows) * groups))
            writes = [stream, left.use(tiles, tile=tile)]
            if right is not None:
                begin = first // c.columns
                writes.append(right.use(ceil_div(first + rows, c.columns) - begin, tile=begin))
            mine = {"rows": rows, "first_row": first, "residual_base": At(residual, first * groups)}
            mine |= Tokens(rows=first).fields()
            own = self.builder.of(sample, f"{name}.norm")
            steps.append(Draft(own, Opcode.NORM, fields | mine, (Use(constant), stream), tuple(writes), sample))
        self.plain_symbol(f"{name}.residual", sample, steps, Memory.RESIDUAL, At(residual), groups, n, d)
        self.symbol(f"{name}.codes", sample, steps, left, n, d)
        return steps

    @property
    def _bands_of_all(self):
        """``(sample, number of its band)`` of all samples, in order."""
        return [(sample, number) for sample in self.samples for number in range(len(self.bands))]

    def _compute_band(self, product, sample, number, row=None):
        tile, tiles = self.bands[number]
        product.compute(self.model.tokens, [sample], tile=tile, tiles=tiles, row=row)

    def _normed(self, product, norm):
        """Add a product to the row buffer and its NORMs."""
        for sample, number in self._bands_of_all:
            self._compute_band(product, sample, number, norm[sample][number])

    def _feed_forward(self, name, block, attention, output, attended, transposes):
        """Output projection of the attention, then both products of the feed-forward block.

        Bands of the output projection run ahead: of the end of attention, which they need not all wait for, and of
        those of the first product, which wait for their norm.
        """
        builder, tokens = self.builder, self.model.tokens
        hidden_width = np.arange(self.model.feed_forward)
        words = builder.words(self.model.feed_forward)
        hidden = builder.operands(f"{name}.hidden", Memory.LEFT, self.row_tiles, words, block.up.codes)
        up = Product(builder, f"{name}.hidden", self.x_left, block.up, self.width, hidden_width, hidden)
        todo = self._bands_of_all
        finish = len(todo) - len(self.bands) + min(NORM_AHEAD, len(self.bands))
        for index in range(len(todo) + NORM_AHEAD):
            if index == finish:
                attention.finish()
            if index < len(todo):
                sample, number = todo[index]
                if number == 0:
                    attention.attend(sample)
                self._compute_band(output, sample, number, attended[sample][number])
            if index >= NORM_AHEAD and up.whole:
                self._compute_band(up, *todo[index - NORM_AHEAD])
        if not up.whole:
            up.compute(tokens)
        for sample in self.samples:
            steps = up.steps[sample]
            self.symbol(f"{name}.hidden", sample, steps, hidden[sample], tokens, self.model.feed_forward)
        norm = self._norm(name, block.norm, transposes)
        self._normed(Product(builder, f"{name}.output", hidden, block.down, hidden_width, self.width), norm)
