"""Write port: wide beats leave through one narrow AXI master."""

from typing import Any

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.axi.axi import WRITE_REQUEST, AxiWrite
from hw.axi.writer import AxiWriter


class WritePort(wiring.Component):
    """An `AxiWriter` of a port, its beats cut from wide ones: what is stored is small, so that one port is enough.

    Parameters
    ----------
    axi_bits : int
        Width of a beat of requests and data.
    ports : int
        A power of two; the port has ``axi_bits / ports``.

    Members
    -------
    i_request : In(stream of `WRITE_REQUEST`);  i_data : In(stream of axi_bits)
    o_done, error, discard, idle, axi
        As of `AxiWriter`.
    moves : Out
        A beat went over the bus.
    beat : Out
        A wide beat was taken.
    """

    def __init__(self, axi_bits: int, ports: int):
        self.axi_bits, self.ports = axi_bits, ports
        super().__init__({
            "i_request": In(stream.Signature(WRITE_REQUEST)), "i_data": In(stream.Signature(axi_bits)),
            "o_done": Out(1), "error": Out(1), "discard": In(1), "idle": Out(1), "moves": Out(1), "beat": Out(1),
            "axi": Out(AxiWrite(axi_bits // ports)),
        })  # fmt: skip

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        shift = self.ports.bit_length() - 1
        m.submodules.writer = writer = AxiWriter(self.axi_bits // self.ports)
        part = Signal(range(max(2, self.ports)))
        last, take = Signal(), Signal()
        m.d.comb += [
            writer.i_request.valid.eq(self.i_request.valid),
            writer.i_request.p.address.eq(self.i_request.p.address),
            writer.i_request.p.beats.eq(self.i_request.p.beats << shift),
            self.i_request.ready.eq(writer.i_request.ready),
            last.eq(part == self.ports - 1),
            take.eq(writer.i_data.valid & writer.i_data.ready),
            writer.i_data.valid.eq(self.i_data.valid),
            writer.i_data.payload.eq(self.i_data.payload.word_select(part, self.axi_bits // self.ports)),
            self.i_data.ready.eq(writer.i_data.ready & last),
            writer.discard.eq(self.discard),
            self.o_done.eq(writer.o_done),
            self.error.eq(writer.error),
            self.idle.eq(writer.idle),
            self.moves.eq(writer.beat),
        ]
        if self.ports == 1:
            m.d.comb += self.beat.eq(writer.beat)
        else:
            m.d.sync += self.beat.eq(take & last)
            with m.If(take):
                m.d.sync += part.eq(part + 1)
            with m.If(self.discard):
                m.d.sync += part.eq(0)
        wiring.connect(m, writer.axi, wiring.flipped(self.axi))
        return m
