"""Residual sum, LayerNorm and RMSNorm over rows, to the residual memory and to codes."""

from types import SimpleNamespace

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.layernorm import MAX_WIDTH_BITS, NORMAL_FRACTION
from hw.lib.pipeline import delayed, delayed_valid, lane_mask, registered, saturated, tree
from hw.lib.stream_queue import StreamQueue
from hw.vector.code_queue import CodeQueue
from hw.vector.norm_statistics import (
    FACTOR_BITS,
    NORM_WIDTH,
    OFFSET_BITS,
    SQUARES_BITS,
    TOTAL_BITS,
    WINDOWS,
    NormStatistics,
)
from hw.vector.row_memory import RowMemory
from hw.vector.row_ring import RowRing
from hw.vector.row_stream import load_chunk
from hw.vector.row_unit import RowUnit, row_command
from isa import latency
from isa.config import Uram
from isa.instruction import Opcode
from isa.sizes import CODES_WAITING, ROWS_BETWEEN_PASSES, ring_words, row_group_bits

#: One for each instruction. ``columns`` is 2..4095.
NORM_COMMAND = row_command(
    Opcode.NORM, "rows", "columns", "rms", "keep_sum", "width_reciprocal", "epsilon", "residual_shift", "code_shift", "low",
    "high", "residual_base", "constant_base",
)  # fmt: skip

#: Word of the norm memory: one of these for each lane.
NORM_CONSTANTS = data.StructLayout({
    "residual_scale": signed(16), "residual_offset": signed(16), "code_scale": signed(16), "code_offset": signed(16),
})  # fmt: skip


#: What the second pass wants to know of a command.
SECOND_PASS = ("columns", "keep_sum", "residual_shift", "code_shift", "low", "high", "constant_base")

#: Bits of a normalised value before it is clipped to 18.
ROOM = 20
#: Bits of the low half of an affine map's total, of 35, the high one is signed.
HALF = 17
#: Where in their products with a factor (see `_shift_factors`) half the shifted total begins.
NEAR_PLACE, FAR_PLACE = 24, 13


