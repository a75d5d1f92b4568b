"""Latencies of units in cycles, from input to output: what the RTL promises and the cycle model counts with.

A unit takes its attribute ``latency`` from here, and its bench holds the RTL to it.
"""

from isa.popcount import unit_stages

#: An operand memory's address to its words, and a write to where the next read finds it (`hw.engine.operand_memory`).
OPERAND_READ = OPERAND_WRITE = 2
#: `hw.engine.rescale`
RESCALE = 7
#: `hw.lib.stream_queue`, and Amaranth's buffered FIFO: from empty to the output.
STREAM_QUEUE = 2
#: `hw.lib.skid`
SKID = 1
#: `hw.frontend.resolve`: cycles that an instruction stays at its input.
RESOLVE = 4
#: `hw.axi.port_buffer`: from the last part of a beat to the whole of it.
PORT_BUFFER = 1
#: Stages of `hw.vector.norm_statistics` before and behind its reciprocal square root.
NORM_SUMS, NORM_GAIN = 5, 7
#: Of the argument of a norm's reciprocal square root.
NORM_SPREAD_BITS = 56


def tree(count: int) -> int:
    """A tree of adders or maxima over ``count`` terms, a register after each level."""
    return (count - 1).bit_length()


def dot_product(depth: int) -> int:
    """From words of ``depth`` bits to the updated accumulator (`hw.engine.dpu`): front, counters, total, accumulator."""
    return 1 + unit_stages(depth) + 2


def array(depth: int) -> int:
    """From a tile's last words to its first group (`hw.engine.array`): fan-out, unit, drain register, choice of a group."""
    return 1 + dot_product(depth) + 1 + 1


def normalisation(width: int) -> int:
    """Steps that shift the top bit of an argument of ``width`` bits to its place."""
    return (width - 1).bit_length()


def reciprocal(width: int) -> int:
    """`hw.vector.reciprocal.Reciprocal` of an argument of ``width`` bits."""
    return normalisation(width) + 5


def reciprocal_sqrt(width: int) -> int:
    """`hw.vector.reciprocal.ReciprocalSqrt`, whose normalisation keeps the exponent even: a step less."""
    return normalisation(width) - 1 + 5


def norm_statistics() -> int:
    """`hw.vector.norm_statistics`: sums, reciprocal square root, gain."""
    return NORM_SUMS + reciprocal_sqrt(NORM_SPREAD_BITS) + NORM_GAIN
