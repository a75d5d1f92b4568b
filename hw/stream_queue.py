"""Queue in LUT memory, for what is passed on once a row."""

from amaranth import Module, Signal
from amaranth.hdl import Shape
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
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
        memory = Memory(shape=width, depth=self.depth, init=[], attrs={"ram_style": "distributed"})
        m.submodules.memory = memory
        write, read = memory.write_port(), memory.read_port()
        level = Signal(range(self.depth + 1))
        put, take, pass_on = Signal(), Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(level != self.depth),
            put.eq(self.i.valid & self.i.ready),
            pass_on.eq(~self.o.valid | self.o.ready),
            take.eq((level != 0) & pass_on),
            write.en.eq(put),
            write.data.eq(self.i.payload),
            # The output register is the port's. What it reads of an entry while that is written is not valid.
            read.en.eq(pass_on),
            self.o.payload.eq(read.data),
        ]
        m.d.sync += [level.eq(level + put - take), write.addr.eq(write.addr + put), read.addr.eq(read.addr + take)]
        with m.If(pass_on):
            m.d.sync += self.o.valid.eq(level != 0)
        return m
