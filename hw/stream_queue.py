"""Queue in registers, for what is passed on once a row."""

from amaranth import Array, Module, Signal
from amaranth.hdl import Shape
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class StreamQueue(wiring.Component):
    """Holds ``depth`` payloads and one more at its output, a register. One payload a cycle, `latency` cycles later.

    Parameters
    ----------
    shape : ShapeLike
    depth : int
        A power of two.

    Members
    -------
    i : In(stream);  o : Out(stream)
    """

    latency = 2

    def __init__(self, shape, depth):
        if depth < 2 or depth & (depth - 1):
            raise ValueError(f"the depth of a queue must be a power of two, at least 2, not {depth}")
        self.shape, self.depth = shape, depth
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        width = Shape.cast(self.shape).width
        entries = Array(Signal(width, name=f"entry{n}", reset_less=True) for n in range(self.depth))
        write, read = Signal(range(self.depth)), Signal(range(self.depth))
        level = Signal(range(self.depth + 1))
        put, take = Signal(), Signal()
        payload = Signal(width)
        m.d.comb += [
            self.i.ready.eq(level != self.depth),
            put.eq(self.i.valid & self.i.ready),
            take.eq((level != 0) & (~self.o.valid | self.o.ready)),
            payload.eq(self.i.payload),
        ]
        m.d.sync += [level.eq(level + put - take), write.eq(write + put), read.eq(read + take)]
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [self.o.valid.eq(level != 0), self.o.payload.eq(entries[read])]
        with m.If(put):
            m.d.sync += entries[write].eq(payload)
        return m
