"""Residual sum, LayerNorm and RMSNorm over rows, to the residual memory and to codes."""

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.layernorm import MAX_WIDTH_BITS, NORMAL_FRACTION
from hw.lib.pipeline import delayed, delayed_valid, lane_mask, registered, saturated, tree
from hw.lib.skid import Skid
from hw.lib.stream_queue import StreamQueue
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
from hw.vector.row_stream import code_element, load_chunk
from hw.vector.row_unit import RowUnit, row_command
from isa import latency
from isa.instruction import Opcode
from isa.sizes import ROWS_BETWEEN_PASSES, ring_words, row_group_bits

#: One for each instruction. ``columns`` is 2..4095.
NORM_COMMAND = row_command(
    Opcode.NORM, "rows", "columns", "rms", "keep_sum", "width_reciprocal", "epsilon", "residual_shift", "code_shift", "low",
    "high", "residual_base", "constant_base",
)  # fmt: skip

#: Word of the norm memory: one of these for each lane.
NORM_CONSTANTS = data.StructLayout({
    "residual_scale": signed(16), "residual_offset": signed(16), "code_scale": signed(16), "code_offset": signed(16),
})  # fmt: skip


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
    are not real are written as 0.

    Parameters
    ----------
    lanes : int
        L, a power of two.
    row_columns : int
        Longest row.
    residual_depth, norm_depth : int
        Words of L elements, of L constants.
    axi_bits : int

    Members
    -------
    i_command, i, o, o_error
        Of a `RowUnit`. The rows are updates to the residual stream, those of the next command are not taken. When the last
        codes have left, the residual memory is written too.
    i_load_residual, i_load_norm : In(stream)
        `hw.vector.row_stream.load_chunk`, of a LOAD.
    o_saturated : Out
        Elements that saturated, counted in this cycle.
    """

    opcode = Opcode.NORM

    def __init__(self, lanes, row_columns, residual_depth, norm_depth, axi_bits):
        self.row_columns = row_columns
        self.residual_depth, self.norm_depth, self.axi_bits = residual_depth, norm_depth, axi_bits
        #: Bits of a group number within a row.
        self.group_bits = row_group_bits(row_columns, lanes)
        super().__init__(lanes, NORM_COMMAND, codes=True, members={
            "i_load_residual": In(stream.Signature(load_chunk(lanes * 16, axi_bits))),
            "i_load_norm": In(stream.Signature(load_chunk(lanes * NORM_CONSTANTS.size, axi_bits))),
            "o_saturated": Out(range(2 * lanes + 1)),
            "o_error": Out(1),
        })  # fmt: skip

    @classmethod
    def of(cls, config):
        return cls(config.row_lanes, config.row_columns, config.residual_depth, config.norm_depth, config.axi_bits)

    @staticmethod
    def refuses(fields, sizes, config):
        return (sizes.columns < 2) | sizes.columns[MAX_WIDTH_BITS:].any() | (fields.epsilon == 0)

    def elaborate(self, platform):
        m = Module()
        lanes = self.lanes
        m.submodules.residual = residual = RowMemory(self.residual_depth, lanes * 16, self.axi_bits, 2)
        m.submodules.constants = constants = RowMemory(self.norm_depth, lanes * NORM_CONSTANTS.size, self.axi_bits, 0)
        m.submodules.statistics = statistics = NormStatistics()
        wiring.connect(m, wiring.flipped(self.i_load_residual), residual.i_load)
        wiring.connect(m, wiring.flipped(self.i_load_norm), constants.i_load)
        m.d.comb += self.o_error.eq(residual.o_error | constants.o_error)

        command, read_address, write_address, rows_in, entering = self._accept(m, statistics)
        memory = residual, read_address
        rows, waiting, summed, totals, sum_flags = self._sum(m, command, memory, rows_in, entering, statistics)
        mapped, written, affine_flags = self._normalise(m, command, rows, waiting, constants)

        # The residual memory keeps either the sum, written in the first pass, or the second pass' result.
        affine_written = mapped & ~command.keep_sum
        m.d.comb += [
            residual.write_address.eq(write_address),
            residual.write_enable.eq(Cat(summed & command.keep_sum, affine_written)),
            residual.write_data[0].eq(Cat(totals)),
            residual.write_data[1].eq(Cat(written)),
        ]
        with m.If(residual.write_enable.any()):
            m.d.sync += write_address.eq(write_address + 1)

        flags = [flag & summed for flag in sum_flags] + [flag & affine_written for flag in affine_flags]
        m.d.sync += self.o_saturated.eq(sum(registered(m, sum(flags[n : n + 8])) for n in range(0, len(flags), 8)))
        return m

    def _accept(self, m, statistics):
        """The instruction in progress. Its width is normalised one bit a cycle, before the first row."""
        command, width = Signal(NORM_COMMAND), Signal(NORM_WIDTH)
        rows_in, rows_out = Signal(16), Signal(16)
        busy, preparing, entering = Signal(), Signal(), Signal()
        read_address, write_address = Signal(17), Signal(17)
        offered = self.i_command.p
        m.d.comb += [self.i_command.ready.eq(~busy), statistics.i_width.eq(width)]
        with m.If(self.i_command.valid & ~busy):
            m.d.sync += [
                command.eq(offered),
                width.width.eq(offered.columns),
                width.mantissa.eq(offered.columns),
                width.lift.eq(0),
                width.width_reciprocal.eq(offered.width_reciprocal),
                width.epsilon.eq(offered.epsilon),
                width.rms.eq(offered.rms),
                rows_in.eq(offered.rows),
                rows_out.eq(offered.rows),
                read_address.eq(offered.residual_base),
                write_address.eq(offered.residual_base),
                busy.eq(offered.rows != 0),
                preparing.eq(offered.rows != 0),
            ]
        with m.Elif(preparing):
            with m.If(width.mantissa[-1] | (width.lift == MAX_WIDTH_BITS - 1)):
                m.d.sync += [preparing.eq(0), entering.eq(1)]
            with m.Else():
                m.d.sync += [width.mantissa.eq(width.mantissa << 1), width.lift.eq(width.lift + 1)]
        with m.If(self.o.valid & self.o.ready & self.o.p.last):
            m.d.sync += [rows_out.eq(rows_out - 1), busy.eq(rows_out != 1)]
        return command, read_address, write_address, rows_in, entering

    def _sum(self, m, command, memory, rows_in, entering, statistics):
        """First pass: residual sum, stored; its sum and sum of squares.

        Returns the ring of sums, the queue of rows with their statistics, and an element as it leaves: whether there is one,
        sums and whether they saturated, by lane.
        """
        residual, read_address = memory
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
            residual.read_address.eq(read_address),
            residual.read_enable.eq(take),
            residual.read_advance.eq(1),
        ]
        with m.If(take):
            m.d.sync += read_address.eq(read_address + 1)
        with m.If(row_taken):
            m.d.sync += [rows_in.eq(rows_in - 1), entering.eq(rows_in != 1)]

        before = registered(m, residual.read_data)
        mask = lane_mask(m, delayed(m, i.group, 3), command.columns, lanes)
        totals, sum_flags = [], []
        for lane in range(lanes):
            total = registered(m, before.word_select(lane, 16).as_signed() + delayed(m, i.values[lane], 3))
            total, over = saturated(total, 16)
            totals.append(registered(m, Mux(mask[lane], total, 0)))
            sum_flags.append(registered(m, mask[lane] & over))
        summed = delayed_valid(m, take, 5)[-1]
        m.d.comb += [rows.i_data.eq(Cat(totals)), rows.i_write.eq(summed)]
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
        ]
        cycles += 1 + statistics.latency
        token = data.StructLayout({
            "row": 16, "last_group": self.group_bits, "factor": FACTOR_BITS, "offset": signed(OFFSET_BITS), "window": 2,
        })  # fmt: skip
        m.submodules.waiting = waiting = StreamQueue(token, ROWS_BETWEEN_PASSES)
        m.d.comb += [
            waiting.i.valid.eq(statistics.o_valid),
            waiting.i.p.row.eq(delayed(m, i.row, cycles)),
            waiting.i.p.last_group.eq(delayed(m, i.group[: self.group_bits], cycles)),
            waiting.i.p.factor.eq(statistics.o_factor),
            waiting.i.p.offset.eq(statistics.o_offset),
            waiting.i.p.window.eq(statistics.o_window),
        ]
        return rows, waiting, summed, totals, sum_flags

    def _normalise(self, m, command, rows, waiting, constants):
        """Second pass: normalise, map to residual and to codes. It stalls as a whole with the output.

        Returns an element for the residual memory: whether there is one, values and whether they saturated, by lane.
        """
        lanes = self.lanes
        m.submodules.output = output = Skid(code_element(lanes))
        group = Signal(self.group_bits)
        fire, advance, row_done = Signal(), Signal(), Signal()
        row = waiting.o.p
        m.d.comb += [
            advance.eq(output.i.ready),
            fire.eq(waiting.o.valid & advance),
            row_done.eq(fire & (group == row.last_group)),
            waiting.o.ready.eq(row_done),
            rows.i_enable.eq(advance),
            rows.i_read.eq(fire),
            rows.i_read_row.eq(row_done),
        ]
        with m.If(fire):
            m.d.sync += group.eq(Mux(row_done, 0, group + 1))

        residual_shift, code_shift = (_shift_factors(m, shift) for shift in (command.residual_shift, command.code_shift))
        cycles = 12
        with m.If(advance):
            valid = delayed_valid(m, fire, cycles)
            x = registered(m, rows.o_data)
            factor, offset, window = delayed(m, row.factor, 2), delayed(m, row.offset, 3), delayed(m, row.window, 4)
            constant_address = registered(m, command.constant_base + delayed(m, group, 3))
            constant_word = constants.read_data
            mask = lane_mask(m, delayed(m, group, 9), command.columns, lanes)
            code_mask = [registered(m, bit) for bit in mask]
            written, affine_flags, codes = [], [], []
            for lane in range(lanes):
                normal = self._normal(m, x.word_select(lane, 16).as_signed(), factor, offset, window)
                constant = data.View(NORM_CONSTANTS, constant_word.word_select(lane, NORM_CONSTANTS.size))
                value, wide, negative = self._affine(
                    m, normal, constant.residual_scale, constant.residual_offset, residual_shift, 18
                )
                over = wide | (value[15:].any() & ~value[15:].all())
                value = Mux(over, Cat((~negative).replicate(15), negative), value[:16])
                written.append(registered(m, Mux(mask[lane], value, 0)))
                affine_flags.append(registered(m, mask[lane] & over))
                value, wide, negative = self._affine(m, normal, constant.code_scale, constant.code_offset, code_shift, 11)
                above, below = registered(m, value > command.high), registered(m, value < command.low)
                wide, negative = registered(m, wide), registered(m, negative)
                above, below = Mux(wide, ~negative, above), Mux(wide, negative, below)
                code = Mux(below, command.low, Mux(above, command.high, registered(m, value)))
                codes.append(registered(m, Mux(code_mask[lane], code, 0)[:8]))
            out_row, out_group, out_last = (delayed(m, signal, cycles) for signal in (row.row, group, row_done))
        m.d.comb += [
            constants.read_address.eq(constant_address),
            constants.read_enable.eq(valid[4] & advance),
            constants.read_advance.eq(advance),
            output.i.valid.eq(valid[cycles]),
            Cat(output.i.p.codes).eq(Cat(codes)),
            output.i.p.row.eq(out_row),
            output.i.p.group.eq(out_group),
            output.i.p.last.eq(out_last),
        ]
        wiring.connect(m, output.o, wiring.flipped(self.o))
        return valid[cycles - 1] & advance, written, affine_flags

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
