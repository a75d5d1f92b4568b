"""Rescale: accumulator to code, the only multiply per output."""

from functools import partial

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw import pipeline


class Rescale(wiring.Component):
    """A group of rescale lanes. Bit for bit `golden.rescale.rescale_folded`, then 0 where ``zero`` is set.

    A pipeline without back-pressure: one group a cycle, out `latency` cycles later.

    Parameters
    ----------
    lanes : int
    t_width : int
        Width of a corrected accumulator, at most 35. Up to 27, a DSP48E2 multiplies in one piece.

    Members
    -------
    t : In(array of signed(t_width));  scale : In(array of signed 16);  offset : In(array of signed 40)
    shift : In(5);  low, high : In(signed(17))
        Of this group.
    zero : In(lanes)
    o : Out(array of signed(17))
    """

    latency = 6

    def __init__(self, lanes, t_width):
        if not 2 <= t_width <= 35:
            raise ValueError(f"the width of an accumulator must be in 2..35, not {t_width}")
        self.lanes, self.t_width = lanes, t_width
        super().__init__(
            {
                "t": In(data.ArrayLayout(signed(t_width), lanes)),
                "scale": In(data.ArrayLayout(signed(16), lanes)),
                "offset": In(data.ArrayLayout(signed(40), lanes)),
                "shift": In(5),
                "low": In(signed(17)),
                "high": In(signed(17)),
                "zero": In(lanes),
                "o": Out(data.ArrayLayout(signed(17), lanes)),
            }
        )

    def elaborate(self, platform):
        m = Module()

        held, delayed = partial(pipeline.held, m), partial(pipeline.delayed, m)
        shift = delayed(self.shift, 3)
        coarse, fine = shift[3:], held(shift[:3])
        low, high = delayed(self.low, 5), delayed(self.high, 5)
        zero = delayed(self.zero, 5)
        for lane in range(self.lanes):
            product = held(held(self.t[lane]) * held(self.scale[lane]))
            total = held(product + delayed(self.offset[lane], 2))
            # The barrel shifter in two steps; what no longer fits 18 bits is beyond any clip bound.
            by_eights = held(total >> (coarse << 3))
            shifted = Signal(signed(len(by_eights)), name=f"shifted{lane}")
            m.d.comb += shifted.eq(by_eights >> fine)
            top = shifted[17:]
            fits = ~top.any() | top.all()
            value = held(Mux(fits, shifted[:18].as_signed(), Mux(shifted[-1], -(1 << 17), (1 << 17) - 1)))
            clipped = Mux(value < low, low, Mux(value > high, high, value))
            m.d.sync += self.o[lane].eq(Mux(zero[lane], 0, clipped))
        return m
