"""Instruction set: every field of every instruction, defined once for compiler, checker, hardware and documentation."""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

INSTRUCTION_BITS = 512
INSTRUCTION_BYTES = INSTRUCTION_BITS // 8


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


QUEUE_OF = {
    Opcode.LOAD: Queue.DMA,
    Opcode.GATHER: Queue.DMA,
    Opcode.QMM: Queue.QMM,
    Opcode.SOFTMAX: Queue.ROW,
    Opcode.NORM: Queue.ROW,
    Opcode.STORE: Queue.ROW,
}


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
    name: str
    bits: int
    signed: bool
    meaning: str


def _u(name, bits, meaning):
    return Field(name, bits, False, meaning)


def _s(name, bits, meaning):
    return Field(name, bits, True, meaning)


#: First fields of every instruction. It starts when each queue has completed at least so many instructions.
HEADER = (
    _u("opcode", 8, "see the list of instructions"),
    _u("wait_dma", 16, "start when the DMA queue has completed at least this many instructions"),
    _u("wait_qmm", 16, "the same for the QMM queue"),
    _u("wait_row", 16, "the same for the ROW queue"),
    _u("reserved", 8, "0"),
)

_EXTERNAL = (
    _u("region", 2, "external region, see Region"),
    _u("offset", 32, "byte offset in the region, a multiple of the AXI width"),
)


def _operand(side, tiles):
    return (
        _u(f"{side}_base", 16, f"word address of the {side} operand"),
        _u(f"{side}_plane", 16, "words from one bit plane to the next"),
        _u(f"{side}_tile", 16, f"words from one tile of {tiles} to the next"),
        _u(f"{side}_bits", 4, "bit planes, 1..8"),
        _u(f"{side}_kind", 2, "see golden.codes.Kind"),
    )


def _codes(side):
    return (
        _u(f"{side}_enable", 1, f"write the codes to the {side} memory"),
        _u(f"{side}_base", 16, "word address of the result"),
        _u(f"{side}_plane", 16, "words from one bit plane to the next"),
        _u(f"{side}_tile", 16, "words from one tile of rows (R left, C right) to the next"),
    )


_ROWS = (
    _u("rows", 16, "rows taken from the row buffer; tiles of R rows, the rest of the last tile is dropped"),
    _u("groups", 12, "groups of row_lanes columns read of each row, padding included"),
    _u("columns", 16, "columns that are real; the others take no part and their codes are 0"),
)

_FIRST_ROW = _u("first_row", 16, "the first row taken is this row of the result's codes, the others follow it")

FIELDS = {
    Opcode.HALT: (),
    Opcode.LOAD: (
        *_EXTERNAL,
        _u("index_shift", 5, "not 0: the offset is increased by LENGTH << index_shift"),
        _u("memory", 3, "destination, see Memory"),
        _u("address", 16, "first word address"),
        _u("beats", 24, "AXI beats; beat i is chunk i % (W/A) of word i // (W/A), W the memory's width"),
    ),
    Opcode.GATHER: (
        *_EXTERNAL,
        _u("index_region", 2, "region of the indices"),
        _u("index_offset", 32, "byte offset of the indices, 32 bit each, a multiple of the AXI width"),
        _u("count", 16, "rows gathered"),
        _u("limit", 32, "an index at or beyond it is an error"),
        _u("row_beats", 8, "AXI beats of a table row, a row being row_beats * (A/8) bytes apart"),
        _u("words", 12, "K-bit words of a row written; row i goes to bank i % R"),
        _u("address", 16, "word address in the left memory"),
        _u("tile", 16, "words from one tile of R rows to the next"),
    ),
    Opcode.QMM: (
        *_operand("left", "R rows"),
        *_operand("right", "C columns"),
        _u("words", 12, "K-bit words of the contraction"),
        _u("row_tiles", 12, "tiles of R rows, outer loop"),
        _u("column_tiles", 12, "tiles of C columns, inner loop"),
        _u("destination", 2, "see Destination"),
        _u("destination_base", 16, "word address of the result (codes)"),
        _u("destination_plane", 16, "words from one bit plane to the next"),
        _u("destination_tile", 16, "words from one tile of rows (R left, C right) to the next"),
        _u("destination_column", 16, "first column in the result's rows, a multiple of C"),
        _u("destination_bits", 4, "bit planes of the codes, 1..8"),
        _u("columns", 16, "columns at and beyond it get code 0"),
        _u("mask", 1, "columns at and beyond LENGTH get code 0 too"),
        _u("constant_base", 16, "word address of the rescale constants of column (row) 0"),
        _u("constant_by_row", 1, "constants are indexed by output row, not column"),
        _u("shift", 5, "rescale shift"),
        _s("low", 17, "lower clip bound"),
        _s("high", 17, "upper clip bound"),
    ),
    Opcode.SOFTMAX: (
        *_ROWS,
        _FIRST_ROW,
        *_codes("left"),
        _u("bits", 4, "bits of the codes, 1..8"),
        _u("mask", 1, "columns at and beyond LENGTH are masked"),
        _u("step", 16, "mantissa of the reciprocal quantizer step, 2^15 .. 2^16 - 1"),
        _u("step_shift", 5, "its exponent"),
    ),
    Opcode.NORM: (
        *_ROWS,
        _FIRST_ROW,
        *_codes("left"),
        *_codes("right"),
        _u("bits", 4, "bits of the codes, 1..8"),
        _u("residual_base", 16, "word address of the first row taken in the residual memory; rows are groups words apart"),
        _u("constant_base", 16, "word address of group 0 in the norm memory"),
        _u("rms", 1, "RMSNorm: no mean"),
        _u("keep_sum", 1, "the residual becomes the sum (pre-LN), not the normalised value"),
        _u("width_reciprocal", 32, "round(2^32 / columns)"),
        _u("epsilon", 32, "added to columns^2 * variance, at least 1"),
        _u("residual_shift", 5, "shift of the affine to the residual"),
        _u("code_shift", 5, "shift of the affine to codes"),
        _s("low", 9, "lower clip bound of the codes"),
        _s("high", 9, "upper clip bound of the codes"),
    ),
    Opcode.STORE: (*_ROWS, *_EXTERNAL),
}


