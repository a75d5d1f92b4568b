"""Row statistics of a norm: from the sums over a row to its mean and the factor that normalises it."""

from amaranth import Cat, Module, Mux, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.layernorm import MAX_WIDTH_BITS, MEAN_FRACTION, WIDTH_RECIPROCAL_BITS
from hw.pipeline import delayed, delayed_valid, held
from hw.reciprocal import ReciprocalSqrt

#: Sums over at most 2^12 - 1 elements of 16 bits.
TOTAL_BITS = 16 + MAX_WIDTH_BITS
SQUARES_BITS = 31 + MAX_WIDTH_BITS
MEAN_BITS = 17 + MEAN_FRACTION
SPREAD_BITS = 56

#: What holds for all rows of an instruction. ``mantissa`` is ``width << lift``, with its top bit set.
NORM_WIDTH = data.StructLayout({
    "width": MAX_WIDTH_BITS, "mantissa": MAX_WIDTH_BITS, "lift": 4, "width_reciprocal": WIDTH_RECIPROCAL_BITS,
    "epsilon": 32, "rms": 1,
})  # fmt: skip


class NormStatistics(wiring.Component):
    """The row's part of `golden.layernorm.normalise`. A row every cycle, `latency` cycles, no back-pressure.

    Members
    -------
    i_width : In
        `NORM_WIDTH`, held while rows are under way.
    i_valid, i_total, i_squares : In
        Sum and sum of squares of a row.
    o_valid, o_mean, o_gain, o_shift : Out
        ``normal = ((x << 6) - mean) * gain >> shift``, rounded.
    """

    _sums = 5
    _gain = 2

    def __init__(self):
        self._root = ReciprocalSqrt(SPREAD_BITS)
        self.latency = self._sums + self._root.latency + self._gain
        super().__init__({
            "i_width": In(NORM_WIDTH),
            "i_valid": In(1), "i_total": In(signed(TOTAL_BITS)), "i_squares": In(SQUARES_BITS),
            "o_valid": Out(1), "o_mean": Out(signed(MEAN_BITS)), "o_gain": Out(17), "o_shift": Out(6),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.root = root = self._root
        width, reciprocal = self.i_width.width, self.i_width.width_reciprocal

        # Products wider than a DSP slice in halves, one register after each slice and each addition.
        total = held(m, Mux(self.i_width.rms, 0, self.i_total).as_signed())
        squares = held(m, self.i_squares)
        half = TOTAL_BITS // 2
        low, high = total[:half], total[half:].as_signed()

        weighted_low, weighted_high = held(m, squares[:22] * width), held(m, squares[22:] * width)
        low_low, low_high, high_high = held(m, low * low), held(m, low * high), held(m, high * high)
        weighted = held(m, weighted_low + (weighted_high << 22))
        square = held(m, Cat(low_low, high_high[: 2 * half]) + (low_high << (half + 1)))
        spread = held(m, (weighted - square)[:SPREAD_BITS])
        m.d.comb += [
            root.i.eq(held(m, spread + self.i_width.epsilon)),
            root.i_valid.eq(delayed_valid(m, self.i_valid, self._sums)[-1]),
        ]

        parts = [[held(m, factor * word) for word in (reciprocal[:16], reciprocal[16:])] for factor in (low, high)]
        mean_low, mean_high = (held(m, first + (second << 16)) for first, second in parts)
        mean = held(m, mean_low + (mean_high << half))
        drop = WIDTH_RECIPROCAL_BITS - MEAN_FRACTION
        mean = held(m, ((mean + (1 << (drop - 1))) >> drop)[:MEAN_BITS])

        product = held(m, root.o * self.i_width.mantissa)
        shift = held(m, root.o_exponent + self.i_width.lift)
        m.d.comb += [
            self.o_valid.eq(delayed_valid(m, root.o_valid, self._gain)[-1]),
            self.o_mean.eq(delayed(m, mean, root.latency + self._gain)),
            self.o_gain.eq(held(m, product[MAX_WIDTH_BITS:])),
            self.o_shift.eq(held(m, shift[:6])),
        ]
        return m
