"""Memory of words of many elements that a LOAD fills chunk by chunk: the residual stream, the norm constants."""

from typing import Any

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.lib.pipeline import delayed, log2, registered
from hw.lib.ram_style import ram_style
from hw.vector.row_stream import load_chunk
from isa.memory import ROW_MEMORY_BANK, row_memory_banks


class RowMemory(wiring.Component):
    """A read port of latency 2, writers that take turns, and a stream of chunks for the cycles in which none writes.
    Addresses are in range.

    More than `ROW_MEMORY_BANK` words are in several banks, each with a register behind it, and `read_data` is chosen from
    those: whoever reads puts it into another register. What is written is there to be read two cycles later.

    Parameters
    ----------
    depth, width : int
        Words, and bits of a word.
    axi_bits : int
        Bits of a chunk; divides ``width``.
    writers : int
        Units that write beside the loads; may be 0.
    ultra : bool
        The banks are UltraRAM.

    Members
    -------
    read_address : In;  read_data : Out(width)
        A word, two cycles later.
    write_address, write_enable, write_data : In
        A bit of ``write_enable`` and a word of ``write_data`` for each writer; at most one bit is set.
    i_load : In(stream)
        `hw.vector.row_stream.load_chunk`.
    """

    def __init__(self, depth: int, width: int, axi_bits: int, writers: int, ultra: bool = False):
        if width % axi_bits:
            raise ValueError(f"the width of a word must be a multiple of the AXI width ({axi_bits}), not {width}")
        self.depth, self.width, self.axi_bits, self.writers, self.ultra = depth, width, axi_bits, writers, ultra
        super().__init__({
            "read_address": In(16), "read_data": Out(width),
            "write_address": In(16), "write_enable": In(max(1, writers)), "write_data": In(width).array(writers),
            "i_load": In(stream.Signature(load_chunk(width, axi_bits))),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        chunks = self.width // self.axi_bits
        load = self.i_load
        writes, loads = Signal(), Signal()
        m.d.comb += [
            writes.eq(self.write_enable.any()),
            load.ready.eq(~writes),
            loads.eq(load.valid & load.ready),
        ]
        # Registers that are 0 unless their source writes: an OR is half of a multiplexer.
        words = [registered(m, Mux(self.write_enable[n], self.write_data[n], 0)) for n in range(self.writers)]
        words.append(registered(m, Mux(loads, load.p.data, 0)).replicate(chunks))
        word = words[0]
        for other in words[1:]:
            word = word | other
        enable = Signal(chunks)
        m.d.sync += enable.eq(Cat(writes | (loads & (load.p.chunk == chunk)) for chunk in range(chunks)))
        address = registered(m, Mux(writes, self.write_address, load.p.address))
        read_banks = []
        for number, depth in enumerate(row_memory_banks(self.depth)):
            memory = Memory(shape=self.width, depth=depth, init=[], attrs=ram_style(self.ultra))
            m.submodules[f"memory{number}"] = memory
            write, read = memory.write_port(granularity=self.axi_bits), memory.read_port()
            m.d.comb += [
                write.addr.eq(address),
                write.data.eq(word),
                write.en.eq(Mux(address >> log2(ROW_MEMORY_BANK) == number, enable, 0)),
                read.addr.eq(self.read_address),
                read.en.eq(1),
            ]
            read_banks.append(registered(m, read.data))
        bank = delayed(m, self.read_address >> log2(ROW_MEMORY_BANK), 2)
        m.d.comb += self.read_data.eq(read_banks[0])
        for number, data in enumerate(read_banks[1:], start=1):
            with m.If(bank == number):
                m.d.comb += self.read_data.eq(data)
        return m
