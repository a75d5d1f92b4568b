"""GATHER: rows of a table in external memory, chosen by indices in external memory, to the left memory."""

from typing import ClassVar

import numpy as np

from isa.bounds import Bounds, check_external, check_positive
from isa.config import AcceleratorConfig
from isa.errors import Error
from isa.footprint import Access, grid, whole
from isa.instruction import Instruction, Limit, Memory, Operation, Queue, Region, require, u
from isa.instructions.load import EXTERNAL
from isa.layout import ceil_div, round_up
from isa.machine import Fault, Machine

INDEX_BYTES = 4


class Gather(Operation):
    """Word embeddings: a row of codes for each token id."""

    queue, colour = Queue.DMA, "#5c677d"
    fields = (
        *EXTERNAL,
        u("index_region", 2, "region of the indices"),
        u("index_offset", 32, "byte offset of the indices, 32 bit each, a multiple of the AXI width"),
        u("count", 16, "rows gathered"),
        u("limit", 32, "an index at or beyond it is an error"),
        u("row_beats", 8, "AXI beats of a table row, a row being row_beats * (A/8) bytes apart"),
        u("words", 12, "K-bit words of a row written; row i goes to bank i % R"),
        u("address", 16, "word address in the left memory"),
        u("tile", 16, "words from one tile of R rows to the next"),
    )

    limits: ClassVar = {"count": Limit("limit_rows", "")}

    def check(self, i: Instruction, bounds: Bounds) -> None:
        check_positive(i, "count", "limit", "row_beats", "words")
        bits = i.row_beats * bounds.config.axi_bits
        require(i.words * bounds.config.depth <= bits, f"has {i.words} words in {i.row_beats} beats")
        require(i.region != Region.OUTPUT, "reads region OUTPUT")
        require(i.index_region == Region.INPUT, f"takes indices from region {i.index_region}, not INPUT")
        check_external(bounds, i.region, i.offset, i.limit * i.row_beats * bounds.beat)
        check_external(bounds, i.index_region, i.index_offset, round_up(INDEX_BYTES * i.count, bounds.beat), "index ")

    def footprint(self, i: Instruction, config: AcceleratorConfig) -> list[Access]:
        words = grid(i.address, (ceil_div(i.count, config.rows), i.tile), (i.words, 1))
        return [whole(config, Memory.LEFT, words, True)]

    def execute(self, i: Instruction, machine: Machine) -> None:
        config = machine.config
        beat = config.axi_bits // 8
        ids = machine.fetch(i.index_region, i.index_offset, INDEX_BYTES * i.count).view("<u4").astype(np.int64)
        for row, number in enumerate(ids):
            if number >= i.limit:
                raise Fault(Error.INDEX_RANGE, f"index {number} is not below {i.limit}")
            data = machine.fetch(i.region, i.offset + number * i.row_beats * beat, i.words * config.depth // 8)
            address = i.address + row // config.rows * i.tile + np.arange(i.words)
            machine.memories[Memory.LEFT][address, row % config.rows] = data.reshape(i.words, -1)


OPERATION = Gather
