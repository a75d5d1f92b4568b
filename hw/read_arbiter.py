"""Read arbiter: instruction fetch and DMA share one AXI reader."""

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.axi import READ_REQUEST, Tag, read_data_layout


class ReadArbiter(wiring.Component):
    """Merges requests, the fetch first, and hands data back by tag.

    Parameters
    ----------
    axi_bits : int
        Width of a beat.

    Members
    -------
    i_fetch, i_dma : In(stream of `READ_REQUEST`)
        A fetch is small and an idle unit may be waiting for it.
    o : Out(stream of `READ_REQUEST`)
        To the reader, a cycle later.
    i : In(stream of `read_data_layout`)
        From the reader.
    o_fetch, o_dma : Out(stream of `read_data_layout`)
        The beats with tag FETCH, and all others.
    """

    def __init__(self, axi_bits):
        request = stream.Signature(READ_REQUEST)
        beat = stream.Signature(read_data_layout(axi_bits))
        super().__init__({
            "i_fetch": In(request), "i_dma": In(request), "o": Out(request),
            "i": In(beat), "o_fetch": Out(beat), "o_dma": Out(beat),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        free, fetch = Signal(), Signal()
        m.d.comb += [
            free.eq(~self.o.valid | self.o.ready),
            self.i_fetch.ready.eq(free),
            self.i_dma.ready.eq(free & ~self.i_fetch.valid),
            fetch.eq(self.i.p.tag == Tag.FETCH),
            self.o_fetch.payload.eq(self.i.payload),
            self.o_fetch.valid.eq(self.i.valid & fetch),
            self.o_dma.payload.eq(self.i.payload),
            self.o_dma.valid.eq(self.i.valid & ~fetch),
            self.i.ready.eq(Mux(fetch, self.o_fetch.ready, self.o_dma.ready)),
        ]
        # Registered, because an offered request must not change when a fetch comes up.
        with m.If(free):
            m.d.sync += [
                self.o.valid.eq(self.i_fetch.valid | self.i_dma.valid),
                self.o.payload.eq(Mux(self.i_fetch.valid, self.i_fetch.payload, self.i_dma.payload)),
            ]
        return m
