"""True work of an encoder, and the least time that a program can take on each unit."""

from collections.abc import Sequence
from math import ceil

from golden.model import EncoderConfig, Input
from isa.instruction import Destination, Opcode
from isa.memory_timing import MemoryTiming
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
    """Cycles that each unit needs at least for ``program``, as if it never waited: the largest bounds the inference.

    A tile of a product takes the longer of its words and its way out (R / G cycles, times the bits of its codes). Softmax
    and norm take one group of lanes a cycle and write one bit of each code a cycle. Memory gives at most what it is said to.

    Returns
    -------
    dict of str to int
        ``engine``, ``row units`` and ``memory``.
    """
    config = program.config
    out = config.rows // config.drain_rows
    engine = rows = beats = 0
    for i in program.instructions:
        if i.opcode is Opcode.QMM:
            words = i.left_bits * i.right_bits * i.words
            bits = 1 if i.destination == Destination.ROWS else i.destination_bits
            engine += i.row_tiles * i.column_tiles * max(words, out * bits)
        elif i.opcode in (Opcode.SOFTMAX, Opcode.NORM):
            rows += i.rows * i.groups * i.bits
        elif i.opcode is Opcode.STORE:
            written = i.rows * i.groups * max(1, config.row_lanes * 16 // config.axi_bits)
            rows, beats = rows + written, beats + written
        elif i.opcode is Opcode.LOAD:
            beats += i.beats
        elif i.opcode is Opcode.GATHER:
            beats += i.count * i.row_beats + -(-32 * i.count // config.axi_bits)  # rows, and their indices
    beats += -(-program.instruction_bytes * 8 // config.axi_bits)
    least = ceil(beats * config.axi_bits / 8 / memory.bytes_per_cycle(config.axi_bits))
    return {"engine": engine, "row units": rows, "memory": least}


def embedded(program: Program, events: Sequence[Event]) -> int:
    """The cycle in which the embedding of all samples is whole: what comes before is not the encoder's. ``events``: of the
    run."""
    last = sample_name(program.batch, program.batch - 1, "embedding.codes")
    return spans(program, events)[program.symbols[last].ready].end
