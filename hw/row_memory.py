"""Memory of words of many elements that a LOAD fills chunk by chunk: the residual stream, the norm constants."""

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.row_stream import load_chunk


class RowMemory(wiring.Component):
    """A read port of latency 1, a write port, and a stream of chunks for the cycles in which nothing is written.

    Parameters
    ----------
    depth, width : int
        Words, and bits of a word.
    axi_bits : int
        Bits of a chunk; divides ``width``.

    Members
    -------
    read_address, read_enable : In;  read_data : Out(width)
        Holds while ``read_enable`` is 0.
    write_address, write_enable, write_data : In
    i_load : In(stream)
        `hw.row_stream.load_chunk`; the address must be in range.
    o_error : Out
        Strobe: an address of the ports was beyond the memory; nothing was written.
    """

    def __init__(self, depth, width, axi_bits):
        if width % axi_bits:
            raise ValueError(f"the width of a word must be a multiple of the AXI width ({axi_bits}), not {width}")
        self.depth, self.width, self.axi_bits = depth, width, axi_bits
        super().__init__({
            "read_address": In(17), "read_enable": In(1), "read_data": Out(width),
            "write_address": In(17), "write_enable": In(1), "write_data": In(width),
            "i_load": In(stream.Signature(load_chunk(width, axi_bits))),
            "o_error": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        memory = Memory(shape=self.width, depth=self.depth, init=[], attrs={"ram_style": "block"})
        m.submodules.memory = memory
        write, read = memory.write_port(granularity=self.axi_bits), memory.read_port()
        chunks = self.width // self.axi_bits
        load = self.i_load
        address = Signal(17)
        write_fits, read_fits = Signal(), Signal()
        m.d.comb += [
            load.ready.eq(~self.write_enable),
            address.eq(Mux(self.write_enable, self.write_address, load.p.address)),
            write_fits.eq(address < self.depth),
            write.addr.eq(address),
            write.data.eq(Mux(self.write_enable, self.write_data, load.p.data.replicate(chunks))),
            read_fits.eq(self.read_address < self.depth),
            read.addr.eq(self.read_address),
            read.en.eq(self.read_enable),
            self.read_data.eq(read.data),
        ]
        for chunk in range(chunks):
            here = load.p.chunk == chunk
            m.d.comb += write.en[chunk].eq(write_fits & (self.write_enable | (load.valid & here)))
        m.d.sync += self.o_error.eq((self.write_enable & ~write_fits) | (self.read_enable & ~read_fits))
        return m
