"""Rescale: accumulator to code, the only multiply per output whose factors are both data."""

from functools import partial
from typing import Any

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.rescale import MAX_SHIFT, SCALE_BITS
from hw.lib import pipeline
from isa.latency import RESCALE

CLIP_BITS = 17
#: Two bits more than a constant's, so that its owner may double it twice; and the shift by so much more.
OFFSET_BITS = 42
SHIFTS = MAX_SHIFT + 3
#: A shift by so many places or more drops the lower part of a sum.
SPLIT = SHIFTS // 2


class Rescale(wiring.Component):
    """A group of G x C rescale lanes, row by row: ``clip((2 * t * scale + offset) >> shift)``, 0 where ``zero`` is set.

    Bit for bit `golden.rescale.rescale_folded` of ``2 * t``. Scale and offset of a lane are its column's or its row's:
    each is given for columns and for rows, 0 in the one that is not used, and the lane takes the OR.

    A pipeline without back-pressure: one group a cycle, out `latency` cycles after its scales.

    Parameters
    ----------
    rows, columns : int
        G, C.
    t_width : int
        Width of half a corrected accumulator, at most 34. Up to 26, each product is one DSP48E2.

    Members
    -------
    t : In(array of signed(t_width))
        `t_lag` cycles after the scales.
    column_scale, row_scale : In(array of signed 16)
    column_offset, row_offset : In(array of signed 42)
        `offset_lag` cycles after the scales.
    shift : In(0..33);  low, high : In(signed(17))
        Of this group, low <= high.
    zero : In(columns)
    o : Out(array of signed(17))
    """

    latency = RESCALE
    t_lag = 1
    offset_lag = 2

    def __init__(self, rows: int, columns: int, t_width: int):
        if not 2 <= t_width <= 34:
            raise ValueError(f"half an accumulator must be 2..34 bits wide, not {t_width}")
        self.rows, self.columns, self.t_width = rows, columns, t_width
        lanes = rows * columns
        super().__init__(
            {
                "t": In(data.ArrayLayout(signed(t_width), lanes)),
                "column_scale": In(data.ArrayLayout(signed(SCALE_BITS), columns)),
                "row_scale": In(data.ArrayLayout(signed(SCALE_BITS), rows)),
                "column_offset": In(data.ArrayLayout(signed(OFFSET_BITS), columns)),
                "row_offset": In(data.ArrayLayout(signed(OFFSET_BITS), rows)),
                "shift": In(range(SHIFTS)),
                "low": In(signed(CLIP_BITS)),
                "high": In(signed(CLIP_BITS)),
                "zero": In(columns),
                "o": Out(data.ArrayLayout(signed(CLIP_BITS), lanes)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()

        registered, delayed = partial(pipeline.registered, m), partial(pipeline.delayed, m)
        shift = registered(self.shift)
        is_far = shift >= SPLIT
        power = Signal(SPLIT)
        m.d.comb += power.eq(1 << (SPLIT - 1) >> Mux(is_far, shift - SPLIT, shift)[:5])
        far, near = delayed(Mux(is_far, power, 0), 2), delayed(Mux(is_far, 0, power), 2)
        low, high = delayed(self.low, 3), delayed(self.high, 3)
        minus_low, span = registered(-low), delayed((high - low)[:CLIP_BITS], 2)
        low_then, high_then = delayed(low, 3), delayed(high, 3)
        zero = delayed(self.zero, self.latency - 1)
        for row in range(self.rows):
            for column in range(self.columns):
                lane = row * self.columns + column
                scale = registered((self.column_scale[column] | self.row_scale[row]).as_signed())
                product = registered(self.t[lane] * scale)
                offset = self.column_offset[column] | self.row_offset[row]
                width = max(len(product), OFFSET_BITS)
                total = registered(_sum(product, offset[1:].as_signed(), width).as_signed())
                value, fits = self._shifted(registered, Cat(registered(offset[0]), total), far, near)

                # Clipped by its distance from the lower bound, so that a subtraction is a comparison too.
                above = registered(_sum(minus_low, value, CLIP_BITS + 1))
                fits, negative = registered(fits), delayed(total[-1], 2)
                below, above = above[-1], above[:CLIP_BITS]
                over = ~below & (span - above)[-1]
                inside = registered(Mux(fits & ~below & ~over, above, 0))
                use_high = registered(Mux(fits, over, ~negative))
                clipped = _sum(inside, Mux(use_high, high_then, low_then), CLIP_BITS)
                m.d.sync += self.o[lane].eq(Mux(zero[column], 0, clipped.as_signed()))
        return m

    def _shifted(self, registered, total, far, near):
        """The lowest bits of ``total >> shift``, a register later, and whether the others only repeat their sign.

        A shift right by s is a product with 2^(16 - s) without its low 16 bits: multipliers instead of a barrel shifter.
        The upper part of ``total`` moves to one of two places, so it has two products, one of them with 0.
        """
        lower, upper = Cat(total[:SPLIT], 0).as_signed(), total[SPLIT:].as_signed()
        far, near = Cat(far, 0).as_signed(), Cat(near, 0).as_signed()
        bits = len(upper) + SPLIT - 1
        upper_far = registered((upper * far)[:bits])[SPLIT - 1 :]
        upper_near = Cat(0, registered((upper * near)[:bits]))
        lower_near = registered((lower * near)[: 2 * SPLIT - 1])[SPLIT - 1 :]
        value = upper_far[:CLIP_BITS] | upper_near[:CLIP_BITS] | lower_near
        sign = CLIP_BITS - 1
        above_far = upper_far[sign:]
        above_near = Cat(upper_near[sign] | lower_near[sign], upper_near[CLIP_BITS:])
        fits = ~Cat(bit ^ bits[-1] for bits in (above_far, above_near) for bit in bits[:-1]).any()
        return value.as_signed(), fits


def _sum(register, value, width):
    """``register + value``, written as a difference, whose operands synthesis does not swap: what makes ``value`` then
    fits into the LUTs of the carry chain. The bit below the lowest takes away the 1 that ``-~value`` is too much."""
    return (Cat(0, register).as_signed() - Cat(1, ~value).as_signed())[1 : width + 1]
