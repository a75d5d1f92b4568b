"""Instruction set: what all instructions have in common. Each has a file in isa/instructions, named as its opcode.

An `Operation` says everything of one opcode: fields, legality, footprint, execution, the colour in pictures. Compiler,
checker, interpreter, hardware, documentation and timelines ask `operation`; none of them lists the opcodes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from isa.bounds import Bounds
    from isa.config import AcceleratorConfig
    from isa.footprint import Access
    from isa.machine import Machine

INSTRUCTION_BITS = 512
INSTRUCTION_BYTES = INSTRUCTION_BITS // 8
SAMPLE_BITS = 3
SAMPLES = 1 << SAMPLE_BITS  #: that one run can work on, each with its own length


class Opcode(IntEnum):
    """0 is illegal, so that empty memory is not a program."""

    HALT = 1
    LOAD = 2
    GATHER = 3
    QMM = 4
    SOFTMAX = 5
    NORM = 6
    STORE = 7


class Queue(IntEnum):
    """Instructions of one queue start and complete in order; queues run concurrently."""

    DMA = 0
    QMM = 1
    ROW = 2


class Region(IntEnum):
    """External memory regions: an address is the base register of its region plus an offset in bytes."""

    IMAGE = 0  #: program, weights, constants, tables
    INPUT = 1
    OUTPUT = 2


class Memory(IntEnum):
    """On-chip memories that a LOAD can fill."""

    LEFT = 0
    RIGHT = 1
    CONSTANT = 2
    NORM = 3
    RESIDUAL = 4


class Destination(IntEnum):
    """Where a QMM's tiles go."""

    LEFT = 0
    RIGHT = 1
    ROWS = 2  #: row buffer, for the SOFTMAX, NORM or STORE that follows


class Field(NamedTuple):
    """Some bits of an instruction, an unsigned number or two's complement."""

    name: str
    bits: int
    signed: bool
    meaning: str


def u(name: str, bits: int, meaning: str) -> Field:
    """An unsigned field."""
    return Field(name, bits, False, meaning)


def s(name: str, bits: int, meaning: str) -> Field:
    """A signed field."""
    return Field(name, bits, True, meaning)


#: Of a length, and of the number of a token.
TOKEN_BITS = 16
#: Fields of the header that say which of an instruction's sizes count tokens.
FLAGS = ("limit_rows", "limit_columns", "limit_words")

#: First fields of every instruction. It starts when each queue has completed at least so many instructions; of which sample
#: it is, and which of its sizes count that one's tokens, `isa.resolve` asks.
HEADER = (
    u("opcode", 8, "see the list of instructions"),
    u("wait_dma", 16, "start when the DMA queue has completed at least this many instructions"),
    u("wait_qmm", 16, "the same for the QMM queue"),
    u("wait_row", 16, "the same for the ROW queue"),
    u("sample", SAMPLE_BITS, "whose length limits it: register LENGTH of that number"),
    u("limit_rows", 1, "its rows are tokens: those at and beyond the length are left out, all of it if no row is left"),
    u("limit_columns", 1, "the same for its columns, the first of which is token 0"),
    u("limit_words", 1, "the same for its contraction, K tokens a word"),
    u("reserved", 2, "0"),
    u("first_token", TOKEN_BITS, "which token its first row is, if they are limited"),
)
HEADER_BITS = sum(field.bits for field in HEADER)


class Illegal(Exception):
    """A rule that an instruction breaks, as a sentence about it."""


def require(condition: bool, message: str) -> None:
    """Raise `Illegal` with ``message`` unless the condition holds."""
    if not condition:
        raise Illegal(message)


class Limit(NamedTuple):
    """How a size follows from the tokens that there are."""

    flag: str  #: the field of the header that says whether it does
    unit: str  #: the size of `isa.config.AcceleratorConfig` that says how many tokens make 1 of it; "" for 1


@dataclass(frozen=True)
class Instruction:
    """An opcode with a value for each of its fields, which are attributes too; missing fields are 0."""

    opcode: Opcode
    fields: Mapping[str, int]

    def __getattr__(self, name: str) -> int:
        if name.startswith("__") or name not in operation(self.opcode).names:
            raise AttributeError(name)
        return self.fields.get(name, 0)