class LayerNorm(RowUnit):
    """``golden.residual.add_residual``, then ``golden.layernorm``, bit for bit. Holds residual stream and norm constants.

    Two passes over each row, one element a cycle, on different rows at the same time: residual sum and its statistics;
    normalised values and both affine maps. Rows wait in between in a ring of words, at most `ROWS_BETWEEN_PASSES`, so
    a row takes max(groups, (2 * groups + latency) / ROWS_BETWEEN_PASSES) cycles.

    Element by element of the rows the residual memory is read, and written, from ``residual_base`` up; columns that
    are not real are written as 0. Rows of one command enter while those of the one before are under way, unless both would
    write the residual memory, one in its second and the other in its first pass.

    Parameters
    ----------
    lanes : int
        L, a power of two.
    row_columns : int
        Longest row.
    residual_depth, norm_depth : int
        Words of L elements, of L constants.
    axi_bits : int
    residual_ultra : bool
        The residual memory is UltraRAM.

    Members
    -------
    i_command, i, o
        Of a `RowUnit`. The rows are updates to the residual stream. When the last codes have left, the residual memory is
        written too. What the second pass wants of a command comes to it with each row.
    i_load_residual, i_load_norm : In(stream)
        `hw.vector.row_stream.load_chunk`, of a LOAD.
    o_saturated : Out
        Elements that saturated, counted in this cycle.
    """

    opcode = Opcode.NORM

    def __init__(self, lanes, row_columns, residual_depth, norm_depth, axi_bits, residual_ultra=False):
        self.row_columns, self.residual_ultra = row_columns, residual_ultra
        self.residual_depth, self.norm_depth, self.axi_bits = residual_depth, norm_depth, axi_bits
        #: Bits of a group number within a row.
        self.group_bits = row_group_bits(row_columns, lanes)
        super().__init__(lanes, NORM_COMMAND, codes=True, members={
            "i_load_residual": In(stream.Signature(load_chunk(lanes * 16, axi_bits))),
            "i_load_norm": In(stream.Signature(load_chunk(lanes * NORM_CONSTANTS.size, axi_bits))),
            "o_saturated": Out(range(2 * lanes + 1)),
        })  # fmt: skip

    @classmethod
    def of(cls, config):
        depths = config.residual_depth, config.norm_depth
        return cls(config.row_lanes, config.row_columns, *depths, config.axi_bits, config.is_uram(Uram.RESIDUAL))

    @staticmethod
    def refuses(fields, sizes, config):
        return (sizes.columns < 2) | sizes.columns[MAX_WIDTH_BITS:].any() | (fields.epsilon == 0)

    @staticmethod
    def leaves(fields, sizes, config):
        residual_end, constant_end = fields.residual_base + sizes.elements, fields.constant_base + fields.groups
        return (residual_end > config.residual_depth) | (constant_end > config.norm_depth)

    def elaborate(self, platform):
        m = Module()
        lanes = self.lanes
        of_residual = self.residual_depth, lanes * 16, self.axi_bits
        m.submodules.residual = residual = RowMemory(*of_residual, writers=2, ultra=self.residual_ultra)
        m.submodules.constants = constants = RowMemory(self.norm_depth, lanes * NORM_CONSTANTS.size, self.axi_bits, 0)
        m.submodules.statistics = statistics = NormStatistics()
        wiring.connect(m, wiring.flipped(self.i_load_residual), residual.i_load)
        wiring.connect(m, wiring.flipped(self.i_load_norm), constants.i_load)

        command, width, address, entering = self._accept(m)
        rows, waiting, sums = self._sum(m, command, width, residual, address, entering, statistics)
        normals = self._normalise(m, rows, waiting, constants)

        # The residual memory keeps either the sum, written in the first pass, or the second pass' result.
        m.d.comb += [
            residual.write_address.eq(Mux(sums.there, sums.address, normals.address)),
            residual.write_enable.eq(Cat(sums.there, normals.there)),
            residual.write_data[0].eq(Cat(sums.values)),
            residual.write_data[1].eq(Cat(normals.values)),
        ]
        flags = [flag & summed for summed, flag in sums.flags] + [flag & normals.there for flag in normals.flags]
        m.d.sync += self.o_saturated.eq(sum(registered(m, sum(flags[n : n + 8])) for n in range(0, len(flags), 8)))
        return m

    def _accept(self, m):
        """The instruction whose rows enter, its `NORM_WIDTH`, the residual's address. The next one is taken and its width
        normalised, one bit a cycle, at the same time; it follows with the last element of this one."""
        command, width = Signal(NORM_COMMAND), Signal(NORM_WIDTH)
        coming, coming_width = Signal(NORM_COMMAND), Signal(NORM_WIDTH)
        waits, prepared, entering = Signal(), Signal(), Signal()
        address = Signal(16)
        offered = self.i_command.p
        follows, takes, ends, separate = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            self.i_command.ready.eq(~waits),
            takes.eq(self.i.valid & self.i.ready),
            ends.eq(takes & self.i.p.ends),
            follows.eq(waits & prepared & (~entering | ends) & ~separate),
        ]
        with m.If(self.i_command.valid & ~waits):
            m.d.sync += [
                coming.eq(offered),
                coming_width.width.eq(offered.columns),
                coming_width.mantissa.eq(offered.columns),
                coming_width.lift.eq(0),
                coming_width.width_reciprocal.eq(offered.width_reciprocal),
                coming_width.epsilon.eq(offered.epsilon),
                coming_width.rms.eq(offered.rms),
                waits.eq(1),
                prepared.eq(0),
            ]
        with m.Elif(waits & ~prepared):
            with m.If(coming_width.mantissa[-1] | (coming_width.lift == MAX_WIDTH_BITS - 1)):
                m.d.sync += prepared.eq(1)
            with m.Else():
                m.d.sync += [
                    coming_width.mantissa.eq(coming_width.mantissa << 1), coming_width.lift.eq(coming_width.lift + 1),
                ]  # fmt: skip
        with m.If(takes):
            m.d.sync += address.eq(address + 1)
        with m.If(ends):
            m.d.sync += entering.eq(0)
        with m.If(follows):
            m.d.sync += [
                command.eq(coming), width.eq(coming_width), address.eq(coming.residual_base), entering.eq(1), waits.eq(0),
            ]  # fmt: skip

        # Rows that have not left: their second pass may write, and then the first pass of others must not.
        inside, left = Signal(range(2 * ROWS_BETWEEN_PASSES + CODES_WAITING + 1)), Signal()
        m.d.comb += left.eq(self.o.valid & self.o.ready & self.o.p.last)
        m.d.sync += [
            inside.eq(inside + (takes & self.i.p.last) - left),
            separate.eq(coming.keep_sum & ~command.keep_sum & ((inside != 0) | entering)),
        ]
        return command, width, address, entering

    def _sum(self, m, command, width, residual, address, entering, statistics):
        """First pass: residual sum, stored; its sum and sum of squares.

        Returns the ring of sums, the queue of rows with their statistics, and an element for the residual memory as it
        leaves: whether there is one, where it goes, sums by lane, and of each lane whether there is a sum and it saturated.
        """
        lanes = self.lanes
        m.submodules.rows = rows = RowRing(lanes * 16, ring_words(self.group_bits), ROWS_BETWEEN_PASSES)
        take, row_taken = Signal(), Signal()
        i = self.i.p
        m.d.comb += [
            self.i.ready.eq(entering & ~rows.o_full),
            take.eq(self.i.valid & self.i.ready),
            row_taken.eq(take & i.last),
            rows.i_claim.eq(take),
            rows.i_claim_row.eq(row_taken),
            residual.read_address.eq(address),
        ]
        row_address = Signal(16)
        with m.If(take & i.first):
            m.d.sync += row_address.eq(address)

        before = registered(m, residual.read_data)
        mask = lane_mask(m, delayed(m, i.group, 3), delayed(m, command.columns, 3), lanes)
        totals, sum_flags = [], []
        for lane in range(lanes):
            total = registered(m, before.word_select(lane, 16).as_signed() + delayed(m, i.values[lane], 3))
            total, over = saturated(total, 16)
            totals.append(registered(m, Mux(mask[lane], total, 0)))
            sum_flags.append(registered(m, mask[lane] & over))
        summed = delayed_valid(m, take, 5)
        m.d.comb += [rows.i_data.eq(Cat(totals)), rows.i_write.eq(summed[-1])]
        kept = summed[-1] & delayed(m, command.keep_sum, 5)
        cycles = 6 + latency.tree(lanes)
        part = registered(m, tree(m, totals, lambda a, b: a + b))
        part_squares = tree(m, [registered(m, total * total) for total in totals], lambda a, b: a + b)
        total, squares = Signal(signed(TOTAL_BITS)), Signal(SQUARES_BITS)
        first = delayed(m, i.first, cycles)
        with m.If(delayed_valid(m, take, cycles)[-1]):
            m.d.sync += [total.eq(Mux(first, 0, total) + part), squares.eq(Mux(first, 0, squares) + part_squares)]
        m.d.comb += [
            statistics.i_valid.eq(delayed_valid(m, row_taken, cycles + 1)[-1]),
            statistics.i_total.eq(total),
            statistics.i_squares.eq(squares),
            statistics.i_width.eq(delayed(m, width, cycles + 1)),
        ]
        cycles += 1 + statistics.latency
        token = data.StructLayout({
            "row": 16, "last_group": self.group_bits, "ends": 1, "residual": 16, "factor": FACTOR_BITS,
            "offset": signed(OFFSET_BITS), "window": 2, **{name: NORM_COMMAND[name].shape for name in SECOND_PASS},
        })  # fmt: skip
        m.submodules.waiting = waiting = StreamQueue(token, ROWS_BETWEEN_PASSES)
        m.d.comb += [
            waiting.i.valid.eq(statistics.o_valid),
            waiting.i.p.row.eq(delayed(m, i.row, cycles)),
            waiting.i.p.last_group.eq(delayed(m, i.group[: self.group_bits], cycles)),
            waiting.i.p.ends.eq(delayed(m, i.ends, cycles)),
            waiting.i.p.residual.eq(delayed(m, row_address, cycles - 1)),
            waiting.i.p.factor.eq(statistics.o_factor),
            waiting.i.p.offset.eq(statistics.o_offset),
            waiting.i.p.window.eq(statistics.o_window),
            *(waiting.i.p[name].eq(delayed(m, command[name], cycles)) for name in SECOND_PASS),
        ]
        sums = SimpleNamespace(
            there=kept, address=delayed(m, address, 5), values=totals, flags=[(summed[-1], flag) for flag in sum_flags]
        )
        return rows, waiting, sums

    def _normalise(self, m, rows, waiting, constants):
        """Second pass: normalise, map to residual and to codes. Nothing stops it on its way.

        Returns an element for the residual memory as it leaves: whether there is one, where it goes, values and whether they
        saturated, by lane.
        """
        lanes = self.lanes
        m.submodules.output = output = CodeQueue(lanes)
        group = Signal(self.group_bits)
        fire, row_done = Signal(), Signal()
        row = waiting.o.p
        m.d.comb += [
            fire.eq(waiting.o.valid & output.o_room),
            row_done.eq(fire & (group == row.last_group)),
            waiting.o.ready.eq(row_done),
            output.i_begin.eq(fire),
            rows.i_read.eq(fire),
            rows.i_read_row.eq(row_done),
        ]
        with m.If(fire):
            m.d.sync += group.eq(Mux(row_done, 0, group + 1))

        cycles = 12
        valid = delayed_valid(m, fire, cycles)
        x = registered(m, rows.o_data)
        factor, offset, window = delayed(m, row.factor, 2), delayed(m, row.offset, 3), delayed(m, row.window, 4)
        m.d.comb += constants.read_address.eq(registered(m, delayed(m, row.constant_base, 3) + delayed(m, group, 3)))
        constant_word = constants.read_data
        mask = lane_mask(m, delayed(m, group, 9), delayed(m, row.columns, 9), lanes)
        code_mask = [registered(m, bit) for bit in mask]
        residual_shift = _shift_factors(m, delayed(m, row.residual_shift, 7))
        code_shift = _shift_factors(m, delayed(m, row.code_shift, 7))
        low, high = delayed(m, row.low, 10), delayed(m, row.high, 10)
        least, most = registered(m, low), registered(m, high)
        written, flags, codes = [], [], []
        for lane in range(lanes):
            normal = self._normal(m, x.word_select(lane, 16).as_signed(), factor, offset, window)
            constant = data.View(NORM_CONSTANTS, constant_word.word_select(lane, NORM_CONSTANTS.size))
            value, wide, negative = self._affine(
                m, normal, constant.residual_scale, constant.residual_offset, residual_shift, 18
            )
            over = wide | (value[15:].any() & ~value[15:].all())
            value = Mux(over, Cat((~negative).replicate(15), negative), value[:16])
            written.append(registered(m, Mux(mask[lane], value, 0)))
            flags.append(registered(m, mask[lane] & over))
            value, wide, negative = self._affine(m, normal, constant.code_scale, constant.code_offset, code_shift, 11)
            above, below = registered(m, value > high), registered(m, value < low)
            wide, negative = registered(m, wide), registered(m, negative)
            above, below = Mux(wide, ~negative, above), Mux(wide, negative, below)
            code = Mux(below, least, Mux(above, most, registered(m, value)))
            codes.append(registered(m, Mux(code_mask[lane], code, 0)[:8]))
        m.d.comb += [
            output.i_valid.eq(valid[cycles]),
            Cat(output.i.codes).eq(Cat(codes)),
            output.i.row.eq(delayed(m, row.row, cycles)),
            output.i.group.eq(delayed(m, group, cycles)),
            output.i.last.eq(delayed(m, row_done, cycles)),
            output.i.ends.eq(delayed(m, row_done & row.ends, cycles)),
        ]
        wiring.connect(m, output.o, wiring.flipped(self.o))
        last = cycles - 1
        there = valid[last] & delayed(m, ~row.keep_sum, last)
        address = registered(m, delayed(m, row.residual, last - 1) + delayed(m, group, last - 1))
        return SimpleNamespace(there=there, address=address, values=written, flags=flags)

    def _normal(self, m, x, factor, offset, window):
        """``x * factor + offset >> WINDOWS[window]`` clipped to 18 bits, four cycles after ``x`` and ``factor``.

        ``offset`` comes one cycle later, ``window`` two.
        """
        total = registered(m, registered(m, x * factor) + offset)
        # Within ROOM bits: a real value is at most 64 deviations from the mean, and what the mean's rounding adds is less
        # than 128, in units of 2^-11. What is masked may be anything.
        total = Cat(total, total[-1].replicate(WINDOWS[-1] + ROOM - len(total)))
        choices = [total[n : n + ROOM] for n in WINDOWS]
        upper, lower = Mux(window[0], choices[3], choices[2]), Mux(window[0], choices[1], choices[0])
        chosen = registered(m, Mux(window[1], upper, lower).as_signed())
        return registered(m, saturated(chosen, 18)[0])

    def _affine(self, m, normal, scale, offset, shift, bits):
        """``normal * scale + (offset << 11)``, shifted to the right and rounded, in ``bits`` bits, four cycles later.

        Also whether the result needs more, and then which sign it has. ``shift`` is from `_shift_factors`.
        """
        total = registered(m, registered(m, normal * scale) + registered(m, offset << NORMAL_FRACTION))
        low, high = total[:HALF], total[HALF:].as_signed()
        low, high, far = registered(m, low * shift.near), registered(m, high * shift.near), registered(m, high * shift.far)
        # The total without its shifted bits, all but the one that rounds: no two products have a bit at the same place.
        far = far[FAR_PLACE:].as_signed()
        high = high[NEAR_PLACE - HALF : NEAR_PLACE + HALF + 2]
        near = high | low[NEAR_PLACE : NEAR_PLACE + HALF + 1]
        left = near[:bits] | far
        value = registered(m, (left[:bits].as_signed() + 1)[1:].as_signed())
        # What is far never needs more, so that its sign is not asked for.
        wide = registered(m, (near[bits - 1 : -1] ^ high[-1].replicate(len(near) - bits)).any())
        return value, wide, registered(m, high[-1])


def _shift_factors(m, shift):
    """Powers of two whose products with both halves of a total shift it to the right by ``shift``, 0..31.

    A factor of 26 bits is what a multiplier takes. Shifts beyond 25 leave nothing of the low half.
    """
    factors = Signal(data.StructLayout({"near": 26, "far": 6}), reset_less=True)
    m.d.sync += [
        factors.near.eq(Cat(shift == 25 - n for n in range(26))),
        factors.far.eq(Cat(shift == 31 - n for n in range(6))),
    ]
    return factors
