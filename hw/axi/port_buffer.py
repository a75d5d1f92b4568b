"""Port buffer: beats of a narrow port, put together to wide ones, wait for their turn."""

from typing import Any

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.axi.axi import read_data_layout
from isa.latency import PORT_BUFFER as LATENCY
from isa.sizes import PORT_BUFFER


def wide_beat_layout(axi_bits):
    """A beat of all ports' width: ``last`` of its burst, ``error`` if any of its parts had one."""
    return data.StructLayout({"data": axi_bits, "last": 1, "error": 1})


class PortBuffer(wiring.Component):
    """Holds ``depth`` wide beats; one narrow beat in and one wide beat out a cycle, the wide one `latency` after its last
    part.

    Parameters
    ----------
    axi_bits : int
        Width of a wide beat.
    ports : int
        Narrow beats in a wide one, a power of two of at least 2.
    depth : int
        A power of two.

    Members
    -------
    i : In(stream of `read_data_layout`)
        Narrow beats; ``last`` is that of a burst. It ends the wide beat even where parts are missing: a burst that memory
        cuts short, whose reader says ``error``, must not shift the next one.
    o : Out(stream of `wide_beat_layout`)
    """

    latency = LATENCY

    def __init__(self, axi_bits: int, ports: int, depth: int = PORT_BUFFER):
        for name, value in (("ports", ports), ("depth", depth)):
            if value < 2 or value & (value - 1):
                raise ValueError(f"{name} must be a power of two, at least 2, not {value}")
        self.axi_bits, self.ports, self.depth = axi_bits, ports, depth
        super().__init__(
            {
                "i": In(stream.Signature(read_data_layout(axi_bits // ports))),
                "o": Out(stream.Signature(wide_beat_layout(axi_bits))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        i, o = self.i, self.o
        distributed = {"ram_style": "distributed"}
        m.submodules.words = words = Memory(shape=self.axi_bits, depth=self.depth, init=[], attrs=distributed)
        m.submodules.marks = marks = Memory(shape=2, depth=self.depth, init=[], attrs=distributed)
        write, read = words.write_port(granularity=self.axi_bits // self.ports), words.read_port(domain="comb")
        mark, marked = marks.write_port(), marks.read_port(domain="comb")

        # How many beats came and went, modulo twice the depth.
        came, went = Signal(range(2 * self.depth)), Signal(range(2 * self.depth))
        held = Signal(range(2 * self.depth))
        part = Signal(range(self.ports))
        failed, ready, there = Signal(), Signal(init=1), Signal()
        take_part, put, take = Signal(), Signal(), Signal()
        m.d.comb += [
            held.eq(came - went),
            i.ready.eq(ready),
            take_part.eq(i.valid & ready),
            put.eq(take_part & (i.p.last | (part == self.ports - 1))),
            write.addr.eq(came),
            write.data.eq(i.p.data.replicate(self.ports)),
            write.en.eq(take_part << part),
            mark.addr.eq(came),
            mark.data.eq(i.p.last | (i.p.error | failed) << 1),
            mark.en.eq(take_part),
            o.valid.eq(there),
            take.eq(there & o.ready),
            read.addr.eq(went),
            marked.addr.eq(went),
            o.p.data.eq(read.data),
            o.p.last.eq(marked.data[0]),
            o.p.error.eq(marked.data[1]),
        ]
        # Room is noticed a cycle late, so that `ready` waits for nobody.
        m.d.sync += [
            ready.eq(Mux(put, held != self.depth - 1, held != self.depth)),
            there.eq(put | Mux(take, held > 1, held != 0)),
        ]
        with m.If(take_part):
            m.d.sync += [part.eq(part + 1), failed.eq(failed | i.p.error)]
        with m.If(put):
            m.d.sync += [part.eq(0), failed.eq(0), came.eq(came + 1)]
        with m.If(take):
            m.d.sync += went.eq(went + 1)
        return m