class Operation:
    """All that is known of one opcode. Those that do nothing on chip inherit the empty answers."""

    #: Where it waits for its turn; None for HALT, which ends the program where it is decoded.
    queue: ClassVar[Queue | None] = None
    #: In timelines.
    colour: ClassVar[str] = "#000000"
    #: Behind the header.
    fields: ClassVar[tuple[Field, ...]] = ()
    #: Of its fields, the sizes that a length limits, see `isa.resolve`.
    limits: ClassVar[Mapping[str, Limit]] = {}
    #: Members of `FLAGS` that it may have, beside those of its ``limits``.
    all_or_nothing: ClassVar[tuple[str, ...]] = ()

    def __init__(self, opcode: Opcode):
        self.opcode = opcode
        #: Header and own fields, in order, least significant first.
        self.layout = (*HEADER, *self.fields)
        self.names = frozenset(field.name for field in self.layout)
        #: Members of `FLAGS` that it may have.
        self.flags = frozenset((*self.all_or_nothing, *(limit.flag for limit in self.limits.values())))
        #: Bits up to the end of the last field: what the unit behind the queue looks at.
        self.bits = sum(field.bits for field in self.layout)
        if self.bits > INSTRUCTION_BITS:
            raise ValueError(f"the fields of {opcode.name} have {self.bits} bits, an instruction {INSTRUCTION_BITS}")

    def check(self, i: Instruction, bounds: "Bounds") -> None:
        """Raise `Illegal` for fields that make no sense or leave a region; addresses on chip are checked by footprint."""

    def footprint(self, i: Instruction, config: "AcceleratorConfig") -> "list[Access]":
        """All that it touches on chip, the row buffer apart."""
        return []

    def execute(self, i: Instruction, machine: "Machine") -> None:
        """Do on ``machine`` what the hardware does. Raises `isa.machine.Fault`."""

    def row_tiles(self, i: Instruction, config: "AcceleratorConfig") -> int:
        """Row tiles that it puts into the row buffer, if it is of queue QMM, or takes from it."""
        return 0


@cache
def operation(opcode: Opcode) -> Operation:
    """The `Operation` of an opcode."""
    return import_module(f"isa.instructions.{opcode.name.lower()}").OPERATION(opcode)


def opcodes_of(queue: Queue) -> list[Opcode]:
    """The opcodes whose instructions wait in ``queue``, in order."""
    return [opcode for opcode in Opcode if operation(opcode).queue is queue]


def queue_of(instruction: Instruction) -> Queue | None:
    """The queue that an instruction waits in; None for HALT."""
    return operation(instruction.opcode).queue


def encode(instruction: Instruction) -> bytes:
    """64 bytes, little-endian. Raises ValueError for an unknown field or a value that does not fit."""
    its = operation(instruction.opcode)
    for name in instruction.fields:
        if name not in its.names or name == "opcode":
            raise ValueError(f"{instruction.opcode.name} has no field {name!r}")
    word = position = 0
    for field in its.layout:
        value = int(instruction.opcode if field.name == "opcode" else instruction.fields.get(field.name, 0))
        low = -(1 << (field.bits - 1)) if field.signed else 0
        high = low + (1 << field.bits) - 1
        if not low <= value <= high:
            raise ValueError(f"{instruction.opcode.name}.{field.name} must be in {low}..{high}, not {value}")
        word |= (value & ((1 << field.bits) - 1)) << position
        position += field.bits
    return word.to_bytes(INSTRUCTION_BYTES, "little")


def decode(data: bytes) -> Instruction:
    """Inverse of `encode`. Raises ValueError for an opcode that is none."""
    word = int.from_bytes(data[:INSTRUCTION_BYTES], "little")
    number = word & 0xFF
    if number not in set(Opcode):
        raise ValueError(f"{number} is no opcode")
    opcode, fields = Opcode(number), {}
    for field in operation(opcode).layout:
        value = word & ((1 << field.bits) - 1)
        word >>= field.bits
        if field.signed and value >> (field.bits - 1):
            value -= 1 << field.bits
        fields[field.name] = value
    del fields["opcode"]
    return Instruction(opcode, fields)
