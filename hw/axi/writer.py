"""AXI writer: long writes as bursts, and the memory's answers."""

from typing import Any

from amaranth import Cat, Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from hw.axi.axi import WRITE_REQUEST, AxiWrite, count_bursts, drive_address_channel
from hw.axi.bursts import AxiBursts
from hw.lib.skid import Skid
from hw.lib.stream_queue import StreamQueue


class AxiWriter(wiring.Component):
    """Writes of whole beats. One beat a cycle when memory and producer keep up.

    Parameters
    ----------
    axi_bits : int
        Width of a beat.
    burst : int
        Most beats of a burst.
    outstanding : int
        Bursts announced before the first has been answered.

    Members
    -------
    i_request : In(stream of `WRITE_REQUEST`)
    i_data : In(stream of axi_bits)
        The beats of all requests, in order.
    o_done : Out
        Pulse for a request that is in memory: every burst answered OKAY. Requests complete in order.
    error : Out
        Pulse for a burst answered otherwise; its request is never done.
    discard : In
        One cycle or more: forgets all requests; bursts already announced are finished with empty strobes, however
        long memory takes, also after `discard`; their answers are dropped.
    idle : Out
        Nothing is announced or waiting.
    beat : Out
        A beat went over the bus.
    axi : Out(AxiWrite)
    """

    def __init__(self, axi_bits: int, burst: int = 16, outstanding: int = 8):
        self.axi_bits, self.burst, self.outstanding = axi_bits, burst, outstanding
        super().__init__({
            "i_request": In(stream.Signature(WRITE_REQUEST)),
            "i_data": In(stream.Signature(axi_bits)),
            "o_done": Out(1),
            "error": Out(1),
            "discard": In(1),
            "idle": Out(1),
            "beat": Out(1),
            "axi": Out(AxiWrite(axi_bits)),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        axi = self.axi
        m.submodules.bursts = bursts = AxiBursts(self.axi_bits, self.burst)
        m.submodules.lengths = lengths = StreamQueue(8, self.outstanding)
        m.submodules.announced = announced = SyncFIFOBuffered(width=1, depth=self.outstanding)
        m.submodules.skid = skid = Skid(data.StructLayout({"data": self.axi_bits, "keep": 1, "last": 1}))
        announce, finish, answered = Signal(), Signal(), Signal()
        # Bursts whose last beat has not left, and those that memory has not answered.
        _, pad = count_bursts(m, "unsent", self.outstanding, announce, finish, self.discard)
        unanswered, stale = count_bursts(m, "unanswered", self.outstanding, announce, answered, self.discard)
        m.d.comb += [
            *drive_address_channel(axi, "aw", self.axi_bits),
            bursts.i.valid.eq(self.i_request.valid),
            bursts.i.p.address.eq(self.i_request.p.address),
            bursts.i.p.beats.eq(self.i_request.p.beats),
            self.i_request.ready.eq(bursts.i.ready),
            bursts.discard.eq(self.discard),
            # An answer comes after the last beat, so no answer due means no beat due.
            self.idle.eq(bursts.idle & ~unanswered.any()),
        ]

        m.d.comb += [
            # What has room for its answer has room for its length, which leaves sooner.
            bursts.o.ready.eq(announced.w_rdy & (~axi.awvalid | axi.awready)),
            announce.eq(bursts.o.valid & bursts.o.ready),
            announced.w_en.eq(announce),
            announced.w_data.eq(bursts.o.p.last),
            lengths.i.valid.eq(announce),
            lengths.i.payload.eq(bursts.o.p.length),
        ]
        with m.If(bursts.o.ready):
            m.d.sync += [
                axi.awvalid.eq(bursts.o.valid),
                axi.awaddr.eq(bursts.o.p.address),
                axi.awlen.eq(bursts.o.p.length),
            ]
        with m.Elif(axi.awready):
            m.d.sync += axi.awvalid.eq(0)

        # The next burst waits here, so that its queue does not ask when this one ends.
        sending, waits = Signal(), Signal()
        left, next_left = Signal(signed(9)), Signal(signed(9))  # one less, so that the sign tells the last beat
        m.d.comb += [
            skid.i.valid.eq(sending & (self.i_data.valid | pad)),
            skid.i.p.data.eq(self.i_data.payload),
            skid.i.p.keep.eq(~pad),
            skid.i.p.last.eq(left[-1]),
            self.i_data.ready.eq(sending & skid.i.ready & ~pad),
            finish.eq(skid.i.valid & skid.i.ready & left[-1]),
            lengths.o.ready.eq(~waits),
            axi.wvalid.eq(skid.o.valid),
            axi.wdata.eq(skid.o.p.data),
            axi.wstrb.eq(skid.o.p.keep.replicate(self.axi_bits // 8)),
            axi.wlast.eq(skid.o.p.last),
            skid.o.ready.eq(axi.wready),
        ]
        with m.If(~waits):
            m.d.sync += [waits.eq(lengths.o.valid), next_left.eq(lengths.o.payload - 1)]
        with m.If(~sending | finish):
            m.d.sync += [sending.eq(waits), left.eq(next_left)]
            with m.If(waits):
                m.d.sync += waits.eq(0)
        with m.Elif(skid.i.valid & skid.i.ready):
            m.d.sync += left.eq(left - 1)
        m.d.sync += self.beat.eq(axi.wvalid & axi.wready)

        failed = Signal()
        m.d.comb += [
            axi.bready.eq(announced.r_rdy),
            announced.r_en.eq(axi.bvalid),
            answered.eq(axi.bvalid & axi.bready),
        ]
        bad = Signal()
        m.d.comb += bad.eq(axi.bresp.any())
        m.d.sync += Cat(self.o_done, self.error).eq(0)
        with m.If(answered):
            m.d.sync += failed.eq((failed | bad) & ~announced.r_data[0])
            with m.If(~(self.discard | stale)):
                m.d.sync += [
                    self.error.eq(bad),
                    self.o_done.eq(announced.r_data[0] & ~bad & ~failed),
                ]
        with m.If(self.discard):
            m.d.sync += failed.eq(0)
        return m
