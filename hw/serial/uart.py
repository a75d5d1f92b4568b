"""UART: bytes over one wire each way, 8 data bits, no parity, one stop bit."""

from typing import Any

from amaranth import Cat, Const, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

#: A byte, and whether it or one before it was lost or damaged.
RECEIVED = data.StructLayout({"data": 8, "error": 1})


def _check_divisor(divisor):
    if divisor < 1:
        raise ValueError(f"a bit must last at least 1 cycle, not {divisor}")


class UartReceiver(wiring.Component):
    """Bytes from a wire.

    Parameters
    ----------
    divisor : int
        Cycles of a bit. With fewer than 4 the sender must run on this clock, as in a simulation.

    Members
    -------
    i : In(1)
        The wire, asynchronous; high when idle.
    o : Out(stream of `RECEIVED`)
        Holds one byte. One that comes while it is full is lost, and the next says so; a byte without stop bit too has
        ``error``, and its data mean nothing.
    """

    def __init__(self, divisor: int):
        _check_divisor(divisor)
        self.divisor = divisor
        super().__init__({"i": In(1), "o": Out(stream.Signature(RECEIVED))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        line = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.i, line, init=1)
        # From the edge of the start bit to the middle of the first data bit, then from middle to middle.
        first, next_bit = self.divisor + self.divisor // 2 - 1, self.divisor - 1
        wait = Signal(range(first + 1))
        bits = Signal(8)
        place = Signal(range(10))
        lost = Signal()
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [wait.eq(first), place.eq(0)]
                with m.If(~line):
                    m.next = "BITS"
            with m.State("BITS"):
                m.d.sync += wait.eq(wait - 1)
                with m.If(wait == 0):
                    m.d.sync += [wait.eq(next_bit), place.eq(place + 1)]
                    with m.If(place < 8):
                        m.d.sync += bits.eq(Cat(bits[1:], line))
                    with m.Else():
                        with m.If(self.o.valid & ~self.o.ready):
                            m.d.sync += lost.eq(1)
                        with m.Else():
                            m.d.sync += [
                                self.o.valid.eq(1), self.o.p.data.eq(bits), self.o.p.error.eq(lost | ~line), lost.eq(0),
                            ]  # fmt: skip
                        m.next = "IDLE"
                        with m.If(~line):
                            m.next = "BREAK"
            # The wire is low for longer than a byte: cut, or another speed. A byte can only begin after it was high.
            with m.State("BREAK"), m.If(line):
                m.next = "IDLE"
        return m


class UartTransmitter(wiring.Component):
    """Bytes to a wire, back to back.

    Parameters
    ----------
    divisor : int
        Cycles of a bit.

    Members
    -------
    i : In(stream of 8 bits)
    o : Out(1)
    """

    def __init__(self, divisor: int):
        _check_divisor(divisor)
        self.divisor = divisor
        super().__init__({"i": In(stream.Signature(8)), "o": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        bits = Signal(10)  # those to come; the highest one set is the stop bit, so 0 is the end
        wait = Signal(range(self.divisor + 1))
        line = Signal(init=1)
        m.d.comb += [self.i.ready.eq((bits == 0) & (wait == 0)), self.o.eq(line)]
        with m.If(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        with m.Elif(bits != 0):
            m.d.sync += [line.eq(bits[0]), bits.eq(bits >> 1), wait.eq(self.divisor - 1)]
        with m.Elif(self.i.valid):
            m.d.sync += [line.eq(0), bits.eq(Cat(self.i.payload, Const(1, 1))), wait.eq(self.divisor - 1)]
        return m
