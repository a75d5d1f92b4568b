"""Tables in docs/ and the C header: generated from what they describe; ``python -m isa.documents`` writes them."""

from pathlib import Path

from isa import instruction, registers

FOLDER = Path(__file__).resolve().parent.parent

_INSTRUCTIONS = f"""# Instructions

Generated from `isa/instruction.py` by `python -m isa.documents`.

An instruction has {instruction.INSTRUCTION_BYTES} bytes, little-endian. Bits that no field names are 0. The queues are
{", ".join(f"{queue.name}" for queue in instruction.Queue)}; which instruction goes to which:
{", ".join(f"{opcode.name} to {queue.name}" for opcode, queue in instruction.QUEUE_OF.items())}.

"""

_REGISTERS = """# Registers

Generated from `isa/registers.py` by `python -m isa.documents`.

32 bits each, over AXI4-Lite. Counters are cleared by a start and hold after the end.

"""


def _enumeration(kind):
    rows = "\n".join(f"| {member.value} | {member.name} |" for member in kind)
    return f"\n| value | {kind.__name__} |\n|---|---|\n{rows}\n"


def documents():
    """Text of each generated file, by its path from the root."""
    enumerations = (instruction.Region, instruction.Memory, instruction.Destination)
    return {
        "docs/instructions.md": _INSTRUCTIONS + instruction.to_markdown() + "".join(map(_enumeration, enumerations)),
        "docs/registers.md": _REGISTERS + registers.to_markdown() + _enumeration(registers.Error),
        "boards/c/bittern_registers.h": registers.to_c_header(),
    }


if __name__ == "__main__":
    for name, text in documents().items():
        (FOLDER / name).write_text(text)
