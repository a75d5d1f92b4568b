"""Cells of a unit in primitives of UltraScale and UltraScale+: what a tool would have to find is said outright.

Everything is LUT6_2 and CARRY8, so the LUTs of a unit are counted, not estimated; registers are inferred as usual.
`PRIMITIVES` are models of the two for simulation and proof.
"""

from amaranth import Cat, Const, Instance, Signal

PRIMITIVES = """
module LUT6_2(input I0, I1, I2, I3, I4, I5, output O5, O6);
  parameter [63:0] INIT = 0;
  assign O5 = INIT[{1'b0, I4, I3, I2, I1, I0}];
  assign O6 = INIT[{I5, I4, I3, I2, I1, I0}];
endmodule

module CARRY8(input CI, CI_TOP, input [7:0] DI, S, output [7:0] CO, O);
  parameter CARRY_TYPE = "SINGLE_CY8";
  // An adder that propagates where S is set and else generates DI; written as one, it has no loops.
  wire [7:0] g = ~S & DI;
  wire [7:0] p = S | g;
  wire [4:0] low = {1'b0, p[3:0]} + {1'b0, g[3:0]} + {4'b0, CI};
  wire [4:0] high = {1'b0, p[7:4]} + {1'b0, g[7:4]} + {4'b0, CARRY_TYPE == "DUAL_CY4" ? CI_TOP : low[4]};
  assign O = {high[3:0], low[3:0]};
  wire [7:0] into = O ^ S;
  assign CO = {high[4], into[7:5], low[4], into[3:1]};
endmodule
"""


class Ultrascale:
    """The cells of `hw.engine.dpu.Plain`: the same bits in the same cycles."""

    suffix = "_ultrascale"

    def __init__(self, m):
        self._m = m

    def both(self, pairs):
        left, right = pairs
        outputs = []
        for i in range(0, len(left), 2):
            bits = [*left[i : i + 2], *right[i : i + 2]]
            if len(bits) == 2:
                bits = [bits[0], Const(0, 1), bits[1], Const(0, 1)]
            outputs += self._lut(bits, lambda a, c, b, d: a & b, lambda a, c, b, d: c & d)
        return Cat(outputs)[: len(left)]

    def add_pairs(self, p, q, e):
        outputs = [
            self._lut(
                bits,
                lambda a, b, c, d, e: (a & b) ^ (c & d) ^ e,
                lambda a, b, c, d, e: (a & b) + (c & d) + e > 1,
            )
            for bits in zip(*p, *q, e)
        ]
        return Cat(o6 for o6, _ in outputs), Cat(o5 for _, o5 in outputs)

    def count(self, groups):
        counted = [[] for _ in groups]
        large = []
        for number, bits in enumerate(groups):
            if len(bits) == 3:
                counted[number] = self._lut(bits, lambda a, b, c: a ^ b ^ c, lambda a, b, c: a + b + c > 1)
            else:
                large.append(number)
        # Two counters share the halves of a carry chain. The seventh bit is the carry into a half; the first LUT adds the
        # sixth to the parity of five, the second what those five carry: none, one or two.
        for pair in (large[i : i + 2] for i in range(0, len(large), 2)):
            di, s, ci = [], [], []
            for number in pair:
                bits = [*groups[number], *[Const(0, 1)] * (7 - len(groups[number]))]
                odd = self._lut(bits[:6], lambda *b: sum(b) % 2, lambda *b: sum(b[:5]) % 2)
                twos = self._lut(bits[:5], lambda *b: sum(b) // 2 == 1, lambda *b: sum(b) // 2 == 2)
                s.append(Cat(odd[0], twos[0], Const(0, 2)))
                di.append(Cat(odd[1], twos[1], Const(0, 2)))
                ci.append(bits[6])
            sums, carries = self._carry(Cat(di), Cat(s), *ci)
            for half, number in enumerate(pair):
                counted[number] = [sums[4 * half], sums[4 * half + 1], carries[4 * half + 1]]
        return counted

    def total(self, rows, invert):
        # Three rows to two through O5, which the same LUTs add. Inverted, ~x + ~y + ~z + 2 is ~(x + y + z).
        di, s, below = [], [], invert
        for bits in zip(*rows):
            sites = self._lut(
                [*bits, invert, below],
                lambda x, y, z, n, t: x ^ y ^ z ^ n ^ t,
                lambda x, y, z, n, t: (x ^ n) + (y ^ n) + (z ^ n) > 1,
            )
            s.append(sites[0])
            di.append(below)
            below = sites[1]
        return self._chain(di, s, invert)

    def accumulate(self, accumulator, first, twice, ones):
        s, di = [], []
        sign = ones[-1]
        for i, bit in enumerate(accumulator):
            one = ones[i] if i < len(ones) else sign
            lower = accumulator[i - 1] if i else Const(0, 1)
            sites = self._lut(
                [bit, lower, first, twice, one],
                lambda a, b, first, twice, one: (0 if first else b if twice else a) ^ one,
                lambda a, b, first, twice, one: one,
            )
            s.append(sites[0])
            di.append(sites[1])
        return self._chain(di, s, sign).as_signed()

    def _chain(self, di, s, carry):
        sums = []
        for i in range(0, len(s), 8):
            o, co = self._carry(Cat(di[i : i + 8]), Cat(s[i : i + 8]), carry)
            sums.append(o)
            carry = co[7]
        return Cat(sums)[: len(s)]

    def _carry(self, di, s, ci, ci_top=None):
        """O and CO of a CARRY8: one chain, or two of four with a carry each."""
        o, co = Signal(8), Signal(8)
        self._m.submodules += Instance(
            "CARRY8",
            p_CARRY_TYPE="SINGLE_CY8" if ci_top is None else "DUAL_CY4",
            i_CI=ci,
            i_CI_TOP=Const(0, 1) if ci_top is None else ci_top,
            i_DI=Cat(di, Const(0, 8))[:8],
            i_S=Cat(s, Const(0, 8))[:8],
            o_O=o,
            o_CO=co,
        )
        return o, co

    def _lut(self, inputs, function6, function5):
        """O6 and O5 of a LUT6_2. With six inputs ``function5`` must be ``function6`` where the last of them is 0."""
        inputs = [*inputs]
        count = len(inputs)

        def table(function):
            return sum(int(function(*(row >> i & 1 for i in range(count)))) << row for row in range(1 << min(count, 6)))

        if count == 6:
            init = table(function6)
            if any(function5(*(row >> i & 1 for i in range(6))) != init >> row & 1 for row in range(32)):
                raise ValueError("both outputs of a LUT with six inputs must agree where the last input is 0")
        else:
            low, high = (_widened(table(function), 1 << count) for function in (function5, function6))
            init = low | high << 32
            inputs += [Const(0, 1)] * (5 - count) + [Const(1, 1)]
        o6, o5 = Signal(), Signal()
        self._m.submodules += Instance(
            "LUT6_2", p_INIT=Const(init, 64), **{f"i_I{i}": bit for i, bit in enumerate(inputs)}, o_O6=o6, o_O5=o5
        )
        return [o6, o5]


def _widened(table, length):
    """A truth table of ``length`` rows as one of 32 that ignores the other inputs."""
    return sum(table << start for start in range(0, 32, length))
