"""What an instruction must stay within: the configuration's memories, the program's regions. And the rules that several
instructions share."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from golden.codes import Kind, check_kind
from isa.config import AcceleratorConfig
from isa.instruction import FLAGS, Illegal, Instruction, Region, encode, operation, require
from isa.memory import depth_of, units_per_word


@dataclass(frozen=True)
class Bounds:
    """Of a program: its configuration, the bytes of each external region, and the most tokens of an input."""

    config: AcceleratorConfig
    region_bytes: Mapping[Region, int]
    tokens: int

    @property
    def beat(self) -> int:
        """Bytes of an AXI beat."""
        return self.config.axi_bits // 8


def check_instruction(instruction: Instruction, bounds: Bounds) -> None:
    """Raise `Illegal` for an instruction that the hardware would refuse or that leaves a memory or region."""
    try:
        encode(instruction)
    except ValueError as error:
        raise Illegal(f"does not encode: {error}") from None
    its = operation(instruction.opcode)
    for flag in FLAGS:
        require(not getattr(instruction, flag) or flag in its.flags, f"has {flag}, which {its.opcode.name} does not know")
    require(
        instruction.limit_rows > 0 or instruction.first_token == 0,
        f"has first_token {instruction.first_token}, but its rows are not limited",
    )
    its.check(instruction, bounds)
    for access in its.footprint(instruction, bounds.config):
        depth, name = depth_of(bounds.config, access.memory)
        word = int(access.units.max(initial=0)) // units_per_word(bounds.config, access.memory)
        verb = "writes" if access.write else "reads"
        require(word < depth, f"{verb} word {word} of the {access.memory.name} memory, which has {depth} ({name})")


def check_external(bounds: Bounds, region: int, offset: int, size: int, what: str = "") -> None:
    """``size`` bytes from an offset in a region on lie inside it; ``what`` is "" or names whose they are."""
    require(region in set(Region), f"names {what}region {region}, but there are only {_numbers(Region)}")
    require(
        offset % bounds.beat == 0, f"has {what}offset {offset}, not a multiple of the AXI width, {bounds.beat} bytes"
    )
    end, have = offset + size, bounds.region_bytes[Region(region)]
    require(end <= have, f"reaches byte {end - 1} of region {Region(region).name}, of {have} bytes")


def check_bits(kind: Kind, bits: int, what: str) -> None:
    """A code of ``kind`` may have so many bits."""
    try:
        check_kind(kind, bits)
    except ValueError as error:
        raise Illegal(f"has {what} operand: {error}") from None


def check_positive(i: Instruction, *names: str) -> None:
    """None of these fields is 0."""
    for name in names:
        require(getattr(i, name) > 0, f"has {name} 0")


def check_member(number: int, enumeration: type[IntEnum], what: str) -> None:
    """A number is one of an enumeration's."""
    require(number in set(enumeration), f"has {what} {number}, but there are only {_numbers(enumeration)}")


def _numbers(enumeration):
    return ", ".join(f"{member.value} ({member.name})" for member in enumeration)
