"""Latencies of the RTL that the cycle model needs, in cycles. Each is tied to its source by tb/codesign/cycles."""

from dataclasses import dataclass

from golden.layernorm import MAX_WIDTH_BITS
from golden.softmax import EXPONENTIAL_BITS
from isa.instruction import INSTRUCTION_BITS, Queue

BURST = 16  #: beats of a burst (`hw.axi.reader`)
OUTSTANDING = 16  #: bursts announced and not answered (`hw.axi.reader`)
AHEAD = 8  #: LOADs queued for the second half of the DMA (`hw.dma.dma`)
QUEUE_DEPTH = 8  #: instructions that wait in the QMM and ROW queues (`hw.frontend.scheduler`)
STARTED = {Queue.DMA: 16, Queue.QMM: 8, Queue.ROW: 8}  #: instructions that a unit may have started and not completed
BUFFERED_GROUPS = 32  #: drained groups that wait for the tile writer
OPERAND_READ = 2  #: `hw.engine.operand_memory`
OPERAND_WRITE = 2
#: From words of K bits to the tile's first group (`hw.engine.array`): longer words take more counters in a row.
ARRAY = {8: 7, 16: 7, 32: 8, 64: 9, 128: 9, 256: 10, 512: 11, 1024: 12}
RESCALE = 7
QUEUE = 2  #: `hw.lib.stream_queue`, and Amaranth's buffered FIFO: from empty to the output
SKID = 1
STATISTICS = 22  #: `hw.vector.norm_statistics`
ROWS = 32  #: between two passes (`hw.vector.softmax`, `hw.vector.layernorm`)


def tree(count):
    """Cycles of an adder or maximum tree."""
    return (count - 1).bit_length()


def reciprocal(width):
    """Cycles of `hw.vector.reciprocal.Reciprocal`: one a step of the normalisation, and five."""
    return (width - 1).bit_length() + 5


@dataclass(frozen=True)
class Timing:
    """Derived latencies of one configuration."""

    fetch_room: int  #: instructions that fetch holds (`hw.frontend.fetch`)
    fetch_chunk: int  #: instructions that it reads together
    queue_depth: dict[Queue, int]  #: instructions that wait
    groups: int  #: of a tile: R / G
    tiles: int  #: tiles between the end of their words and their last write (`hw.engine.qmm`)
    row_slots: int  #: column tiles in the row buffer
    drain: int  #: from a tile's last words to its first group at the tile writer
    ring_words: int  #: of elements between two passes
    softmax_maximum: int  #: from a row's last element to the start of its second pass
    softmax_sum: int  #: from the second pass' last element to the start of the third
    softmax_output: int  #: from an element in the third pass to the code writer
    norm_statistics: int  #: from a row's last element to the start of its second pass
    norm_output: int
    norm_residual: int  #: from an element in the second pass to the residual memory

    @classmethod
    def of(cls, config):
        sum_bits = EXPONENTIAL_BITS + config.row_columns.bit_length()
        lanes = tree(config.row_lanes)
        groups = config.rows // config.drain_rows
        room = max(8, 32 * config.axi_bits // INSTRUCTION_BITS)
        return cls(
            fetch_room=room,
            fetch_chunk=max(4, room // 4),
            queue_depth={Queue.DMA: config.dma_queue, Queue.QMM: QUEUE_DEPTH, Queue.ROW: QUEUE_DEPTH},
            groups=groups,
            tiles=max(4, BUFFERED_GROUPS // groups),
            row_slots=2 * config.row_columns // config.columns,
            drain=1 + OPERAND_READ + ARRAY[config.depth] + 4 + RESCALE + QUEUE,
            ring_words=max(512, 4 << (-(-config.row_columns // config.row_lanes) - 1).bit_length()),
            softmax_maximum=2 + lanes + QUEUE,
            softmax_sum=6 + lanes + 1 + reciprocal(sum_bits) + 2 + QUEUE,
            softmax_output=7 + SKID,
            norm_statistics=6 + lanes + 1 + STATISTICS + QUEUE,
            norm_output=12 + SKID,
            norm_residual=11,
        )


def norm_preparation(columns):
    """Cycles in which a NORM normalises its width."""
    return MAX_WIDTH_BITS - columns.bit_length() + 1
