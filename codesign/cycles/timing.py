"""Latencies of ways through several units that the cycle model needs, in cycles, from those of `isa.latency`."""

from dataclasses import dataclass
from typing import Self

from golden.layernorm import MAX_WIDTH_BITS
from isa import latency
from isa.config import AcceleratorConfig
from isa.instruction import Queue
from isa.sizes import (
    fetch_chunk,
    fetch_room,
    groups_of_a_tile,
    queue_depths,
    ring_words,
    row_group_bits,
    row_slots,
    softmax_sum_bits,
    tiles_in_flight,
)


@dataclass(frozen=True)
class Timing:
    """Derived latencies of one configuration."""

    fetch_room: int  #: instructions that fetch holds (`hw.frontend.fetch`)
    fetch_chunk: int  #: instructions that it reads together
    queue_depth: dict[Queue, int]  #: instructions that wait
    groups: int  #: of a tile: R / G
    tiles: int  #: tiles between the end of their words and their last write (`hw.engine.qmm`)
    row_slots: int  #: slots in the row buffer
    slot_tiles: int  #: column tiles that one takes
    drain: int  #: from a tile's last words to its first group at the tile writer
    ring_words: int  #: of elements between two passes
    softmax_maximum: int  #: from a row's last element to the start of its second pass
    softmax_sum: int  #: from the second pass' last element to the start of the third
    softmax_output: int  #: from an element in the third pass to the code writer
    norm_statistics: int  #: from a row's last element to the start of its second pass
    norm_output: int
    norm_residual: int  #: from an element in the second pass to the residual memory

    @classmethod
    def of(cls, config: AcceleratorConfig) -> Self:
        lanes = latency.tree(config.row_lanes)
        groups = groups_of_a_tile(config)
        queue = latency.STREAM_QUEUE
        reciprocal = latency.reciprocal(softmax_sum_bits(config.row_columns))
        return cls(
            fetch_room=fetch_room(config.axi_bits),
            fetch_chunk=fetch_chunk(config.axi_bits),
            queue_depth=queue_depths(config.dma_queue),
            groups=groups,
            tiles=tiles_in_flight(groups),
            row_slots=row_slots(config.row_columns, config.columns, config.row_lanes),
            slot_tiles=max(1, config.row_lanes // config.columns),
            drain=1 + latency.OPERAND_READ + latency.array(config.depth) + 4 + latency.RESCALE + queue,
            ring_words=ring_words(row_group_bits(config.row_columns, config.row_lanes)),
            softmax_maximum=2 + lanes + queue,
            softmax_sum=6 + lanes + 1 + reciprocal + 2 + queue,
            softmax_output=7 + queue,
            norm_statistics=6 + lanes + 1 + latency.norm_statistics() + queue,
            norm_output=12 + queue,
            norm_residual=11,
        )


def norm_preparation(columns: int) -> int:
    """Cycles in which a NORM normalises its width."""
    return MAX_WIDTH_BITS - columns.bit_length() + 1
