"""Block memories of a configuration: which ones it has, and how many RAMB36 each takes."""

from dataclasses import dataclass

from golden.rescale import OFFSET_BITS, SCALE_BITS

#: Widths that a block memory of 32 K data bits can have; half a block has the same, up to 32, at half the depth. A part of a
#: word that is written alone takes whole bytes of 9 bits.
_WIDTHS = (1, 2, 4, 9, 18, 36, 72)
_BITS = 1 << 15
BANK = 4096  #: words of a bank of the residual memory (`hw.vector.row_memory`)
IMAGE_BITS = 64  #: of a constant in external memory (`hw.engine.drain`)
#: As Yosys weighs them: of a RAMB36, and of 64 words of 7 bits in LUTs.
_BLOCK_COST, _LUT_COST = 257, 16


@dataclass(frozen=True)
class BlockMemory:
    """``count`` memories of ``depth`` words of ``width`` bits, of which parts of ``part`` bits are written alone. ``free``:
    synthesis may take LUTs instead, and does where that is cheaper."""

    count: int
    depth: int
    width: int
    part: int
    free: bool = False

    @property
    def blocks(self):
        """RAMB36 of one, a RAMB18 counting half: the fewest of any way to cut it."""
        blocks = min(self._blocks(width, share) for width in _WIDTHS for share in (1, 2) if share == 1 or width <= 36)
        return 0 if self.free and _LUT_COST * self.luts // 8 < _BLOCK_COST * blocks else blocks

    @property
    def luts(self):
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


def residual_banks(config):
    """Words of each bank of the residual memory (`hw.vector.row_memory`)."""
    return [min(BANK, config.residual_depth - start) for start in range(0, config.residual_depth, BANK)]


def memories(config):
    """The `BlockMemory` of a configuration."""
    c = config
    slots = 2 * c.row_columns // c.columns
    row_groups = -(-c.row_columns // c.row_lanes)
    ring = max(512, 4 << (row_groups - 1).bit_length())
    # A beat holds whole constants, kept without their unused bits, or half of one.
    beat = c.axi_bits // IMAGE_BITS * (SCALE_BITS + OFFSET_BITS)
    constants = (c.columns * (SCALE_BITS + OFFSET_BITS), beat) if beat else (c.columns * IMAGE_BITS, c.axi_bits)
    return [
        BlockMemory(c.rows, c.left_depth, c.depth, c.columns, free=True),
        BlockMemory(c.columns, c.right_depth, c.depth, c.columns, free=True),
        BlockMemory(c.drain_rows, c.rows // c.drain_rows * slots, c.columns * 16, c.columns * 16),
        BlockMemory(1, c.constant_depth, *constants, free=True),
        BlockMemory(1, c.norm_depth, c.row_lanes * 64, c.axi_bits),
        *(BlockMemory(1, depth, c.row_lanes * 16, c.axi_bits) for depth in residual_banks(c)),
        BlockMemory(3, ring, c.row_lanes * 16, c.row_lanes * 16),
    ]


def block_memory(config):
    """RAMB36 of a configuration, in all."""
    return sum(memory.count * memory.blocks for memory in memories(config))
