"""Rules that one instruction keeps by itself: fields that make sense, addresses inside memories and regions."""

from golden.codes import Kind, check_kind
from isa.instruction import Destination, Memory, Opcode, Region
from isa.instruction import encode as encode_instruction
from isa.layout import ceil_div
from isa.memories import depth_of, word_bits
from program.verify.footprint import footprint, units_per_word


class Broken(Exception):
    """A rule that an instruction breaks, as a sentence about it."""


def require(condition, message):
    if not condition:
        raise Broken(message)


def check_instruction(instruction, program):
    """Raise `Broken` for an instruction that the hardware would refuse or that leaves a memory or region."""
    try:
        encode_instruction(instruction)
    except ValueError as error:
        raise Broken(f"does not encode: {error}") from None
    functions = {
        Opcode.LOAD: _load, Opcode.GATHER: _gather, Opcode.QMM: _qmm, Opcode.SOFTMAX: _softmax, Opcode.NORM: _norm,
        Opcode.STORE: _store,
    }  # fmt: skip
    if instruction.opcode in functions:
        functions[instruction.opcode](instruction, program)
    for access in footprint(instruction, program.config):
        depth, name = depth_of(program.config, access.memory)
        word = int(access.units.max(initial=0)) // units_per_word(program.config, access.memory)
        verb = "writes" if access.write else "reads"
        require(word < depth, f"{verb} word {word} of the {access.memory.name} memory, which has {depth} ({name})")


def _external(i, program, size, region=None, offset=None, prefix=""):
    """``size`` bytes from a region's offset on lie inside it."""
    region = i.region if region is None else region
    offset = i.offset if offset is None else offset
    beat = program.config.axi_bits // 8
    require(region in set(Region), f"has {prefix}region {region}, which is none")
    require(offset % beat == 0, f"has {prefix}offset {offset}, which is no multiple of the AXI width, {beat} bytes")
    sizes = {
        Region.IMAGE: len(program.image), Region.INPUT: program.input.bytes, Region.OUTPUT: program.output.bytes,
    }  # fmt: skip
    end = offset + size
    require(end <= sizes[region], f"reaches byte {end - 1} of region {Region(region).name}, of {sizes[region]} bytes")


def _load(i, program):
    config = program.config
    require(i.memory in set(Memory), f"has memory {i.memory}, which is none")
    require(i.beats > 0, "has no beats")
    chunks = word_bits(config, Memory(i.memory)) // config.axi_bits
    require(i.beats % chunks == 0, f"has {i.beats} beats, which is no multiple of the {chunks} of a word")
    require(i.region != Region.OUTPUT, "reads region OUTPUT")
    if i.index_shift:
        stride = 1 << i.index_shift
        require(stride % (config.axi_bits // 8) == 0, f"has index_shift {i.index_shift}: entries are not whole beats")
    size = i.beats * config.axi_bits // 8
    _external(i, program, size + (program.input.tokens << i.index_shift if i.index_shift else 0))


def _gather(i, program):
    config = program.config
    for name in ("count", "limit", "row_beats", "words"):
        require(getattr(i, name) > 0, f"has {name} 0")
    require(i.words * config.depth <= i.row_beats * config.axi_bits, f"has {i.words} words in {i.row_beats} beats")
    require(i.region != Region.OUTPUT, "reads region OUTPUT")
    require(i.index_region == Region.INPUT, f"takes indices from region {i.index_region}, not INPUT")
    _external(i, program, i.limit * i.row_beats * config.axi_bits // 8)
    beat = config.axi_bits // 8
    _external(i, program, ceil_div(4 * i.count, beat) * beat, i.index_region, i.index_offset, "index ")


def _qmm(i, program):
    config = program.config
    for name in ("words", "row_tiles", "column_tiles"):
        require(getattr(i, name) > 0, f"has {name} 0")
    for side in ("left", "right"):
        kind, bits = getattr(i, f"{side}_kind"), getattr(i, f"{side}_bits")
        require(kind in set(Kind), f"has {side}_kind {kind}, which is none")
        _check_bits(Kind(kind), bits, side)
    require(i.destination in set(Destination), f"has destination {i.destination}, which is none")
    require(i.low <= i.high, f"clips to {i.low}..{i.high}")
    columns = i.column_tiles * config.columns
    require(0 < i.columns <= columns, f"has {i.columns} columns in {i.column_tiles} tiles of {config.columns}")
    if i.destination == Destination.ROWS:
        require(columns <= config.row_columns, f"gives rows of {columns} columns, row_columns is {config.row_columns}")
        require(i.low >= -(1 << 15) and i.high < 1 << 15, f"clips to {i.low}..{i.high}, which is not 16 bit")
    else:
        _check_bits(Kind.UNSIGNED, i.destination_bits, "destination")
        require(
            i.destination_column % config.columns == 0,
            f"has destination_column {i.destination_column}, which is no multiple of {config.columns}",
        )


def _check_bits(kind, bits, what):
    try:
        check_kind(kind, bits)
    except ValueError as error:
        raise Broken(f"has {what} operand: {error}") from None


def _rows(i, config):
    for name in ("rows", "groups", "columns"):
        require(getattr(i, name) > 0, f"has {name} 0")
    columns = i.groups * config.row_lanes
    require(columns <= config.row_columns, f"takes rows of {columns} columns, row_columns is {config.row_columns}")
    require(i.columns <= columns, f"has {i.columns} columns in {i.groups} groups of {config.row_lanes}")


def _codes(i, config):
    _rows(i, config)
    require(i.first_row + i.rows <= 1 << 16, f"writes row {i.first_row + i.rows - 1}, which is not 16 bit")


def _softmax(i, program):
    _codes(i, program.config)
    _check_bits(Kind.UNSIGNED, i.bits, "result")
    require(i.step >= 1 << 15, f"has step {i.step}, which is below 2^15")


def _norm(i, program):
    _codes(i, program.config)
    _check_bits(Kind.UNSIGNED, i.bits, "result")
    require(i.epsilon > 0, "has epsilon 0")
    require(i.low <= i.high, f"clips to {i.low}..{i.high}")
    rounded = ((1 << 32) + i.columns // 2) // i.columns
    require(i.width_reciprocal == rounded, f"has width_reciprocal {i.width_reciprocal}, not {rounded}")


def _store(i, program):
    _rows(i, program.config)
    require(i.region == Region.OUTPUT, f"writes region {i.region}, not OUTPUT")
    _external(i, program, i.rows * i.groups * program.config.row_lanes * 2)
