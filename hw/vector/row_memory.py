"""Memory of words of many elements that a LOAD fills chunk by chunk: the residual stream, the norm constants."""

from typing import Any

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.lib.pipeline import log2, registered
from hw.vector.row_stream import load_chunk
from isa.memory import ROW_MEMORY_BANK, row_memory_banks


class RowMemory(wiring.Component):
    """A read port of latency 2, writers that take turns, and a stream of chunks for the cycles in which none writes.

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

    Members
    -------
    read_address, read_enable : In
        A word to read.
    read_advance : In;  read_data : Out(width)
        The word read last before the last cycle with ``read_advance``.
    write_address, write_enable, write_data : In
        A bit of ``write_enable`` and a word of ``write_data`` for each writer; at most one bit is set.
    i_load : In(stream)
        `hw.vector.row_stream.load_chunk`; the address must be in range.
    o_error : Out
        Strobe: an address of the ports was beyond the memory; nothing was written.
    """

    def __init__(self, depth: int, width: int, axi_bits: int, writers: int):
        if width % axi_bits:
            raise ValueError(f"the width of a word must be a multiple of the AXI width ({axi_bits}), not {width}")
        self.depth, self.width, self.axi_bits, self.writers = depth, width, axi_bits, writers
        super().__init__({
            "read_address": In(17), "read_enable": In(1), "read_advance": In(1), "read_data": Out(width),
            "write_address": In(17), "write_enable": In(max(1, writers)), "write_data": In(width).array(writers),
            "i_load": In(stream.Signature(load_chunk(width, axi_bits))),
            "o_error": Out(1),
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
        write_fits, read_fits = Signal(), Signal()
        m.d.comb += [write_fits.eq(address < self.depth), read_fits.eq(self.read_address < self.depth)]
        read_banks = []
        for number, depth in enumerate(row_memory_banks(self.depth)):
            memory = Memory(shape=self.width, depth=depth, init=[], attrs={"ram_style": "block"})
            m.submodules[f"memory{number}"] = memory
            write, read = memory.write_port(granularity=self.axi_bits), memory.read_port()
            m.d.comb += [
                write.addr.eq(address),
                write.data.eq(word),
                write.en.eq(Mux(write_fits & (address >> log2(ROW_MEMORY_BANK) == number), enable, 0)),
                read.addr.eq(self.read_address),
                read.en.eq(self.read_enable),
            ]
            with m.If(self.read_advance):
                read_banks.append(registered(m, read.data))
        with m.If(self.read_enable):
            bank = registered(m, self.read_address >> log2(ROW_MEMORY_BANK))
        with m.If(self.read_advance):
            bank = registered(m, bank)
        m.d.comb += self.read_data.eq(read_banks[0])
        for number, data in enumerate(read_banks[1:], start=1):
            with m.If(bank == number):
                m.d.comb += self.read_data.eq(data)
        m.d.sync += self.o_error.eq((enable.any() & ~write_fits) | (self.read_enable & ~read_fits))
        return m
