"""Tables in docs/ and the C header: generated from what they describe; `bittern documents` writes them."""

from enum import IntEnum
from pathlib import Path

from isa import registers
from isa.errors import Error
from isa.instruction import HEADER, HEADER_BITS, INSTRUCTION_BYTES, Destination, Memory, Opcode, Queue, Region, operation

FOLDER = Path(__file__).resolve().parent.parent

_QUEUED = ", ".join(f"{opcode.name} to {its.name}" for opcode in Opcode if (its := operation(opcode).queue) is not None)

_INSTRUCTIONS = f"""# Instructions

Generated from `isa/instruction.py` and `isa/instructions/` by `bittern documents`.

An instruction has {INSTRUCTION_BYTES} bytes, little-endian. Bits that no field names are 0. The queues are
{", ".join(f"{queue.name}" for queue in Queue)}; which instruction goes to which:
{_QUEUED}.

"""

_REGISTERS = """# Registers

Generated from `isa/registers.py` by `bittern documents`.

32 bits each, over AXI4-Lite. Counters are cleared by a start and hold after the end.

"""


def _instruction_table() -> str:
    lines = ["| instruction | bits | field | meaning |", "|---|---|---|---|"]
    for title, fields, start in [("every one", HEADER, 0)] + [
        (f"{opcode.name} ({opcode.value})", operation(opcode).fields, HEADER_BITS) for opcode in Opcode
    ]:
        if not fields:
            lines.append(f"| {title} | | | |")
        for field in fields:
            lines.append(f"| {title} | {start + field.bits - 1}:{start} | `{field.name}` | {field.meaning} |")
            title, start = "", start + field.bits
    return "\n".join(lines) + "\n"


def _enumeration(kind: type[IntEnum]) -> str:
    rows = "\n".join(f"| {member.value} | {member.name} |" for member in kind)
    return f"\n| value | {kind.__name__} |\n|---|---|\n{rows}\n"


def documents() -> dict[str, str]:
    """Text of each generated file, by its path from the root."""
    enumerations = (Region, Memory, Destination)
    return {
        "docs/instructions.md": _INSTRUCTIONS + _instruction_table() + "".join(map(_enumeration, enumerations)),
        "docs/registers.md": _REGISTERS + registers.to_markdown() + _enumeration(Error),
        "boards/c/bittern_registers.h": registers.to_c_header(),
    }


def write() -> list[Path]:
    """Write every generated file; returns their paths."""
    paths = {FOLDER / name: text for name, text in documents().items()}
    for path, text in paths.items():
        path.write_text(text)
    return list(paths)
