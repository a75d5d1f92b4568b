"""Skid buffer: cuts the combinational path of a stream in both directions."""

from typing import Any

from amaranth import Module, Mux, Signal
from amaranth.hdl import ShapeLike
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from isa.latency import SKID


class Skid(wiring.Component):
    """Two registers on a stream: one payload a cycle, `latency` 1, ``o.valid`` and ``i.ready`` come from registers.

    Parameters
    ----------
    shape : shape of the payload

    Members
    -------
    i : In(stream);  o : Out(stream)
    """

    latency = SKID

    def __init__(self, shape: ShapeLike):
        self.shape = shape
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        spare = Signal(self.shape, reset_less=True)
        free = Signal(init=1)
        m.d.comb += self.i.ready.eq(free)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [
                self.o.payload.eq(Mux(free, self.i.payload, spare)),
                self.o.valid.eq(~free | self.i.valid),
                free.eq(1),
            ]
        with m.Elif(self.i.valid & self.i.ready):
            m.d.sync += [spare.eq(self.i.payload), free.eq(0)]
        return m
