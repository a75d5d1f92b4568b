"""Bursts: cuts a long transfer into pieces that AXI4 allows."""

from typing import Any

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.axi.axi import ADDRESS_BITS, READ_REQUEST
from isa.sizes import AXI_PAGE

#: A burst of ``length`` + 1 beats; ``last`` of its request.
BURST = data.StructLayout({"address": ADDRESS_BITS, "length": 8, "tag": 2, "last": 1})


class AxiBursts(wiring.Component):
    """Splits requests at multiples of the burst, so that no piece crosses 4 KB. A piece every two cycles.

    Parameters
    ----------
    axi_bits : int
        Width of a beat.
    burst : int
        Most beats of a piece, a power of two of at most 256 beats and 4 KB.

    Members
    -------
    i : In(stream of `READ_REQUEST`)
    o : Out(stream of `BURST`)
    discard : In
        Forgets what is under way and takes nothing; withdraws ``o``.
    idle : Out
    """

    def __init__(self, axi_bits: int, burst: int):
        most = min(256, AXI_PAGE * 8 // axi_bits)
        if burst & (burst - 1) or not 2 <= burst <= most:
            raise ValueError(f"burst must be a power of two in 2..{most} ({axi_bits} bits a beat), not {burst}")
        self.axi_bits, self.burst = axi_bits, burst
        super().__init__({
            "i": In(stream.Signature(READ_REQUEST)),
            "o": Out(stream.Signature(BURST)),
            "discard": In(1),
            "idle": Out(1),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        shift = (self.axi_bits // 8).bit_length() - 1
        within = self.burst.bit_length() - 1

        busy, measured = Signal(), Signal()
        beat = Signal(ADDRESS_BITS - shift)  # address in beats
        remaining = Signal(24)
        tag = Signal(2)
        room = Signal(range(self.burst + 1))
        length = Signal(range(self.burst + 1))
        last = Signal()
        m.d.comb += [
            room.eq(self.burst - beat[:within]),
            self.i.ready.eq(~busy & ~self.discard),
            self.idle.eq(~busy),
            self.o.valid.eq(measured & ~self.discard),
            self.o.p.address.eq(beat << shift),
            self.o.p.length.eq(length - 1),
            self.o.p.tag.eq(tag),
            self.o.p.last.eq(last),
        ]
        with m.If(~busy):
            m.d.sync += [
                busy.eq(self.i.valid),
                beat.eq(self.i.p.address >> shift),
                remaining.eq(self.i.p.beats),
                tag.eq(self.i.p.tag),
            ]
        with m.Elif(~measured):
            # A cycle of its own: comparing, choosing and subtracting in one would be the longest path of the bus.
            m.d.sync += [
                measured.eq(1),
                last.eq(remaining <= room),
                length.eq(Mux(remaining <= room, remaining, room)),
            ]
        with m.Elif(self.o.ready):
            m.d.sync += [
                measured.eq(0),
                busy.eq(~last),
                beat.eq(beat + length),
                remaining.eq(remaining - length),
            ]
        with m.If(self.discard):
            m.d.sync += [busy.eq(0), measured.eq(0)]
        return m
