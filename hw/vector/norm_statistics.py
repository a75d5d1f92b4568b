"""Row statistics of a norm: from the sums over a row to its mean and the factor that normalises it."""

from typing import Any

from amaranth import Cat, Module, Mux, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.layernorm import MAX_WIDTH_BITS, MEAN_FRACTION, WIDTH_RECIPROCAL_BITS
from hw.lib.pipeline import delayed, delayed_valid, lookup, registered
from hw.vector.reciprocal import ReciprocalSqrt
from isa import latency
from isa.latency import NORM_GAIN, NORM_SPREAD_BITS, NORM_SUMS

#: Sums over at most 2^12 - 1 elements of 16 bits.
TOTAL_BITS = 16 + MAX_WIDTH_BITS
SQUARES_BITS = 31 + MAX_WIDTH_BITS
MEAN_BITS = 17 + MEAN_FRACTION
#: Most that a product of the normalisation is shifted: half of the bits of a spread, and a width's 10.
MOST_SHIFT = NORM_SPREAD_BITS // 2 - 1 + MAX_WIDTH_BITS - 2

#: Shifts ``WINDOW_STEP * n`` and up become ``WINDOW_STEP * n + WINDOW_STEP - 1``, by a larger factor.
WINDOW_STEP = 10
#: What remains of those once the elements need not be scaled by ``2^MEAN_FRACTION``.
WINDOWS = [shift - MEAN_FRACTION for shift in range(WINDOW_STEP - 1, MOST_SHIFT + WINDOW_STEP, WINDOW_STEP)]
FACTOR_BITS = 17 + WINDOW_STEP - 1
OFFSET_BITS = MEAN_BITS + FACTOR_BITS - MEAN_FRACTION

#: What is the same for all rows of an instruction. ``mantissa`` is ``width << lift``, with its top bit set.
NORM_WIDTH = data.StructLayout({
    "width": MAX_WIDTH_BITS, "mantissa": MAX_WIDTH_BITS, "lift": 4, "width_reciprocal": WIDTH_RECIPROCAL_BITS,
    "epsilon": 32, "rms": 1,
})  # fmt: skip


class NormStatistics(wiring.Component):
    """The row's part of `golden.layernorm.normalise`. A row every cycle, `latency` cycles, no back-pressure.

    Members
    -------
    i_valid, i_total, i_squares, i_width : In
        Sum and sum of squares of a row, and its `NORM_WIDTH`.
    o_valid, o_factor, o_offset, o_window : Out
        ``normal = x * factor + offset >> WINDOWS[window]``: mean, gain, shift and rounding of the reference in a form
        that leaves the lanes one product, one sum and a choice of four.
    """

    def __init__(self) -> None:
        self._root = ReciprocalSqrt(NORM_SPREAD_BITS)
        self.latency = latency.norm_statistics()
        super().__init__({
            "i_width": In(NORM_WIDTH),
            "i_valid": In(1), "i_total": In(signed(TOTAL_BITS)), "i_squares": In(SQUARES_BITS),
            "o_valid": Out(1), "o_factor": Out(FACTOR_BITS), "o_offset": Out(signed(OFFSET_BITS)), "o_window": Out(2),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.root = root = self._root
        width, reciprocal = registered(m, self.i_width.width), registered(m, self.i_width.width_reciprocal)

        # Products wider than a DSP slice in halves, one register after each slice and each addition.
        total = registered(m, Mux(self.i_width.rms, 0, self.i_total).as_signed())
        squares = registered(m, self.i_squares)
        half = TOTAL_BITS // 2
        low, high = total[:half], total[half:].as_signed()

        weighted_low, weighted_high = registered(m, squares[:22] * width), registered(m, squares[22:] * width)
        low_low, low_high, high_high = registered(m, low * low), registered(m, low * high), registered(m, high * high)
        weighted = registered(m, weighted_low + (weighted_high << 22))
        square = registered(m, Cat(low_low, high_high[: 2 * half]) + (low_high << (half + 1)))
        spread = registered(m, (weighted - square)[:NORM_SPREAD_BITS])
        m.d.comb += [
            root.i.eq(registered(m, spread + delayed(m, self.i_width.epsilon, NORM_SUMS - 1))),
            root.i_valid.eq(delayed_valid(m, self.i_valid, NORM_SUMS)[-1]),
        ]

        parts = [[registered(m, factor * word) for word in (reciprocal[:16], reciprocal[16:])] for factor in (low, high)]
        mean_low, mean_high = (registered(m, first + (second << 16)) for first, second in parts)
        mean = registered(m, mean_low + (mean_high << half))
        drop = WIDTH_RECIPROCAL_BITS - MEAN_FRACTION
        mean = registered(m, ((mean + (1 << (drop - 1))) >> drop)[:MEAN_BITS].as_signed())
        minus_mean = registered(m, (-mean)[:MEAN_BITS].as_signed())

        cycles = NORM_SUMS + root.latency
        product = registered(m, root.o * delayed(m, self.i_width.mantissa, cycles))
        gain = registered(m, product[MAX_WIDTH_BITS:])
        shift = registered(m, (registered(m, root.o_exponent + delayed(m, self.i_width.lift, cycles)))[:6])
        # Scaled by 2^(a window's shift - the row's), one of ten powers.
        shifts = range(MOST_SHIFT + 1)
        places = [1 << (WINDOW_STEP - 1 - n % WINDOW_STEP) for n in shifts]
        place = registered(m, lookup(m, places, WINDOW_STEP, shift))
        window = registered(m, lookup(m, [n // WINDOW_STEP for n in shifts], 2, shift))
        factor = registered(m, (registered(m, gain) * place)[:FACTOR_BITS])
        window = registered(m, window)

        minus_mean = delayed(m, minus_mean, root.latency + 3)
        half = MEAN_BITS // 2
        low, high = minus_mean[:half], minus_mean[half:].as_signed()
        low, high = registered(m, low * factor), registered(m, high * factor)
        product = registered(m, ((low + (high << half)) >> MEAN_FRACTION)[:OFFSET_BITS])
        rounding = registered(m, Cat(delayed(m, window, 1) == n for n in range(len(WINDOWS))))
        rounding = sum(rounding[n] << (WINDOWS[n] - 1) for n in range(len(WINDOWS)))
        m.d.comb += [
            self.o_valid.eq(delayed_valid(m, root.o_valid, NORM_GAIN)[-1]),
            self.o_factor.eq(delayed(m, factor, 3)),
            self.o_offset.eq(registered(m, product + rounding)),
            self.o_window.eq(delayed(m, window, 3)),
        ]
        return m
