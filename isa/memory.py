"""Shape of the on-chip memories of a configuration."""

from golden.rescale import OFFSET_BITS, SCALE_BITS
from isa.config import AcceleratorConfig
from isa.instruction import Memory

#: Of a rescale constant on chip: its scale and offset.
CONSTANT_BITS = SCALE_BITS + OFFSET_BITS
#: Of a rescale constant in external memory, and of a channel's four norm constants anywhere.
CONSTANT_IMAGE_BITS = NORM_BITS = 64
#: Of an element of the residual stream, and of every value in the row buffer.
RESIDUAL_BITS = 16
#: Words of a bank of the residual and the norm memory: a column of block memory that needs no multiplexer behind it.
ROW_MEMORY_BANK = 4096


def depth_of(config: AcceleratorConfig, memory: Memory) -> tuple[int, str]:
    """Words in a memory, and the parameter that says so."""
    name = f"{memory.name.lower()}_depth"
    return getattr(config, name), name


def word_bits(config: AcceleratorConfig, memory: Memory) -> int:
    """Bits of a word over all banks, W of a LOAD."""
    return {
        Memory.LEFT: config.rows * config.depth,
        Memory.RIGHT: config.columns * config.depth,
        Memory.CONSTANT: config.columns * CONSTANT_IMAGE_BITS,
        Memory.NORM: config.row_lanes * NORM_BITS,
        Memory.RESIDUAL: config.row_lanes * RESIDUAL_BITS,
    }[memory]


def banks(config: AcceleratorConfig, memory: Memory) -> int:
    """Rows of an operand that share a word address: R or C."""
    return config.rows if memory is Memory.LEFT else config.columns


def word_shape(config: AcceleratorConfig, memory: Memory) -> tuple[int, int]:
    """Banks of a memory, and bytes that a word has in each."""
    count = banks(config, memory) if memory in (Memory.LEFT, Memory.RIGHT) else 1
    return count, word_bits(config, memory) // 8 // count


def units_per_word(config: AcceleratorConfig, memory: Memory) -> int:
    """Parts of a word that are written alone: of an operand memory's K / C, of any other one."""
    return config.depth // config.columns if memory in (Memory.LEFT, Memory.RIGHT) else 1


def row_memory_banks(depth: int) -> list[int]:
    """Words of each bank of a residual or norm memory of ``depth`` words."""
    return [min(ROW_MEMORY_BANK, depth - start) for start in range(0, depth, ROW_MEMORY_BANK)]
