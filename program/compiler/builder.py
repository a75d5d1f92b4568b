"""Builds steps: products with their weights, requantization parameters and destinations, on operands of any legal shape."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from golden.model import Format, Requantization
from golden.qmm import correction_constant
from golden.rescale import OFFSET_BITS, fold_rounding
from isa.config import AcceleratorConfig
from isa.instruction import Destination, Memory, Opcode, Region
from isa.layout import ceil_div, pack_constants, pack_operand, pad_to, round_up
from isa.memory import banks, word_bits
from program.compiler.graph import NO_TOKENS, At, Buffer, Draft, Op, Operand, Tokens, Use, WeightCut
from program.compiler.image import ImageBuilder
from program.program import CompileError, sample_name


class Scaling(NamedTuple):
    """The rescale of a product: its parameters for each channel, placed, and those that all channels share."""

    constant: At
    by_row: bool
    shift: int
    low: int
    high: int


class Builder:
    """Operations, image and symbols as they grow.

    ``splits`` says into how many parts the weights of a product are cut, by name; 1 for those it does not name. ``batch``
    is the number of samples that a run computes.
    """

    def __init__(self, config: AcceleratorConfig, splits: Mapping[str, int], batch: int = 1):
        self.config = config
        self.splits = splits
        self.batch = batch
        self.image = ImageBuilder(config.axi_bits)
        self.ops = []
        self.symbols = {}

    def of(self, sample: int, name: str) -> str:
        """What something of a sample is called."""
        return sample_name(self.batch, sample, name)

    def operands(self, name: str, memory: Memory, tiles: int, words: int, code_format: Format) -> list[Operand]:
        """An operand for each sample."""
        return [self.operand(self.of(sample, name), memory, tiles, words, code_format) for sample in range(self.batch)]

    def word_bytes(self, memory: Memory) -> int:
        return word_bits(self.config, memory) // 8

    def words(self, elements: int) -> int:
        """Words of K bits."""
        return ceil_div(elements, self.config.depth)

    def row_tiles(self, rows: int) -> int:
        return ceil_div(rows, self.config.rows)

    def row_groups(self, columns: int, what: str) -> int:
        """Groups of row_lanes in a row, which must fit the row buffer."""
        padded = round_up(columns, max(self.config.columns, self.config.row_lanes))
        if padded > self.config.row_columns:
            raise CompileError(
                f"{what} is {columns}, which takes {padded} columns of the row buffer, but it has "
                f"{self.config.row_columns}; raise row_columns or choose a larger preset"
            )
        return ceil_div(columns, self.config.row_lanes)

    def operand(self, name: str, memory: Memory, tiles: int, words: int, code_format: Format) -> Operand:
        """An operand that the steps write."""
        buffer = Buffer(name, memory, Operand.size(tiles, words, code_format))
        return Operand(buffer, tiles, words, code_format)

    def load(self, name: str, memory: Memory, data: bytes, region: Region = Region.IMAGE, offset: int = 0) -> Buffer:
        """A buffer that a LOAD fills, from the image or from ``offset`` on in another region."""
        offset = self.image.add(name, data) if region is Region.IMAGE else offset
        buffer = Buffer(name, memory, ceil_div(len(data), self.word_bytes(memory)))
        self._fetch(buffer, 0, buffer.size, region, offset, 0)
        return buffer

    def load_tokens(self, name: str, memory: Memory, data: bytes, tokens: int, parts: int, sample: int) -> Buffer:
        """A buffer with as many words for each of a sample's ``tokens``, filled by so many LOADs: none of absent tokens
        only."""
        offset = self.image.add(name, data)
        buffer = Buffer(name, memory, ceil_div(len(data), self.word_bytes(memory)))
        size = ceil_div(buffer.size, parts)
        for first in range(0, buffer.size, size):
            present = Tokens(first // (buffer.size // tokens))
            self._fetch(buffer, first, min(size, buffer.size - first), Region.IMAGE, offset, 0, sample, present)
        return buffer

    def load_by_length(self, name: str, memory: Memory, entries: Sequence[bytes], sample: int) -> Buffer:
        """A buffer that a LOAD fills with one of the entries (bytes), chosen by the length of a sample."""
        size = max(len(entries[0]), self.image.beat)
        shift = (size - 1).bit_length()
        offset = self.image.add(name, b"".join(entry.ljust(1 << shift, b"\0") for entry in entries))
        buffer = Buffer(name, memory, ceil_div(len(entries[0]), self.word_bytes(memory)))
        self._fetch(buffer, 0, buffer.size, Region.IMAGE, offset, shift, sample)
        return buffer

    def _fetch(self, buffer, first, words, region, offset, index_shift, sample=0, tokens=NO_TOKENS):
        """A LOAD of some words of a buffer whose first word is at ``offset``."""
        word = self.word_bytes(buffer.memory)
        fields = {
            "region": region, "offset": offset + first * word, "memory": buffer.memory, "address": At(buffer, first),
            "beats": words * word // self.image.beat, "index_shift": index_shift,
        } | tokens.fields()  # fmt: skip
        use = Use(buffer, np.arange(first, first + words))
        buffer.fetches.append(Draft(f"{buffer.name} load", Opcode.LOAD, fields, writes=(use,), sample=sample))

    def weight(
        self, name: str, memory: Memory, codes: NDArray[np.integer], code_format: Format, region: Region = Region.IMAGE,
        sample: int = 0,
    ) -> Operand:  # fmt: skip
        """An operand that a LOAD fills: codes (rows, depth), zero-padded to whole tiles and words; in another region than
        the image, that of a sample, as many bytes each."""
        data = pack_operand(codes, code_format.bits, banks(self.config, memory), self.config.depth)
        tiles = ceil_div(codes.shape[0], banks(self.config, memory))
        buffer = self.load(name, memory, data, region, sample * len(data))
        return Operand(buffer, tiles, self.words(codes.shape[1]), code_format)

    def constants(self, name: str, scale: NDArray[np.int64], offset: NDArray[np.int64]) -> Buffer:
        """Rescale constants, folded, (channels,) each, in whole words."""
        self.check_offsets(name, offset)
        total = round_up(len(scale), self.config.columns)
        data = pack_constants(pad_to(np.asarray(scale), total), pad_to(np.asarray(offset), total))
        return self.load(f"{name}.constants", Memory.CONSTANT, data)

    @staticmethod
    def check_offsets(name: str, offset: NDArray[np.int64]) -> None:
        """Refuse offsets, folded, that do not fit their field."""
        limit = 1 << (OFFSET_BITS - 1)
        wrong = [value for value in np.ravel(offset) if not -limit <= value < limit]
        if wrong:
            raise CompileError(
                f"{name}: a rescale offset of {wrong[0]}, with rounding and depth folded in, does not fit {OFFSET_BITS} "
                "bit; scale the model's output down"
            )

    def qmm(
        self, name: str, left: Operand, right: Operand, row_tiles: int, column_tiles: int, scaling: Scaling, columns: int, *,
        target: Operand | None = None, column: int = 0, row: Draft | None = None, tokens: Tokens = NO_TOKENS,
        split: WeightCut | None = None, sample: int = 0,
    ) -> Op:  # fmt: skip
        """Add a product of a sample, to an operand ``target`` from ``column`` on, or to the row buffer for step ``row``."""
        fields = left.read_fields("left") | right.read_fields("right") | tokens.fields()
        fields |= {
            "words": left.words, "row_tiles": row_tiles, "column_tiles": column_tiles,
            "destination": Destination.ROWS, "columns": columns,
            "constant_base": scaling.constant, "constant_by_row": int(scaling.by_row), "shift": scaling.shift,
            "low": scaling.low, "high": scaling.high,
        }  # fmt: skip
        writes: tuple[Use, ...] = ()
        channels = ceil_div(row_tiles * self.config.rows, self.config.columns)
        if target is not None:
            left_memory = target.buffer.memory is Memory.LEFT
            fields |= target.write_fields("destination") | {
                "destination": Destination.LEFT if left_memory else Destination.RIGHT,
                "destination_column": column, "destination_bits": target.format.bits,
            }  # fmt: skip
            word = column // self.config.depth
            words = self.words(column + column_tiles * self.config.columns) - word
            writes = (target.use(row_tiles if left_memory else channels, words, word=word),)
        constants = scaling.constant.offset + np.arange(channels if scaling.by_row else column_tiles)
        reads = (left.use(row_tiles), right.use(column_tiles), Use(scaling.constant.buffer, constants))
        name = self.of(sample, name)
        steps = [Draft(name, Opcode.QMM, fields, reads, writes, sample), *([] if row is None else [row])]
        self.ops.append(Op(name, steps, split))
        return self.ops[-1]

    @staticmethod
    def place(channels: NDArray[np.int64], positions: NDArray[np.int64], total: int) -> NDArray[np.int64]:
        """Constants at their positions; 0 elsewhere, which makes code 0 of any sum."""
        wide = np.zeros(total, np.int64)
        wide[positions] = channels
        return wide

    @staticmethod
    def fold(
        constants: Requantization, left: Format, right: Format, depth: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Scale and offset as the hardware holds them: with the rounding half and the depth's share of the product."""
        share = constants.scale * correction_constant(depth, left.kind, right.kind)
        return constants.scale, fold_rounding(constants.offset + share, constants.shift)
