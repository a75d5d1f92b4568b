"""Reciprocal and reciprocal square root of integers: normalise, look up, one Newton step."""

from typing import Any

from amaranth import Cat, Const, Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.reciprocal import (
    MANTISSA_MAX,
    RECIPROCAL_ENTRY_BITS,
    RECIPROCAL_TABLE,
    RSQRT_ENTRY_BITS,
    RSQRT_TABLE,
)
from hw.lib.pipeline import delayed, delayed_valid, lookup, registered
from isa import latency


def _normalised(m, x, steps):
    """``x`` shifted left until its top ``steps[-1]`` bits are not all 0, and the shift in units of ``steps[-1]``."""
    moved = []
    for step in steps:
        clear = ~x[-step:].any()
        x = registered(m, Mux(clear, x << step, x)[: len(x)])
        moved = [registered(m, bit) for bit in [*moved, clear]]
    return x, Cat(reversed(moved))


def _mantissa(value):
    return Mux(value > MANTISSA_MAX, MANTISSA_MAX, value[:17])


class _Pipeline(wiring.Component):
    """``valid`` and ``o_valid`` bound a pipeline of `latency` cycles; an input every cycle, no back-pressure."""

    def __init__(self, width, cycles):
        if not 18 <= width <= 62:
            raise ValueError(f"the width of the argument must be in 18..62, not {width}")
        self.width = width
        #: Width of the normalised argument: a power of two, so that its shift is a plain binary number.
        self.wide = 1 << (width - 1).bit_length()
        self.latency = cycles
        super().__init__({
            "i_valid": In(1), "i": In(width),
            "o_valid": Out(1), "o": Out(17), "o_exponent": Out(6),
        })

    def _normalise(self, m, least):
        steps = [1 << n for n in reversed(range(least, self.wide.bit_length() - 1))]
        return _normalised(m, Cat(self.i, Const(0, self.wide - self.width)), steps)

    def _finish(self, m, product, exponent):
        m.d.comb += self.o_valid.eq(delayed_valid(m, self.i_valid, self.latency)[-1])
        m.d.sync += self.o.eq(_mantissa(product >> 15))
        m.d.comb += self.o_exponent.eq(delayed(m, exponent, 5))


class Reciprocal(_Pipeline):
    """Bit for bit `golden.reciprocal.reciprocal`. One result a cycle, `latency` cycles after its argument.

    Parameters
    ----------
    width : int
        Of the argument, 18..62.

    Members
    -------
    i_valid, i : In
        The argument, at least 1.
    o_valid, o, o_exponent : Out
        Mantissa and bit length.
    """

    def __init__(self, width: int):
        super().__init__(width, latency.reciprocal(width))

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        x, zeros = self._normalise(m, 0)
        mantissa = x[-17:]
        y0 = registered(m, lookup(m, RECIPROCAL_TABLE, RECIPROCAL_ENTRY_BITS, mantissa[9:16]))
        product = registered(m, registered(m, mantissa) * y0)
        # 2 - m * y0 is within 2^-7 of 1: 22 fraction bits and one before them.
        error = registered(m, ((1 << 27) - product)[4:27])
        product = registered(m, error * delayed(m, y0, 2))
        self._finish(m, product, (self.wide - zeros)[:6])
        return m


class ReciprocalSqrt(_Pipeline):
    """Bit for bit `golden.reciprocal.reciprocal_sqrt`. One result a cycle, `latency` cycles after its argument.

    Parameters
    ----------
    width : int
        Of the argument, 18..62.

    Members
    -------
    i_valid, i : In
        The argument, at least 1.
    o_valid, o, o_exponent : Out
        Mantissa and half the bit length.
    """

    def __init__(self, width: int):
        super().__init__(width, latency.reciprocal_sqrt(width))

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        x, pairs = self._normalise(m, 1)
        mantissa = x[-18:]
        y0 = registered(m, lookup(m, RSQRT_TABLE, RSQRT_ENTRY_BITS, mantissa[10:]))
        square = registered(m, lookup(m, RSQRT_TABLE * RSQRT_TABLE >> 6, 17, mantissa[10:]))
        product = registered(m, registered(m, mantissa) * square)
        # 3 - m * y0^2 is within 2^-5 of 2: 20 fraction bits and two before them.
        error = registered(m, (3 * (1 << 32) - product)[12:34])
        product = registered(m, error * delayed(m, y0, 2))
        self._finish(m, product, (self.wide // 2 - 1 - pairs)[:6])
        return m
