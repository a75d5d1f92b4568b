"""AXI reader: bursts, several under way, data in order."""

from typing import Any

from amaranth import Module, Mux, ResetInserter, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from hw.axi.axi import AxiRead, count_bursts, drive_address_channel, read_data_layout
from hw.axi.bursts import BURST
from hw.lib.skid import Skid
from isa.sizes import BURST_BEATS, OUTSTANDING_BURSTS

#: Cycles without a beat after which bursts whose beats have all come are over, even where memory did not say so.
SILENCE = 256


class AxiReader(wiring.Component):
    """Reads of whole beats. One beat a cycle when memory and consumer keep up and the announced bursts span the latency.

    Parameters
    ----------
    axi_bits : int
        Width of a beat.
    outstanding : int
        Bursts announced before the first has been answered.
    burst : int
        Most beats of a burst.

    Members
    -------
    i : In(stream of `BURST`)
    o : Out(stream of `read_data_layout`)
        All beats of all bursts, in order. Stalling it stalls the bus, which is legal but holds up every request. A burst
        that memory ends before its last beat, or goes on with after it, has an ``error`` there, and ends where memory ends
        it.
    discard : In
        One cycle or more: takes nothing; data of bursts already announced is taken from the bus and dropped, however
        late it comes, also after `discard`. Withdraws ``o``. Where memory has given as many beats as were asked for, but
        fewer ends of bursts, it is not waited for longer than `SILENCE`.
    idle : Out
        Nothing is announced.
    beat : Out
        A beat came over the bus.
    axi : Out(AxiRead)
    """

    def __init__(self, axi_bits: int, outstanding: int = OUTSTANDING_BURSTS, burst: int = BURST_BEATS):
        self.axi_bits, self.outstanding, self.burst = axi_bits, outstanding, burst
        super().__init__(
            {
                "i": In(stream.Signature(BURST)),
                "o": Out(stream.Signature(read_data_layout(axi_bits))),
                "discard": In(1),
                "idle": Out(1),
                "beat": Out(1),
                "axi": Out(AxiRead(axi_bits)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        axi = self.axi
        lost = Signal()
        length = Signal(range(self.burst))
        announced = SyncFIFOBuffered(width=3 + len(length), depth=self.outstanding)
        m.submodules.announced = ResetInserter(lost)(announced)
        m.submodules.skid = skid = ResetInserter(self.discard)(Skid(self.o.payload.shape()))
        announce, finish = Signal(), Signal()
        waiting, stale = count_bursts(m, "waiting", self.outstanding, announce, finish, self.discard, lost)
        m.d.comb += [
            *drive_address_channel(axi, "ar", self.axi_bits),
            self.idle.eq(~waiting.any() & ~skid.o.valid),
            self.i.ready.eq(announced.w_rdy & (~axi.arvalid | axi.arready) & ~self.discard),
            announce.eq(self.i.valid & self.i.ready),
            announced.w_en.eq(announce),
            length.eq(self.i.p.length),
            announced.w_data.eq(self.i.p.tag | self.i.p.last << 2 | length << 3),
        ]
        with m.If(announce):
            m.d.sync += [axi.arvalid.eq(1), axi.araddr.eq(self.i.p.address), axi.arlen.eq(self.i.p.length)]
        with m.Elif(axi.arready):
            m.d.sync += axi.arvalid.eq(0)

        place, misplaced = Signal(range(self.burst + 1)), Signal()  # of the beat on the bus in its burst
        taken = Signal()
        m.d.comb += [
            taken.eq(axi.rvalid & axi.rready),
            misplaced.eq(axi.rlast != (place == announced.r_data[3:])),
        ]
        with m.If(finish | lost):
            m.d.sync += place.eq(0)
        with m.Elif(taken & (place != self.burst)):  # which is beyond the end of any
            m.d.sync += place.eq(place + 1)

        # What comes in the first cycle of `discard` is forgotten by the skid.
        m.d.comb += [
            skid.i.valid.eq(axi.rvalid & announced.r_rdy & ~stale),
            skid.i.p.data.eq(axi.rdata),
            skid.i.p.error.eq(axi.rresp.any() | misplaced),
            skid.i.p.tag.eq(announced.r_data[:2]),
            skid.i.p.last.eq(announced.r_data[2] & axi.rlast),
            axi.rready.eq(announced.r_rdy & (skid.i.ready | stale)),
            finish.eq(taken & axi.rlast),
            announced.r_en.eq(finish),
        ]
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        m.d.sync += self.beat.eq(taken)

        # Beats asked for and not come; fewer than none where memory gave more.
        owed, silence = Signal(signed((self.outstanding * self.burst).bit_length() + 2)), Signal(range(SILENCE + 1))
        m.d.sync += [
            owed.eq(owed + Mux(announce, length + 1, 0) - taken),
            silence.eq(Mux(self.discard & ~axi.rvalid, silence + 1, 0)),
            lost.eq(self.discard & (silence == SILENCE - 2) & (owed <= 0)),
        ]
        with m.If(~waiting.any() & ~announce):
            m.d.sync += owed.eq(0)
        return m
