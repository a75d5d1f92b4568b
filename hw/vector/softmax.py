"""Softmax over rows of integer scores, base 2, to unsigned codes."""

from amaranth import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring

from golden.softmax import EXPONENTIAL_BITS, EXPONENTIAL_TABLE, SCORE_FRACTION
from hw.lib.pipeline import delayed, delayed_valid, lane_mask, lookup, registered, tree
from hw.lib.stream_queue import StreamQueue
from hw.vector.code_queue import CodeQueue
from hw.vector.reciprocal import Reciprocal
from hw.vector.row_ring import RowRing
from hw.vector.row_unit import RowUnit, row_command
from isa import latency
from isa.instruction import Opcode
from isa.sizes import ROWS_BETWEEN_PASSES, ring_words, row_group_bits, softmax_sum_bits

#: One for each instruction. ``columns``, at least 1: keys at and beyond it are masked.
SOFTMAX_COMMAND = row_command(Opcode.SOFTMAX, "rows", "columns", "step", "step_shift", "bits")

#: The least bit length of a row sum: the maximum alone contributes 2^16 - 1.
LEAST_SHIFT = 16
#: At and beyond this shift every code is 0.
MOST_SHIFT = 34


class Softmax(RowUnit):
    """Softmax of rows. Bit for bit `golden.softmax.softmax`.

    Three passes over each row, each one element a cycle, on different rows at the same time: maximum, exponentials and
    their sum, codes. Rows wait between passes in rings of words, at most `ROWS_BETWEEN_PASSES` of them, so a row
    takes max(groups, (2 * groups + latency of a pass) / ROWS_BETWEEN_PASSES) cycles.

    Parameters
    ----------
    lanes : int
        L, a power of two.
    row_columns : int
        Longest row.

    Members
    -------
    i_command, i, o
        Of a `RowUnit`. What the later passes want of a command comes to them with each row.
    """

    opcode = Opcode.SOFTMAX

    def __init__(self, lanes, row_columns):
        self.row_columns = row_columns
        #: Bits of a group number within a row.
        self.group_bits = row_group_bits(row_columns, lanes)
        self.sum_bits = softmax_sum_bits(row_columns)
        super().__init__(lanes, SOFTMAX_COMMAND, codes=True, members={})

    @classmethod
    def of(cls, config):
        return cls(config.row_lanes, config.row_columns)

    @staticmethod
    def refuses(fields, sizes, config):
        return sizes.columns == 0

    def elaborate(self, platform):
        m = Module()
        command, entering = self._accept(m)
        scores, maxima = self._find_maxima(m, command, entering)
        powers, gains = self._raise(m, scores, maxima)
        self._encode(m, powers, gains)
        return m

    def _accept(self, m):
        """The instruction whose rows enter. The next one is taken with the last element of it."""
        command, entering = Signal(SOFTMAX_COMMAND), Signal()
        ends = Signal()
        m.d.comb += [
            ends.eq(self.i.valid & self.i.ready & self.i.p.ends),
            self.i_command.ready.eq(~entering | ends),
        ]
        with m.If(ends):
            m.d.sync += entering.eq(0)
        with m.If(self.i_command.valid & self.i_command.ready):
            m.d.sync += [command.eq(self.i_command.p), entering.eq(1)]
        return command, entering

    def _find_maxima(self, m, command, entering):
        """First pass: store the scores, find the maximum. Returns the ring of scores and the queue of maxima."""
        lanes = self.lanes
        m.submodules.scores = scores = RowRing(lanes * 16, ring_words(self.group_bits), ROWS_BETWEEN_PASSES)
        token = data.StructLayout({
            "row": 16, "last_group": self.group_bits, "ends": 1, "maximum": signed(16),
            **{name: SOFTMAX_COMMAND[name].shape for name in ("columns", "step", "step_shift", "bits")},
        })  # fmt: skip
        m.submodules.maxima = maxima = StreamQueue(token, ROWS_BETWEEN_PASSES)
        take, row_taken = Signal(), Signal()
        i = self.i.p
        m.d.comb += [
            self.i.ready.eq(entering & ~scores.o_full),
            take.eq(self.i.valid & self.i.ready),
            row_taken.eq(take & i.last),
            scores.i_claim.eq(take),
            scores.i_claim_row.eq(row_taken),
            scores.i_write.eq(take),
            scores.i_data.eq(Cat(i.values)),
        ]

        highest, counts = self._highest(
            m, [registered(m, value) for value in i.values], lane_mask(m, i.group, command.columns, lanes)
        )
        cycles = 1 + latency.tree(lanes)
        maximum = Signal(signed(16))
        first = delayed(m, i.first, cycles)
        with m.If(delayed_valid(m, take, cycles)[-1] & counts & (first | (highest > maximum))):
            m.d.sync += maximum.eq(highest)
        m.d.comb += [
            maxima.i.valid.eq(delayed_valid(m, row_taken, cycles + 1)[-1]),
            maxima.i.p.row.eq(delayed(m, i.row, cycles + 1)),
            maxima.i.p.last_group.eq(delayed(m, i.group[: self.group_bits], cycles + 1)),
            maxima.i.p.ends.eq(delayed(m, i.ends, cycles + 1)),
            maxima.i.p.maximum.eq(maximum),
        ]
        for name in ("columns", "step", "step_shift", "bits"):
            m.d.comb += maxima.i.p[name].eq(delayed(m, command[name], cycles + 1))
        return scores, maxima

    def _raise(self, m, scores, maxima):
        """Second pass: powers of two, their sum, its reciprocal. Returns the ring of powers and the queue of gains."""
        lanes = self.lanes
        m.submodules.powers = powers = RowRing(lanes * 16, ring_words(self.group_bits), ROWS_BETWEEN_PASSES)
        token = data.StructLayout({
            "row": 16, "last_group": self.group_bits, "ends": 1, "gain": 17, "shift": 5, "bits": 4,
        })  # fmt: skip
        m.submodules.gains = gains = StreamQueue(token, ROWS_BETWEEN_PASSES)
        group = Signal(self.group_bits)
        fire, row_summed = Signal(), Signal()
        m.d.comb += [
            fire.eq(maxima.o.valid & ~powers.o_full),
            row_summed.eq(fire & (group == maxima.o.p.last_group)),
            maxima.o.ready.eq(row_summed),
            scores.i_read.eq(fire),
            scores.i_read_row.eq(row_summed),
            powers.i_claim.eq(fire),
            powers.i_claim_row.eq(row_summed),
        ]
        with m.If(fire):
            m.d.sync += group.eq(Mux(row_summed, 0, group + 1))

        row = maxima.o.p
        maximum = delayed(m, row.maximum, 2)
        mask = lane_mask(m, delayed(m, group, 3), delayed(m, row.columns, 3), lanes)
        score_word = registered(m, scores.o_data)
        lane_powers = [
            self._power(m, maximum, score_word.word_select(lane, 16).as_signed(), mask[lane]) for lane in range(lanes)
        ]
        cycles = 6
        m.d.comb += [
            powers.i_write.eq(delayed_valid(m, fire, cycles)[-1]),
            powers.i_data.eq(Cat(lane_powers)),
        ]
        part = tree(m, lane_powers, lambda a, b: a + b)
        cycles += latency.tree(lanes)
        total = Signal(self.sum_bits)
        first = delayed(m, group == 0, cycles)
        with m.If(delayed_valid(m, fire, cycles)[-1]):
            m.d.sync += total.eq(Mux(first, 0, total) + part)
        m.submodules.reciprocal = reciprocal = Reciprocal(self.sum_bits)
        m.d.comb += [
            reciprocal.i_valid.eq(delayed_valid(m, row_summed, cycles + 1)[-1]),
            reciprocal.i.eq(total),
        ]
        cycles += 1 + reciprocal.latency
        gain = registered(m, reciprocal.o * delayed(m, row.step, cycles))
        shift = registered(m, reciprocal.o_exponent + delayed(m, row.step_shift, cycles))
        m.d.comb += [
            gains.i.valid.eq(delayed_valid(m, reciprocal.o_valid, 2)[-1]),
            *(gains.i.p[name].eq(delayed(m, row[name], cycles + 2)) for name in ("row", "ends", "bits")),
            gains.i.p.last_group.eq(delayed(m, group, cycles + 2)),
            gains.i.p.gain.eq(registered(m, gain >> 16)),
            gains.i.p.shift.eq(registered(m, Mux(shift > MOST_SHIFT, MOST_SHIFT, shift) - LEAST_SHIFT)),
        ]
        return powers, gains

    def _encode(self, m, powers, gains):
        """Third pass: multiply, shift, round, clip. Nothing stops it on its way."""
        lanes = self.lanes
        m.submodules.output = output = CodeQueue(lanes)
        group = Signal(self.group_bits)
        fire, row_coded = Signal(), Signal()
        token = gains.o.p
        m.d.comb += [
            fire.eq(gains.o.valid & output.o_room),
            row_coded.eq(fire & (group == token.last_group)),
            gains.o.ready.eq(row_coded),
            output.i_begin.eq(fire),
            powers.i_read.eq(fire),
            powers.i_read_row.eq(row_coded),
        ]
        with m.If(fire):
            m.d.sync += group.eq(Mux(row_coded, 0, group + 1))

        word = registered(m, powers.o_data)
        gain, shift = delayed(m, token.gain, 2), delayed(m, token.shift, 2)
        limit = delayed(m, registered(m, ((1 << token.bits) - 1)[:8]), 4)
        # A shift to the right as a product: the multipliers are there, the shifters would be as large as all the rest.
        span = MOST_SHIFT - LEAST_SHIFT
        factor = registered(m, Cat(shift == span - 1 - n for n in range(span)))
        codes = [self._code(m, word.word_select(lane, 16), gain, factor, limit) for lane in range(lanes)]
        cycles = 7
        m.d.comb += [
            output.i_valid.eq(delayed_valid(m, fire, cycles)[-1]),
            Cat(output.i.codes).eq(Cat(codes)),
            output.i.row.eq(delayed(m, token.row, cycles)),
            output.i.group.eq(delayed(m, group, cycles)),
            output.i.last.eq(delayed(m, row_coded, cycles)),
            output.i.ends.eq(delayed(m, row_coded & token.ends, cycles)),
        ]
        wiring.connect(m, output.o, wiring.flipped(self.o))

    def _highest(self, m, values, mask):
        """The highest of the values that count, and whether any does, `isa.latency.tree` cycles later.

        Lanes that count come first: where a pair's second half does, so does its first.
        """
        if len(values) == 1:
            return values[0], mask[0]
        highest = [
            registered(m, Mux(counts & (b > a), b, a))
            for a, b, counts in zip(values[::2], values[1::2], mask[1::2], strict=True)
        ]
        return self._highest(m, highest, [registered(m, counts) for counts in mask[::2]])

    def _power(self, m, maximum, score, counts):
        """``2^((score - maximum) / 64)``, or 0, four cycles later; ``counts`` comes two cycles after the score."""
        # Only masked lanes, which do not count, can be above the maximum.
        distance = registered(m, (maximum - score)[:16])
        fraction = registered(m, lookup(m, EXPONENTIAL_TABLE, EXPONENTIAL_BITS, distance[:SCORE_FRACTION]))
        whole = distance[SCORE_FRACTION:]
        # To the right by up to 3, then by up to 3 times 4, as products.
        by_ones = registered(m, Cat(whole[:2] == 3 - n for n in range(4)))
        fours, gone = registered(m, whole[2:4]), registered(m, whole[4:].any())
        shifted = registered(m, fraction * by_ones)
        by_fours = registered(m, Cat((fours == 3 - n) & counts & ~gone for n in range(4)))
        factor = Cat(Cat(bit, Const(0, 3)) for bit in by_fours)
        return registered(m, (shifted * factor)[15:31])

    def _code(self, m, power, gain, factor, limit):
        """``power * gain >> LEAST_SHIFT + shift``, rounded and clipped, five cycles later.

        ``factor`` is ``2^(17 - shift)``, one cycle after ``gain``, 0 for a shift of 18; ``limit`` comes three after it.
        Rounding at a shift of 0, which would need a bit more, makes no difference: the sum of such a row is its maximum, all
        else is 0.
        """
        product = registered(m, power * gain)
        shifted = registered(m, (product[LEAST_SHIFT:] * factor)[16:35])
        code = registered(m, (shifted[:9] + 1)[1:])
        beyond = registered(m, shifted[9:].any())
        over = registered(m, beyond | code[8] | (code[:8] & ~limit).any())
        return registered(m, Mux(over, registered(m, limit), registered(m, code[:8])))
