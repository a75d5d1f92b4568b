"""Shape of the on-chip memories of a configuration, by `isa.instruction.Memory`."""

from isa.instruction import Memory


def depth_of(config, memory):
    """Words in a memory, and the parameter that says so."""
    name = f"{memory.name.lower()}_depth"
    return getattr(config, name), name


def word_bits(config, memory):
    """Bits of a word over all banks, W of a LOAD."""
    return {
        Memory.LEFT: config.rows * config.depth,
        Memory.RIGHT: config.columns * config.depth,
        Memory.CONSTANT: config.columns * 64,
        Memory.NORM: config.row_lanes * 64,
        Memory.RESIDUAL: config.row_lanes * 16,
    }[memory]


def banks(config, memory):
    """Rows of an operand that share a word address: R or C."""
    return config.rows if memory is Memory.LEFT else config.columns
