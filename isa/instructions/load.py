"""LOAD: consecutive beats of external memory to consecutive words of an on-chip memory."""

import numpy as np

from isa.bounds import Bounds, check_external, check_member, check_positive
from isa.config import AcceleratorConfig
from isa.footprint import Access, grid, whole
from isa.instruction import Instruction, Memory, Operation, Queue, Region, require, u
from isa.layout import ceil_div
from isa.machine import Machine
from isa.memory import word_bits

#: Where a LOAD, GATHER or STORE begins.
EXTERNAL = (
    u("region", 2, "external region, see Region"),
    u("offset", 32, "byte offset in the region, a multiple of the AXI width"),
)


class Load(Operation):
    """Fills words, of one memory, from a region; with ``index_shift`` an entry chosen by the sample's length."""

    queue, colour = Queue.DMA, "#8d99ae"
    all_or_nothing = ("limit_rows",)
    fields = (
        *EXTERNAL,
        u("index_shift", 5, "not 0: the offset is increased by the length << index_shift"),
        u("memory", 3, "destination, see Memory"),
        u("address", 16, "first word address"),
        u("beats", 24, "AXI beats; beat i is chunk i % (W/A) of word i // (W/A), W the memory's width"),
    )

    def check(self, i: Instruction, bounds: Bounds) -> None:
        check_member(i.memory, Memory, "memory")
        check_positive(i, "beats")
        chunks = word_bits(bounds.config, Memory(i.memory)) // bounds.config.axi_bits
        require(i.beats % chunks == 0, f"has {i.beats} beats, not a multiple of the {chunks} of a word")
        require(i.region != Region.OUTPUT, "reads region OUTPUT")
        size = i.beats * bounds.beat
        if i.index_shift:
            stride = 1 << i.index_shift
            require(stride % bounds.beat == 0, f"has index_shift {i.index_shift}: entries are not whole beats")
            size += bounds.tokens * stride
        check_external(bounds, i.region, i.offset, size)

    def footprint(self, i: Instruction, config: AcceleratorConfig) -> list[Access]:
        memory = Memory(i.memory)
        words = ceil_div(i.beats * config.axi_bits, word_bits(config, memory))
        return [whole(config, memory, grid(i.address, (words, 1)), True)]

    def execute(self, i: Instruction, machine: Machine) -> None:
        memory = machine.memories[Memory(i.memory)]
        data = machine.fetch(i.region, i.offset, i.beats * machine.config.axi_bits // 8)
        words = data.view(memory.dtype).reshape(-1, *memory.shape[1:])
        memory[i.address + np.arange(len(words))] = words


OPERATION = Load
