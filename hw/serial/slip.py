"""Frames in a stream of bytes: SLIP's END and ESCAPE, removed and added. `golden.serial.escape` and its inverse."""

from typing import Any

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.serial import END, ESCAPE, ESCAPED_END, ESCAPED_ESCAPE
from hw.serial.uart import RECEIVED

#: A byte of content, or with ``end`` the end of it, and then in ``error`` whether anything in it was damaged.
CONTENT = data.StructLayout({"data": 8, "end": 1, "error": 1})

#: A byte of content to send.
OUTGOING = data.StructLayout({"data": 8, "last": 1})


class SlipDecoder(wiring.Component):
    """Content of frames. Frames without any byte, as between two END, are not reported.

    Members
    -------
    i : In(stream of `RECEIVED`)
        A byte with ``error`` counts as damage and is dropped.
    o : Out(stream of `CONTENT`)
    """

    def __init__(self) -> None:
        super().__init__({"i": In(stream.Signature(RECEIVED)), "o": Out(stream.Signature(CONTENT))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        byte, out = self.i.p.data, self.o.p
        some, damaged, escaped = Signal(), Signal(), Signal()
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.i.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [some.eq(1), out.data.eq(byte), out.end.eq(0), out.error.eq(0)]
            with m.If(self.i.p.error):
                m.d.sync += damaged.eq(1)
            with m.Elif(byte == END):
                m.d.sync += [
                    self.o.valid.eq(some),
                    out.data.eq(0), out.end.eq(1), out.error.eq(damaged | escaped),
                    some.eq(0), damaged.eq(0), escaped.eq(0),
                ]  # fmt: skip
            with m.Elif(escaped):
                legal = (byte == ESCAPED_END) | (byte == ESCAPED_ESCAPE)
                m.d.sync += [
                    escaped.eq(0),
                    self.o.valid.eq(legal),
                    out.data.eq(Mux(byte == ESCAPED_END, END, ESCAPE)),
                    damaged.eq(damaged | ~legal),
                ]
            with m.Else():
                m.d.sync += [escaped.eq(byte == ESCAPE), self.o.valid.eq(byte != ESCAPE)]
        return m


class SlipEncoder(wiring.Component):
    """Frames around content.

    Members
    -------
    i : In(stream of `OUTGOING`)
    o : Out(stream of 8 bits)
    """

    def __init__(self) -> None:
        super().__init__({"i": In(stream.Signature(OUTGOING)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        special = Signal()
        m.d.comb += special.eq((self.i.p.data == END) | (self.i.p.data == ESCAPE))
        with m.FSM():
            with m.State("BEGIN"):
                m.d.comb += [self.o.valid.eq(self.i.valid), self.o.payload.eq(END)]
                with m.If(self.o.valid & self.o.ready):
                    m.next = "CONTENT"
            with m.State("CONTENT"):
                m.d.comb += [
                    self.o.valid.eq(self.i.valid),
                    self.o.payload.eq(Mux(special, ESCAPE, self.i.p.data)),
                    self.i.ready.eq(self.o.ready & ~special),
                ]
                with m.If(self.o.valid & self.o.ready):
                    with m.If(special):
                        m.next = "PAIR"
                    with m.Elif(self.i.p.last):
                        m.next = "END"
            with m.State("PAIR"):
                m.d.comb += [
                    self.o.valid.eq(1),
                    self.o.payload.eq(Mux(self.i.p.data == END, ESCAPED_END, ESCAPED_ESCAPE)),
                    self.i.ready.eq(self.o.ready),
                ]
                with m.If(self.o.ready):
                    m.next = "CONTENT"
                    with m.If(self.i.p.last):
                        m.next = "END"
            with m.State("END"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(END)]
                with m.If(self.o.ready):
                    m.next = "BEGIN"
        return m
