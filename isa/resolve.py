"""What a length leaves of an instruction: the one place where lengths are known. Units see only what this makes of it.

The hardware does the same between fetch and the queues, in `hw.frontend.resolve`.
"""

from collections.abc import Sequence
from dataclasses import replace

from isa.config import AcceleratorConfig
from isa.instruction import Instruction, Opcode, operation
from isa.layout import ceil_div

#: An offset is 32 bits.
OFFSET_MASK = (1 << 32) - 1


def limit_units(config: AcceleratorConfig) -> dict[str, int]:
    """Tokens that make 1 of a size, by the name that an `isa.instruction.Limit` has for it."""
    names = {limit.unit for opcode in Opcode for limit in operation(opcode).limits.values()}
    return {name: getattr(config, name) if name else 1 for name in sorted(names)}


def resolve(instruction: Instruction, lengths: Sequence[int], config: AcceleratorConfig) -> Instruction:
    """``instruction`` for the tokens that its sample has; ``lengths`` are those of the samples, 0 for what is not there."""
    length = lengths[instruction.sample] if instruction.sample < len(lengths) else 0
    its, units = operation(instruction.opcode), limit_units(config)
    changed: dict[str, int] = {}
    for name, limit in its.limits.items():
        if getattr(instruction, limit.flag):
            changed[name] = min(getattr(instruction, name), ceil_div(length, units[limit.unit]))
    if "index_shift" in its.names and instruction.index_shift:
        changed |= {"offset": instruction.offset + (length << instruction.index_shift) & OFFSET_MASK, "index_shift": 0}
    return replace(instruction, fields={**instruction.fields, **changed}) if changed else instruction
