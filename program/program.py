"""What a program consists of: instructions, image, layout of input and output, and where every tensor lives."""

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from formats.errors import UserError
from golden.model import Format, Head, Input
from isa.bounds import Bounds
from isa.config import AcceleratorConfig
from isa.instruction import INSTRUCTION_BYTES, SAMPLES, Instruction, Memory, Region

#: Addresses, offsets and sizes; and what divides, or of which there is at least one.
Place = Annotated[int, Meta(ge=0, le=(1 << 48) - 1)]
Count = Annotated[int, Meta(ge=1, le=(1 << 48) - 1)]


class CompileError(UserError):
    """An encoder that does not fit the accelerator: the tensor, the value and what to raise, in one sentence."""


class ProgramError(UserError):
    """A program, or a file of one, that must not run: what is wrong with it and where, in one sentence."""


@dataclass(frozen=True)
class Symbol:
    """Where a tensor of `golden.encoder.encode` is, and when.

    An operand memory holds it as bit planes: row i, column k of plane p is bit ``k % K`` of bank ``i % R`` (C) at
    ``base + p * plane + (i // R) * tile + k // K``. In RESIDUAL row i starts at word ``base + i * tile``; in region
    OUTPUT (``memory`` None) at byte ``base + i * tile``.

    Row and column are those of the tensor, transposed where it is kept so, and moved: index x goes to
    ``x // segment * stride + x % segment`` (heads padded to whole words or tiles).
    """

    memory: Memory | None
    base: Place
    plane: Place
    tile: Place
    format: Format | None  #: None: signed 16 bit
    rows: Count
    columns: Count
    row_segment: Count
    row_stride: Place
    column_segment: Count
    column_stride: Place
    transposed: bool
    token_columns: bool  #: columns are tokens too, as rows are
    sample: Annotated[int, Meta(ge=0, lt=SAMPLES)]
    writers: Annotated[tuple[Place, ...], Meta(min_length=1)]  #: indices of the instructions that write it, in order

    @property
    def ready(self) -> int:
        """Index of the instruction after whose completion the tensor is whole; what overwrites it starts later."""
        return self.writers[-1]

    def at(self, length: int) -> "Symbol":
        """What there is of it for a sample of so many tokens. A tensor of one row has it for every length."""
        columns = min(self.columns, length) if self.token_columns else self.columns
        return replace(self, rows=min(self.rows, length), columns=columns)

    def row_positions(self) -> NDArray[np.int64]:
        """Where the rows of the stored matrix are, ``(rows,)`` int64."""
        return positions(self.rows, self.row_segment, self.row_stride)

    def column_positions(self) -> NDArray[np.int64]:
        """Where the columns of the stored matrix are, ``(columns,)`` int64."""
        return positions(self.columns, self.column_segment, self.column_stride)


def sample_name(batch: int, sample: int, name: str) -> str:
    """What a tensor or product of one sample of a batch is called: as it is, where there is but one."""
    return name if batch == 1 else f"sample{sample}.{name}"


def positions(count: int, segment: int, stride: int) -> NDArray[np.int64]:
    """0 .. count - 1 in segments that are ``stride`` apart, ``(count,)`` int64."""
    index = np.arange(count)
    return index // segment * stride + index % segment


@dataclass(frozen=True)
class InputLayout:
    """A sample in region INPUT: token ids (32 bit each) or patch codes as the left operand they become, see
    `memory_image`. Samples of a batch follow one another, ``bytes`` each."""

    input: Input
    tokens: Count
    #: Vocabulary size, or elements of a patch.
    size: Count
    format: Format
    bytes: Count


@dataclass(frozen=True)
class OutputLayout:
    """A sample in region OUTPUT: rows of logits, 16 bit each. Samples of a batch follow one another, ``bytes`` each."""

    head: Head
    rows: Count
    columns: Count
    row_bytes: Count

    @property
    def bytes(self) -> int:
        return self.rows * self.row_bytes


@dataclass(frozen=True)
class ImagePart:
    """A part of the image: what it is and where; pieces of equal content share a place."""

    name: str
    offset: Place
    size: Place


@dataclass(frozen=True)
class Program:
    """Everything a transport needs to run one encoder on one configuration.

    ``image`` is the content of region IMAGE, the instructions at ``program_offset`` included; ``names`` says of
    each instruction what it computes; ``symbols`` are the tensors of `golden.encoder.encode` in the order
    in which they are ready, those of a batch by `sample_name`. A run computes ``batch`` samples.
    """

    config: AcceleratorConfig
    batch: int
    instructions: tuple[Instruction, ...]
    names: tuple[str, ...]
    image: bytes
    program_offset: int
    input: InputLayout
    output: OutputLayout
    symbols: dict[str, Symbol]
    pieces: tuple[ImagePart, ...]

    @property
    def bounds(self) -> Bounds:
        """What its instructions must stay within."""
        sizes = {Region.IMAGE: len(self.image), Region.INPUT: self.input_bytes, Region.OUTPUT: self.output_bytes}
        return Bounds(self.config, sizes, self.input.tokens)

    @property
    def input_bytes(self) -> int:
        """Size of region INPUT."""
        return self.batch * self.input.bytes

    @property
    def output_bytes(self) -> int:
        """Size of region OUTPUT."""
        return self.batch * self.output.bytes

    @property
    def instruction_bytes(self) -> int:
        return len(self.instructions) * INSTRUCTION_BYTES
