"""True work of an encoder, and the least time that a program can take on each unit."""

from collections.abc import Sequence
from math import ceil

from codesign.cycles.channel import FULL, MOST_CREDIT
from golden.model import EncoderConfig, Input
from isa.instruction import Destination, Opcode
from isa.memory import RESIDUAL_BITS
from isa.memory_timing import TICKS, MemoryTiming
from isa.sizes import BURST_BEATS
from program.program import Program, sample_name
from sim.simulation import Event
from sim.timeline import spans


def operations(config: EncoderConfig) -> dict[str, int]:
    """Operations of one inference by part: one multiply-accumulate is two, whatever its width; nothing for padding.

    Parameters
    ----------
    config : golden.model.EncoderConfig

    Returns
    -------
    dict of str to int
        ``linears``, ``scores`` and ``context`` are the encoder's; ``embedding`` and ``head`` come before and after it.
    """
    c = config
    inner = c.heads * c.head_width
    linears = c.layers * c.tokens * (4 * c.width * inner + 2 * c.width * c.feed_forward)
    scores = c.layers * c.heads * c.tokens * c.tokens * c.head_width
    embedding = c.tokens * c.input_size * c.width if c.input is Input.PATCHES else 0
    head = c.width * c.classes
    macs = {"linears": linears, "scores": scores, "context": scores, "embedding": embedding, "head": head}
    return {part: 2 * count for part, count in macs.items()}


def encoder_operations(config: EncoderConfig) -> int:
    """Operations that count: those of the layers alone."""
    work = operations(config)
    return work["linears"] + work["scores"] + work["context"]


def bound(program: Program, memory: MemoryTiming) -> dict[str, int]:
    """Cycles that each unit needs at least for ``program``, as if it never waited: no inference takes less than the largest.

    Tiles end no closer than their words are read, or than their R / G groups leave the array; and each group writes the
    bits of its codes one after the other, which the tiles behind it may overtake. The row buffer gives one group of lanes
    a cycle. A row's codes fill words of K bits, of which one plane a cycle is written: to either operand memory, at the
    same time. Data are read and written at the same time too, as fast as ``memory`` ever gives them.

    Returns
    -------
    dict of str to int
        ``engine``, ``row units`` and ``memory``.
    """
    config = program.config
    out = config.rows // config.drain_rows
    words_of_tiles = writes_of_tiles = elements = read = written = 0
    codes = dict.fromkeys(("left", "right"), 0)
    for i in program.instructions:
        if i.opcode is Opcode.QMM:
            tiles = i.row_tiles * i.column_tiles
            words_of_tiles += tiles * max(i.left_bits * i.right_bits * i.words, out)
            writes_of_tiles += tiles * out * (1 if i.destination == Destination.ROWS else i.destination_bits)
        elif i.opcode in (Opcode.SOFTMAX, Opcode.NORM):
            elements += i.rows * i.groups
            words = -(-i.groups * config.row_lanes // config.depth)
            for side in codes:
                codes[side] += i.rows * words * i.bits * getattr(i, f"{side}_enable", 0)
        elif i.opcode is Opcode.STORE:
            beats = i.rows * i.groups * max(1, config.row_lanes * RESIDUAL_BITS // config.axi_bits)
            elements, written = elements + beats, written + beats
        elif i.opcode is Opcode.LOAD:
            read += i.beats
        elif i.opcode is Opcode.GATHER:
            read += i.count * i.row_beats + -(-32 * i.count // config.axi_bits)  # rows, and their indices
    read += -(-program.instruction_bytes * 8 // config.axi_bits)
    return {
        "engine": max(words_of_tiles, writes_of_tiles),
        "row units": max(elements, *codes.values()),
        "memory": max(read, _read_time(config, memory, read * config.axi_bits // 8), written),
    }


def _read_time(config, memory, size):
    """Cycles in which ``size`` bytes are read at the least.

    Ports begin with the credit that they save up. Of a refresh a burst that was begun before it may use a part; the last
    refresh may not have come, and the last burst of each port be under way.
    """
    beat = config.ports * config.port_bits // 8
    least = ceil((size * FULL - MOST_CREDIT * beat) / (beat * memory.bandwidth))
    if memory.ceiling:
        burst = BURST_BEATS * config.port_bits // 8
        lost = max(0, memory.refresh - max(memory.burst / TICKS, burst * FULL / memory.ceiling))
        share = 1 - lost / memory.refresh_every if memory.refresh_every else 1
        behind = (size - config.ports * burst) * FULL / memory.ceiling / share - memory.refresh
        least = max(least, ceil(behind))
    return least


def embedded(program: Program, events: Sequence[Event]) -> int:
    """The cycle in which the embedding of all samples is whole: what comes before is not the encoder's. ``events``: of the
    run."""
    last = sample_name(program.batch, program.batch - 1, "embedding.codes")
    return spans(program, events)[program.symbols[last].ready].end
