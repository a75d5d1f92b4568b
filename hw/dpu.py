"""DPU: one dot-product unit of the array, counting K bit pairs a cycle into an accumulator."""

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.pipeline import held


class Dpu(wiring.Component):
    """Count bits that are set in both words; accumulate over words and plane pairs by Horner.

    A data path without reset or back-pressure. One entry of `golden.qmm.count`.

    Parameters
    ----------
    depth : int
        K, bits per word.
    accumulator_bits : int

    Members
    -------
    left, right : In(depth)
    first, twice, subtract : In
        Valid `latency` - 1 cycles after their words: start from zero; double before adding; subtract. ``enable``
        likewise: without it the accumulator holds.
    enable : In
    load : In
        Copy the accumulator, as it is now, to the drain register.
    shift : In
        Take the drain register from ``chain_in``, the unit below, instead.
    chain_in : In(signed(accumulator_bits));  chain_out : Out(signed(accumulator_bits))
        The drain register, so that tiles leave while the next one accumulates.
    """

    #: Cycles from words to the updated accumulator.
    latency = 4

    def __init__(self, depth, accumulator_bits):
        self.depth = depth
        self.accumulator_bits = accumulator_bits
        super().__init__(
            {
                "left": In(depth),
                "right": In(depth),
                "first": In(1),
                "twice": In(1),
                "subtract": In(1),
                "enable": In(1),
                "load": In(1),
                "shift": In(1),
                "chain_in": In(signed(accumulator_bits)),
                "chain_out": Out(signed(accumulator_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()

        # Three pairs make a number of two bits: six inputs, two LUTs.
        pairs = self.left & self.right
        threes = [held(m, _total(pairs[i : i + 3])) for i in range(0, self.depth, 3)]
        fours = [held(m, _tree(threes[i : i + 4])) for i in range(0, len(threes), 4)]
        ones = held(m, _tree(fours))

        accumulator = Signal(signed(self.accumulator_bits), reset_less=True)
        before = Mux(self.first, 0, Mux(self.twice, accumulator << 1, accumulator))
        with m.If(self.enable):
            # One adder: a - b as a + ~b + 1.
            m.d.sync += accumulator.eq(
                before + (Cat(ones, 0) ^ self.subtract.replicate(len(ones) + 1)).as_signed() + self.subtract
            )
        with m.If(self.load):
            m.d.sync += self.chain_out.eq(accumulator)
        with m.Elif(self.shift):
            m.d.sync += self.chain_out.eq(self.chain_in)
        return m


def _total(bits):
    return sum(bits[1:], bits[0])


def _tree(terms):
    terms = list(terms)
    while len(terms) > 1:
        terms = [a + b for a, b in zip(terms[::2], terms[1::2])] + ([terms[-1]] if len(terms) % 2 else [])
    return terms[0]
