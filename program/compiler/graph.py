"""What the encoder is lowered to: steps over buffers whose addresses are not known yet."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from golden.model import Format
from isa.instruction import Memory, Opcode


@dataclass(eq=False)
class Buffer:
    """Words of one on-chip memory that hold one tensor for part of the program.

    ``fetches`` are the LOADs and GATHERs that fill it; a buffer without any is written by the steps themselves.
    """

    name: str
    memory: Memory
    size: int
    fetches: list["Draft"] = field(default_factory=list)
    address: int = -1


class At(NamedTuple):
    """A word address that is known once the buffer is placed."""

    buffer: Buffer
    offset: int = 0

    @property
    def address(self) -> int:
        return self.buffer.address + self.offset


#: Fields of an instruction by name, addresses yet to be known.
Fields = dict[str, int | At]


class Tokens(NamedTuple):
    """Which dimensions of an instruction are tokens, that its sample may have fewer of: ``rows`` from that token on,
    ``columns`` and the ``words`` of the contraction from the first."""

    rows: int | None = None
    columns: bool = False
    words: bool = False

    def fields(self) -> Fields:
        fields: Fields = {"limit_columns": int(self.columns), "limit_words": int(self.words)}
        return fields if self.rows is None else fields | {"limit_rows": 1, "first_token": self.rows}


#: No dimension is tokens.
NO_TOKENS = Tokens()


class Use(NamedTuple):
    """Words of a buffer that a step reads or writes: their offsets, ``(count,)`` int64, or None for all of them."""

    buffer: Buffer
    offsets: NDArray[np.int64] | None = None

    def addresses(self) -> NDArray[np.int64]:
        """``(count,)`` int64, once the buffer is placed."""
        offsets = np.arange(self.buffer.size) if self.offsets is None else self.offsets
        return self.buffer.address + offsets


@dataclass(eq=False)
class Draft:
    """An instruction: its fields, with `At` for addresses, what it touches, and whose of a batch it is."""

    name: str
    opcode: Opcode
    fields: Fields
    reads: tuple[Use, ...] = ()
    writes: tuple[Use, ...] = ()
    sample: int = 0

    @property
    def buffers(self) -> list[Buffer]:
        return [use.buffer for use in (*self.reads, *self.writes)]


class WeightCut(NamedTuple):
    name: str
    tiles: int


@dataclass(eq=False)
class Op:
    """A QMM and, where its tiles go to the row buffer, the row instruction that takes them.

    ``split`` names the product whose weights can be cut into more parts, and says of how many tiles this part is.
    """

    name: str
    steps: list[Draft]
    split: WeightCut | None

    @property
    def buffers(self) -> list[Buffer]:
        """In the order in which the steps name them."""
        return list(dict.fromkeys(buffer for step in self.steps for buffer in step.buffers))


@dataclass(frozen=True, eq=False)
class Operand:
    """A matrix of codes in an operand memory, planes outermost, then tiles, then words."""

    buffer: Buffer
    tiles: int
    words: int
    format: Format
    first: int = 0

    @staticmethod
    def size(tiles: int, words: int, code_format: Format) -> int:
        return tiles * words * code_format.bits

    @property
    def plane(self) -> int:
        return self.buffer.size // self.format.bits

    @property
    def tile(self) -> int:
        return self.plane // self.tiles

    def part(self, tile: int = 0, word: int = 0, words: int | None = None) -> Self:
        """The operand from a tile on, and of each row only some words."""
        return replace(self, first=self.first + tile * self.tile + word, words=self.words if words is None else words)

    def use(self, tiles: int, words: int | None = None, tile: int = 0, word: int = 0) -> Use:
        """The words of some tiles, of all planes: ``words`` of each, all by default, from ``word`` on."""
        planes = np.arange(self.format.bits)[:, None, None] * self.plane
        across = (tile + np.arange(tiles))[:, None] * self.tile
        along = word + np.arange(self.words if words is None else words)
        return Use(self.buffer, (self.first + planes + across + along).ravel())

    def read_fields(self, side: str) -> Fields:
        return {
            f"{side}_base": At(self.buffer, self.first), f"{side}_plane": self.plane, f"{side}_tile": self.tile,
            f"{side}_bits": self.format.bits, f"{side}_kind": self.format.kind,
        }  # fmt: skip

    def write_fields(self, prefix: str) -> Fields:
        return {
            f"{prefix}_base": At(self.buffer, self.first), f"{prefix}_plane": self.plane,
            f"{prefix}_tile": self.tile,
        }  # fmt: skip
