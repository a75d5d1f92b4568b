"""Block memories of a configuration: which ones it has, and how many RAMB36 or UltraRAM each takes."""

from dataclasses import dataclass

from isa.config import AcceleratorConfig, Uram
from isa.instruction import Memory
from isa.memory import CONSTANT_BITS, CONSTANT_IMAGE_BITS, RESIDUAL_BITS, row_memory_banks, word_bits
from isa.sizes import groups_of_a_tile, ring_words, row_group_bits, row_slots

#: Widths that a block memory of 32 K data bits can have; half a block has the same, up to 32, at half the depth. A part of a
#: word that is written alone takes whole bytes of 9 bits.
_WIDTHS = (1, 2, 4, 9, 18, 36, 72)
_BITS = 1 << 15
#: Of an UltraRAM: words, and bits of a word.
_ULTRA_WORDS, _ULTRA_BITS = 4096, 72
#: As Yosys weighs them: of a RAMB36, and of 64 words of 7 bits in LUTs.
_BLOCK_COST, _LUT_COST = 257, 16


@dataclass(frozen=True)
class BlockMemory:
    """``count`` memories of ``depth`` words of ``width`` bits, of which parts of ``part`` bits are written alone. ``free``:
    synthesis may take LUTs instead, and does where that is cheaper. ``ultra``: of UltraRAM."""

    count: int
    depth: int
    width: int
    part: int
    free: bool = False
    ultra: bool = False

    @property
    def blocks(self) -> float:
        """RAMB36 of one, a RAMB18 counting half: the fewest of any way to cut it."""
        if self.ultra:
            return 0
        blocks = min(self._blocks(width, share) for width in _WIDTHS for share in (1, 2) if share == 1 or width <= 36)
        return 0 if self.free and _LUT_COST * self.luts // 8 < _BLOCK_COST * blocks else blocks

    @property
    def ultras(self) -> int:
        """UltraRAMs of one."""
        if not self.ultra:
            return 0
        parts = self.width // self.part
        # Nine bytes of 8 bits, or eight of 9.
        wide = min(-(-parts * -(-self.part // bits) // (_ULTRA_BITS // bits)) for bits in (8, 9))
        return -(-self.depth // _ULTRA_WORDS) * wide

    @property
    def luts(self) -> int:
        """LUTs of one, were it made of those: 64 words of 7 bits in 8."""
        return 8 * (self.width // self.part) * -(-self.part // 7) * -(-self.depth // 64)

    def _blocks(self, width, share):
        deep = -(-self.depth * share * (width if width < 9 else width // 9 * 8) // _BITS)
        parts = self.width // self.part
        if width < 9:
            wide = parts * -(-self.part // width)
        elif parts == 1:
            wide = -(-self.width // width)
        else:
            wide = -(-parts * -(-self.part // 9) // (width // 9))
        return deep * wide / share


def memories(config: AcceleratorConfig) -> list[BlockMemory]:
    """The `BlockMemory` of a configuration."""
    c = config
    columns = max(c.columns, c.row_lanes)
    buffers = max(c.drain_rows, columns // c.columns)
    buffer = groups_of_a_tile(c) * row_slots(c.row_columns, c.columns, c.row_lanes) * columns // c.columns
    ring = ring_words(row_group_bits(c.row_columns, c.row_lanes))
    # A beat holds whole constants, kept without their unused bits, or half of one.
    beat = c.axi_bits // CONSTANT_IMAGE_BITS * CONSTANT_BITS
    constant_word = c.columns * CONSTANT_BITS if beat else word_bits(c, Memory.CONSTANT)
    constant_part = beat or c.axi_bits
    element, column_tile = c.row_lanes * RESIDUAL_BITS, c.columns * RESIDUAL_BITS
    return [
        BlockMemory(c.rows, c.left_depth, c.depth, c.columns, free=True, ultra=c.is_uram(Uram.LEFT)),
        BlockMemory(c.columns, c.right_depth, c.depth, c.columns, free=True, ultra=c.is_uram(Uram.RIGHT)),
        BlockMemory(buffers, buffer * c.drain_rows // buffers, column_tile, column_tile, ultra=c.is_uram(Uram.ROW_BUFFER)),
        BlockMemory(1, c.constant_depth, constant_word, constant_part, free=True),
        BlockMemory(1, c.norm_depth, word_bits(c, Memory.NORM), c.axi_bits),
        *(
            BlockMemory(1, depth, element, c.axi_bits, ultra=c.is_uram(Uram.RESIDUAL))
            for depth in row_memory_banks(c.residual_depth)
        ),
        BlockMemory(3, ring, element, element),
    ]


def block_memory(config: AcceleratorConfig) -> float:
    """RAMB36 of a configuration, in all."""
    return sum(memory.count * memory.blocks for memory in memories(config))


def ultra_memory(config: AcceleratorConfig) -> int:
    """UltraRAMs of a configuration, in all."""
    return sum(memory.count * memory.ultras for memory in memories(config))
