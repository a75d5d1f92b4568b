"""What a length leaves of an instruction: the one place where lengths are known. Units see only what this makes of it.

The hardware does the same between fetch and the queues, in `hw.frontend.resolve`. What nothing is left of no unit sees:
its queue completes it when its turn has come.
"""

from collections.abc import Sequence
from dataclasses import replace

from isa.config import AcceleratorConfig
from isa.instruction import FLAGS, Instruction, Opcode, operation
from isa.layout import ceil_div

#: An offset is 32 bits.
OFFSET_MASK = (1 << 32) - 1


def limit_units(config: AcceleratorConfig) -> dict[str, int]:
    """Tokens that make 1 of a size, by the name that an `isa.instruction.Limit` has for it."""
    names = {limit.unit for opcode in Opcode for limit in operation(opcode).limits.values()}
    return {name: getattr(config, name) if name else 1 for name in sorted(names)}


def resolve(instruction: Instruction, lengths: Sequence[int], config: AcceleratorConfig) -> Instruction | None:
    """What is left of ``instruction`` for the tokens that its sample has, or None for nothing.

    ``lengths`` are those of the samples; those behind the last are 0. A size is the number of tokens that are left,
    counted in its unit, or what it was if that is less. Whatever has a flag is nothing where its sample has no token.
    """
    length = lengths[instruction.sample] if instruction.sample < len(lengths) else 0
    left = {flag: length for flag in FLAGS if getattr(instruction, flag)}
    if instruction.limit_rows:
        left["limit_rows"] = max(0, length - instruction.first_token)
    if not all(left.values()):
        return None
    its, units = operation(instruction.opcode), limit_units(config)
    changed = {
        name: min(getattr(instruction, name), ceil_div(left[limit.flag], units[limit.unit]))
        for name, limit in its.limits.items()
        if limit.flag in left
    }
    if "index_shift" in its.names and instruction.index_shift:
        changed |= {"offset": instruction.offset + (length << instruction.index_shift) & OFFSET_MASK, "index_shift": 0}
    return replace(instruction, fields={**instruction.fields, **changed}) if changed else instruction
