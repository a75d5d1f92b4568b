"""Read arbiter: instruction fetch and DMA share one AXI reader, burst by burst."""

from typing import Any

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.axi.axi import READ_REQUEST, Tag, read_data_layout
from hw.axi.bursts import BURST, AxiBursts
from isa.sizes import BURST_BEATS


class ReadArbiter(wiring.Component):
    """Cuts requests into bursts, merges these, the fetch first, and hands data back by tag.

    A LOAD may be thousands of beats; a fetch waits for no more of it than the reader has announced already.

    Parameters
    ----------
    axi_bits : int
        Width of a beat.
    burst : int
        Most beats of a burst, see `AxiBursts`.

    Members
    -------
    i_fetch, i_dma : In(stream of `READ_REQUEST`)
        A fetch is small and an idle unit may be waiting for it.
    o : Out(stream of `BURST`)
        To the reader.
    i : In(stream of `read_data_layout`)
        From the reader.
    o_dma : Out(stream of `read_data_layout`)
        All beats. Whoever takes them is ready for those with tag FETCH at any time.
    o_fetch : Out(stream of `read_data_layout`)
        Those with tag FETCH as they pass. Must be taken.
    """

    def __init__(self, axi_bits: int, burst: int = BURST_BEATS):
        self._fetch, self._dma = AxiBursts(axi_bits, burst), AxiBursts(axi_bits, burst)
        request = stream.Signature(READ_REQUEST)
        beat = stream.Signature(read_data_layout(axi_bits))
        super().__init__({
            "i_fetch": In(request), "i_dma": In(request), "o": Out(stream.Signature(BURST)),
            "i": In(beat), "o_fetch": Out(beat), "o_dma": Out(beat),
        })  # fmt: skip

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.fetch_bursts, m.submodules.dma_bursts = fetches, loads = self._fetch, self._dma
        wiring.connect(m, wiring.flipped(self.i_fetch), fetches.i)
        wiring.connect(m, wiring.flipped(self.i_dma), loads.i)
        free, fetch = Signal(), Signal()
        m.d.comb += [
            free.eq(~self.o.valid | self.o.ready),
            fetches.o.ready.eq(free),
            loads.o.ready.eq(free & ~fetches.o.valid),
            fetch.eq(self.i.p.tag == Tag.FETCH),
            # Nothing but wires to the DMA: it places what comes late in a cycle.
            self.o_dma.payload.eq(self.i.payload),
            self.o_dma.valid.eq(self.i.valid),
            self.i.ready.eq(self.o_dma.ready),
            self.o_fetch.payload.eq(self.i.payload),
            self.o_fetch.valid.eq(self.i.valid & fetch),
        ]
        # Registered, because an offered burst must not change when a fetch comes up.
        with m.If(free):
            m.d.sync += [
                self.o.valid.eq(fetches.o.valid | loads.o.valid),
                self.o.payload.eq(Mux(fetches.o.valid, fetches.o.payload, loads.o.payload)),
            ]
        return m
