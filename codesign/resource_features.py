"""What the resources of each kind of unit grow with: numbers that follow from the structure of its RTL."""

import numpy as np

from codesign.block_memory import memories


def choice(inputs):
    """LUTs for each bit of a multiplexer, four inputs in one."""
    return 0 if inputs < 2 else max(1, inputs / 4)


class _Sizes:
    """Numbers of a configuration that the features are made of."""

    def __init__(self, c):
        self.units, self.borders = c.rows * c.columns, c.rows + c.columns
        self.words = self.borders * c.depth
        self.G = c.drain_rows
        self.groups = c.rows // c.drain_rows
        self.bus = {side: max(c.drain_rows, c.axi_bits // c.depth) * c.depth for side in ("left", "right")}
        self.K, self.D, self.C, self.R, self.L, self.A = c.depth, c.drain, c.columns, c.rows, c.row_lanes, c.axi_bits
        self.a, self.queue = c.accumulator_bits, c.dma_queue
        self.constants = next((memory.luts for memory in memories(c) if memory.free and not memory.blocks), 0)


#: Features of each kind of unit, beside a constant.
FEATURES = {
    "dpu": lambda s: (s.units * s.K, s.units * s.a, s.units),
    "border": lambda s: (s.borders * s.K, s.borders * s.a, s.borders),
    "bank": lambda s: (s.words,),
    "core.qmm.array": lambda s: (s.words, s.D * s.a, s.D * s.a * choice(s.groups), s.R),
    "core.qmm.drain": lambda s: (s.D * s.a, s.C, s.G, s.G * choice(s.C // s.G), s.D, s.constants),
    "core.qmm.drain.rescale": lambda s: (s.D, s.D * s.a, s.C),
    "core.qmm.left_memory": lambda s: (s.bus["left"], s.R, s.R * s.K / s.C),
    "core.qmm.right_memory": lambda s: (s.bus["right"], s.C, s.K),
    "core.qmm.writer": lambda s: (s.D,),
    "core.dma": lambda s: (s.A, s.queue),
    "core.rows.norm": lambda s: (s.L, s.A),
    "core.rows.softmax": lambda s: (s.L,),
    "core.rows.buffer": lambda s: (s.L, s.L * choice(s.D // s.L)),
    "core.rows.left": lambda s: (s.K, s.L),
    "core.rows.right": lambda s: (s.K, s.L),
    "core.rows": lambda s: (s.L, s.A),
    "core": lambda s: (s.A,),
    "scheduler": lambda s: (s.A, s.queue),
    "reader": lambda s: (s.A,),
    "writer": lambda s: (s.A,),
    "arbiter": lambda s: (s.A,),
}


def features(unit, config):
    """1, then the features of a kind of unit in a configuration: an array of numbers that are not negative."""
    return np.array([1, *FEATURES.get(unit, lambda s: ())(_Sizes(config))], float)
