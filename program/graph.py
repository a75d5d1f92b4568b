"""What the encoder is lowered to: steps over buffers whose addresses are not known yet."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from golden.instruction import Memory, Opcode
from golden.model import Format


@dataclass(eq=False)
class Buffer:
    """Words of one on-chip memory that hold one tensor for part of the program.

    ``fetches`` are the LOADs and GATHERs that fill it; a buffer without is written by the steps themselves.
    """

    name: str
    memory: Memory
    size: int
    fetches: list["Step"] = field(default_factory=list)
    address: int = -1


class At(NamedTuple):
    """A word address that is known once the buffer is placed."""

    buffer: Buffer
    offset: int = 0

    @property
    def address(self):
        return self.buffer.address + self.offset


@dataclass(eq=False)
class Step:
    """An instruction: its fields, with `At` for addresses, and the buffers it touches."""

    name: str
    opcode: Opcode
    fields: dict
    reads: tuple[Buffer, ...] = ()
    writes: tuple[Buffer, ...] = ()


class Split(NamedTuple):
    name: str
    tiles: int


@dataclass(eq=False)
class Op:
    """A QMM and, where its tiles go to the row buffer, the row instruction that takes them.

    ``split`` names the product whose weights can be cut into more parts, and says of how many tiles this part is.
    """

    name: str
    steps: list[Step]
    split: Split | None

    @property
    def buffers(self):
        return {buffer for step in self.steps for buffer in (*step.reads, *step.writes)}


@dataclass(frozen=True, eq=False)
class Operand:
    """A matrix of codes in an operand memory, planes outermost, then tiles, then words."""

    buffer: Buffer
    tiles: int
    words: int
    format: Format
    first: int = 0

    @staticmethod
    def size(tiles, words, code_format):
        return tiles * words * code_format.bits

    @property
    def plane(self):
        return self.buffer.size // self.format.bits

    @property
    def tile(self):
        return self.plane // self.tiles

    def part(self, tile=0, word=0, words=None):
        """The operand from a tile on, and of each row only some words."""
        return replace(self, first=self.first + tile * self.tile + word, words=self.words if words is None else words)

    def read_fields(self, side):
        return {
            f"{side}_base": At(self.buffer, self.first), f"{side}_plane": self.plane, f"{side}_tile": self.tile,
            f"{side}_bits": self.format.bits, f"{side}_kind": self.format.kind,
        }  # fmt: skip

    def write_fields(self, prefix):
        return {
            f"{prefix}_base": At(self.buffer, self.first), f"{prefix}_plane": self.plane,
            f"{prefix}_tile": self.tile,
        }  # fmt: skip
