"""What the resources of each kind of unit grow with: numbers that follow from the structure of its RTL."""

import numpy as np
from numpy.typing import NDArray

from codesign.resources.block_memory import memories
from isa.config import AcceleratorConfig
from isa.memory import row_memory_banks
from isa.sizes import groups_of_a_tile

#: Wider accumulators take seven multipliers a lane of the rescaler instead of four.
_NARROW_BITS = 25


def choice(inputs: int) -> int:
    """LUTs of a multiplexer for each bit: a tree of LUTs with four inputs and two selects."""
    if inputs < 2:
        return 0
    groups = -(-inputs // 4)
    return groups + choice(groups)


class _Sizes:
    """Numbers of a configuration that the features are made of."""

    def __init__(self, c):
        self.K, self.D, self.C, self.R, self.L, self.A = c.depth, c.drain, c.columns, c.rows, c.row_lanes, c.axi_bits
        self.units, self.borders = c.rows * c.columns, c.rows + c.columns
        self.words = self.borders * c.depth
        self.G = c.drain_rows
        self.groups = groups_of_a_tile(c)
        self.bus = max(c.drain_rows, c.axi_bits // c.depth) * c.depth
        self.a, self.queue = c.accumulator_bits, c.dma_queue
        #: Bits of counts that leave the array in a cycle.
        self.counts = (self.D + self.G) * self.a
        self.wide = self.D * (c.accumulator_bits > _NARROW_BITS)
        self.constants = next((memory.luts for memory in memories(c) if memory.free and not memory.blocks), 0)
        #: Bits that the banks of the residual memory give, each to a register, and the multiplexer behind those.
        banks = len(row_memory_banks(c.residual_depth))
        self.residuals, self.chosen_residuals = 16 * self.L * banks, 16 * self.L * choice(banks)


#: Features of each kind of unit, beside a constant.
FEATURES = {
    "dpu": lambda s: (s.units * s.K, s.units * s.a, s.units),
    "border": lambda s: (s.borders * s.K, s.borders * s.a, s.borders),
    "bank": lambda s: (s.words,),
    "core.qmm.array": lambda s: (s.words, s.counts, s.counts * choice(s.groups), s.C * s.a),
    "core.qmm.drain": lambda s: (s.D * s.a, s.D, s.C, s.G, s.G * choice(s.C // s.G), s.constants),
    "core.qmm.drain.rescale": lambda s: (s.D, s.wide, s.C + s.G),
    "core.qmm.left_memory": lambda s: (s.bus, s.R),
    "core.qmm.right_memory": lambda s: (s.bus, s.C),
    "core.qmm.writer": lambda s: (s.D,),
    "core.dma": lambda s: (s.A, s.queue),
    "core.rows.norm": lambda s: (s.L, s.residuals, s.chosen_residuals, s.A),
    "core.rows.softmax": lambda s: (s.L,),
    # Of its memories an element chooses one for each column tile, a write of several column tiles among the rows of a group.
    "core.rows.buffer": lambda s: (s.L, 16 * s.L * choice(s.D // min(s.L, s.C)) + 16 * s.D * choice(min(s.L // s.C, s.G))),
    "core.rows.left": lambda s: (s.K, s.L),
    "core.rows.right": lambda s: (s.K, s.L),
    "core.rows": lambda s: (s.L, s.A * choice(16 * s.L // s.A)),
    "core": lambda s: (s.A,),
    "scheduler": lambda s: (s.A, s.queue),
    "reader": lambda s: (s.A,),
    "writer": lambda s: (s.A,),
    "arbiter": lambda s: (s.A,),
}


def features(unit: str, config: AcceleratorConfig) -> NDArray[np.float64]:
    """1, then the features of a kind of unit in a configuration: an array of numbers that are not negative."""
    return np.array([1, *FEATURES.get(unit, lambda s: ())(_Sizes(config))], float)