@dataclass(frozen=True)
class Instruction:
    """An opcode with a value for each of its fields; missing fields are 0."""

    opcode: Opcode
    fields: dict[str, int]

    def __getattr__(self, name):
        if name.startswith("__") or name not in {f.name for f in layout(self.opcode)}:
            raise AttributeError(name)
        return self.fields.get(name, 0)


def layout(opcode):
    """All fields of an instruction, in order, least significant first."""
    return (*HEADER, *FIELDS[opcode])


def encode(instruction):
    """64 bytes, little-endian. Raises ValueError for an unknown field or a value that does not fit."""
    known = {f.name for f in layout(instruction.opcode)}
    for name in instruction.fields:
        if name not in known or name == "opcode":
            raise ValueError(f"{instruction.opcode.name} has no field {name!r}")
    word = position = 0
    for field in layout(instruction.opcode):
        value = int(instruction.opcode if field.name == "opcode" else instruction.fields.get(field.name, 0))
        low = -(1 << (field.bits - 1)) if field.signed else 0
        high = low + (1 << field.bits) - 1
        if not low <= value <= high:
            raise ValueError(f"{instruction.opcode.name}.{field.name} must be in {low}..{high}, not {value}")
        word |= (value & ((1 << field.bits) - 1)) << position
        position += field.bits
    return word.to_bytes(INSTRUCTION_BYTES, "little")


def decode(data):
    """Inverse of `encode`. Raises ValueError for an opcode that is none."""
    word = int.from_bytes(data[:INSTRUCTION_BYTES], "little")
    number = word & 0xFF
    if number not in set(Opcode):
        raise ValueError(f"{number} is no opcode")
    opcode, fields = Opcode(number), {}
    for field in layout(opcode):
        value = word & ((1 << field.bits) - 1)
        word >>= field.bits
        if field.signed and value >> (field.bits - 1):
            value -= 1 << field.bits
        fields[field.name] = value
    del fields["opcode"]
    return Instruction(opcode, fields)


def to_markdown():
    """The documentation table."""
    lines = ["| instruction | bits | field | meaning |", "|---|---|---|---|"]
    for title, fields, start in [("every one", HEADER, 0)] + [
        (f"{op.name} ({op.value})", FIELDS[op], sum(f.bits for f in HEADER)) for op in Opcode
    ]:
        if not fields:
            lines.append(f"| {title} | | | |")
        for field in fields:
            lines.append(f"| {title} | {start + field.bits - 1}:{start} | `{field.name}` | {field.meaning} |")
            title, start = "", start + field.bits
    return "\n".join(lines) + "\n"


for _opcode in Opcode:
    assert sum(f.bits for f in layout(_opcode)) <= INSTRUCTION_BITS, _opcode
