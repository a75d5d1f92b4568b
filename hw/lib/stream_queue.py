"""Queue in LUT memory."""

from typing import Any

from amaranth import Module, Mux, Signal
from amaranth.hdl import Shape, ShapeLike
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from isa.latency import STREAM_QUEUE


class StreamQueue(wiring.Component):
    """Holds ``depth`` payloads and one more at its output, a register. One payload a cycle, `latency` cycles later; less
    while it is full, which a depth of 2 nearly always is.

    Parameters
    ----------
    shape : ShapeLike
    depth : int
        A power of two.

    Members
    -------
    i : In(stream);  o : Out(stream)
    """

    latency = STREAM_QUEUE

    def __init__(self, shape: ShapeLike, depth: int):
        if depth < 2 or depth & (depth - 1):
            raise ValueError(f"the depth of a queue must be a power of two, at least 2, not {depth}")
        self.shape, self.depth = shape, depth
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        width = Shape.cast(self.shape).width
        memory = Memory(shape=width, depth=self.depth, init=[], attrs={"ram_style": "distributed"})
        m.submodules.memory = memory
        write, read = memory.write_port(), memory.read_port()
        # How many payloads came and went, modulo twice the depth.
        came, went = Signal(range(2 * self.depth)), Signal(range(2 * self.depth))
        put, take, pass_on = Signal(), Signal(), Signal()
        held = Signal(range(2 * self.depth))
        ready = Signal(init=1)
        m.d.comb += [
            self.i.ready.eq(ready),
            put.eq(self.i.valid & ready),
            held.eq(came - went),
            pass_on.eq(~self.o.valid | self.o.ready),
            take.eq((came != went) & pass_on),
            write.addr.eq(came),
            write.data.eq(self.i.payload),
            write.en.eq(put),
            # The output register is the port's. What it reads of an entry while that is written is not valid.
            read.addr.eq(went),
            read.en.eq(pass_on),
            self.o.payload.eq(read.data),
        ]
        # Room is noticed a cycle late, so that `ready` waits for nobody.
        m.d.sync += ready.eq(Mux(put, held != self.depth - 1, held != self.depth))
        with m.If(put):
            m.d.sync += came.eq(came + 1)
        with m.If(take):
            m.d.sync += went.eq(went + 1)
        with m.If(pass_on):
            m.d.sync += self.o.valid.eq(came != went)
        return m
