"""AXI reader: bursts, several under way, data in order."""

from typing import Any

from amaranth import Module, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from hw.axi.axi import AxiRead, count_bursts, drive_address_channel, read_data_layout
from hw.axi.bursts import BURST
from hw.lib.skid import Skid
from isa.sizes import OUTSTANDING_BURSTS


class AxiReader(wiring.Component):
    """Reads of whole beats. One beat a cycle when memory and consumer keep up and the announced bursts span the latency.

    Parameters
    ----------
    axi_bits : int
        Width of a beat.
    outstanding : int
        Bursts announced before the first has been answered.

    Members
    -------
    i : In(stream of `BURST`)
    o : Out(stream of `read_data_layout`)
        All beats of all bursts, in order. Stalling it stalls the bus, which is legal but holds up every request.
    discard : In
        One cycle or more: takes nothing; data of bursts already announced is taken from the bus and dropped, however
        late it comes, also after `discard`. Withdraws ``o``.
    idle : Out
        Nothing is announced.
    beat : Out
        A beat came over the bus.
    axi : Out(AxiRead)
    """

    def __init__(self, axi_bits: int, outstanding: int = OUTSTANDING_BURSTS):
        self.axi_bits, self.outstanding = axi_bits, outstanding
        super().__init__({
            "i": In(stream.Signature(BURST)),
            "o": Out(stream.Signature(read_data_layout(axi_bits))),
            "discard": In(1),
            "idle": Out(1),
            "beat": Out(1),
            "axi": Out(AxiRead(axi_bits)),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        axi = self.axi
        m.submodules.announced = announced = SyncFIFOBuffered(width=3, depth=self.outstanding)
        m.submodules.skid = skid = ResetInserter(self.discard)(Skid(self.o.payload.shape()))
        announce, finish = Signal(), Signal()
        waiting, stale = count_bursts(m, "waiting", self.outstanding, announce, finish, self.discard)
        m.d.comb += [
            *drive_address_channel(axi, "ar", self.axi_bits),
            self.idle.eq(~waiting.any() & ~skid.o.valid),
            self.i.ready.eq(announced.w_rdy & (~axi.arvalid | axi.arready) & ~self.discard),
            announce.eq(self.i.valid & self.i.ready),
            announced.w_en.eq(announce),
            announced.w_data.eq(self.i.p.tag | self.i.p.last << 2),
        ]
        with m.If(announce):
            m.d.sync += [axi.arvalid.eq(1), axi.araddr.eq(self.i.p.address), axi.arlen.eq(self.i.p.length)]
        with m.Elif(axi.arready):
            m.d.sync += axi.arvalid.eq(0)

        # What comes in the first cycle of `discard` is forgotten by the skid.
        m.d.comb += [
            skid.i.valid.eq(axi.rvalid & announced.r_rdy & ~stale),
            skid.i.p.data.eq(axi.rdata),
            skid.i.p.error.eq(axi.rresp.any()),
            skid.i.p.tag.eq(announced.r_data[:2]),
            skid.i.p.last.eq(announced.r_data[2] & axi.rlast),
            axi.rready.eq(announced.r_rdy & (skid.i.ready | stale)),
            finish.eq(axi.rvalid & axi.rready & axi.rlast),
            announced.r_en.eq(finish),
        ]
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        m.d.sync += self.beat.eq(axi.rvalid & axi.rready)
        return m
