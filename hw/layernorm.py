"""Residual sum, LayerNorm and RMSNorm over rows, to the residual memory and to codes."""

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.layernorm import MAX_WIDTH_BITS, MEAN_FRACTION, NORMAL_FRACTION
from hw.norm_statistics import MEAN_BITS, NORM_WIDTH, SPREAD_BITS, SQUARES_BITS, TOTAL_BITS, NormStatistics
from hw.pipeline import delayed, delayed_valid, held, lane_mask, saturated, tree, tree_latency
from hw.row_memory import RowMemory
from hw.row_stream import code_element, load_chunk, row_element
from hw.skid import Skid
from hw.stream_queue import StreamQueue

#: One for each instruction; fields as in `golden.instruction`. ``columns`` is 2..4095.
NORM_COMMAND = data.StructLayout({
    "rows": 16, "columns": 16, "rms": 1, "keep_sum": 1, "width_reciprocal": 32, "epsilon": 32,
    "residual_shift": 5, "code_shift": 5, "low": signed(9), "high": signed(9), "residual_base": 16, "constant_base": 16,
})  # fmt: skip

#: Word of the norm memory: one of these for each lane.
NORM_CONSTANTS = data.StructLayout({
    "residual_scale": signed(16), "residual_offset": signed(16), "code_scale": signed(16), "code_offset": signed(16),
})  # fmt: skip


#: Most that a product of the normalisation is shifted: half of the bits of a spread, and a width's 10.
MOST_SHIFT = SPREAD_BITS // 2 - 1 + MAX_WIDTH_BITS - 2


class LayerNorm(wiring.Component):
    """``golden.residual.add_residual``, then ``golden.layernorm``, bit for bit. Holds residual stream and norm constants.

    Two passes over each row, one element a cycle, on different rows at the same time: residual sum and its statistics;
    normalised values and both affine maps. Rows wait in between in a memory of `slots` rows, so a row takes
    max(groups, (2 * groups + latency) / slots) cycles.

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
    i_command : In(stream)
        Taken when all rows of the command before have left.
    i : In(stream)
        ``rows`` rows of `hw.row_stream.row_element`, the updates to the residual stream.
    o : Out(stream)
        `hw.row_stream.code_element`, as many. When the last has left, the residual memory is written too.
    i_load_residual, i_load_norm : In(stream)
    o_busy : Out
        A command is in progress.
    o_saturated : Out
        Elements that saturated, counted in this cycle.
    o_error : Out
        Strobe: an address was beyond its memory.
    """

    slots = 8

    def __init__(self, lanes, row_columns, residual_depth, norm_depth, axi_bits):
        self.lanes, self.row_columns = lanes, row_columns
        self.residual_depth, self.norm_depth, self.axi_bits = residual_depth, norm_depth, axi_bits
        #: Bits of a group number within a row.
        self.group_bits = (-(-row_columns // lanes) - 1).bit_length()
        super().__init__({
            "i_command": In(stream.Signature(NORM_COMMAND)),
            "i": In(stream.Signature(row_element(lanes))),
            "o": Out(stream.Signature(code_element(lanes))),
            "i_load_residual": In(stream.Signature(load_chunk(lanes * 16, axi_bits))),
            "i_load_norm": In(stream.Signature(load_chunk(lanes * NORM_CONSTANTS.size, axi_bits))),
            "o_busy": Out(1),
            "o_saturated": Out(range(2 * lanes + 1)),
            "o_error": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        lanes = self.lanes
        m.submodules.residual = residual = RowMemory(self.residual_depth, lanes * 16, self.axi_bits)
        m.submodules.constants = constants = RowMemory(self.norm_depth, lanes * NORM_CONSTANTS.size, self.axi_bits)
        m.submodules.statistics = statistics = NormStatistics()
        wiring.connect(m, wiring.flipped(self.i_load_residual), residual.i_load)
        wiring.connect(m, wiring.flipped(self.i_load_norm), constants.i_load)
        m.d.comb += self.o_error.eq(residual.o_error | constants.o_error)

        # The instruction in progress. Its width is normalised one bit a cycle, before the first row.
        command, width = Signal(NORM_COMMAND), Signal(NORM_WIDTH)
        rows_in, rows_out = Signal(16), Signal(16)
        busy, preparing, entering = Signal(), Signal(), Signal()
        read_address, write_address = Signal(17), Signal(17)
        offered = self.i_command.p
        m.d.comb += [self.i_command.ready.eq(~busy), self.o_busy.eq(busy), statistics.i_width.eq(width)]
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

        # First pass: residual sum, stored; its sum and sum of squares.
        memory = Memory(shape=lanes * 16, depth=self.slots << self.group_bits, init=[], attrs={"ram_style": "block"})
        m.submodules.rows = memory
        row_write, row_read = memory.write_port(), memory.read_port()
        rows_held = Signal(range(self.slots + 1))
        slot = Signal(range(self.slots))
        take, row_taken, row_done = Signal(), Signal(), Signal()
        i = self.i.p
        m.d.comb += [
            self.i.ready.eq(entering & (rows_held != self.slots)),
            take.eq(self.i.valid & self.i.ready),
            row_taken.eq(take & i.last),
            residual.read_address.eq(read_address),
            residual.read_enable.eq(take),
        ]
        with m.If(take):
            m.d.sync += read_address.eq(read_address + 1)
        with m.If(row_taken):
            m.d.sync += [slot.eq(slot + 1), rows_in.eq(rows_in - 1), entering.eq(rows_in != 1)]
        m.d.sync += rows_held.eq(rows_held + row_taken - row_done)

        before = held(m, residual.read_data)
        mask = lane_mask(m, held(m, i.group), command.columns, lanes)
        totals, sum_flags = [], []
        for lane in range(lanes):
            update = delayed(m, i.values[lane], 2)
            total, over = saturated(before.word_select(lane, 16).as_signed() + update, 16)
            totals.append(held(m, Mux(mask[lane], total, 0)))
            sum_flags.append(held(m, mask[lane] & over))
        summed = delayed_valid(m, take, 3)[-1]
        m.d.comb += [
            row_write.addr.eq(delayed(m, Cat(i.group[: self.group_bits], slot), 3)),
            row_write.data.eq(Cat(totals)),
            row_write.en.eq(summed),
        ]
        cycles = 4 + tree_latency(lanes)
        part = held(m, tree(m, totals, lambda a, b: a + b))
        part_squares = tree(m, [held(m, total * total) for total in totals], lambda a, b: a + b)
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
            "row": 16, "last_group": self.group_bits, "mean": signed(MEAN_BITS), "gain": 17, "shift": 6,
        })  # fmt: skip
        m.submodules.waiting = waiting = StreamQueue(token, self.slots)
        m.d.comb += [
            waiting.i.valid.eq(statistics.o_valid),
            waiting.i.p.row.eq(delayed(m, i.row, cycles)),
            waiting.i.p.last_group.eq(delayed(m, i.group[: self.group_bits], cycles)),
            waiting.i.p.mean.eq(statistics.o_mean),
            waiting.i.p.gain.eq(statistics.o_gain),
            waiting.i.p.shift.eq(statistics.o_shift),
        ]

        # Second pass: normalise, map to residual and to codes. It stalls as a whole with the output.
        m.submodules.output = output = Skid(code_element(lanes))
        slot, group = Signal(range(self.slots)), Signal(self.group_bits)
        fire, advance = Signal(), Signal()
        row = waiting.o.p
        m.d.comb += [
            advance.eq(output.i.ready),
            fire.eq(waiting.o.valid & advance),
            row_done.eq(fire & (group == row.last_group)),
            waiting.o.ready.eq(row_done),
            row_read.addr.eq(Cat(group, slot)),
            row_read.en.eq(advance),
        ]
        with m.If(fire):
            m.d.sync += group.eq(Mux(row_done, 0, group + 1))
        m.d.sync += slot.eq(slot + row_done)

        residual_half = held(m, (1 << command.residual_shift) >> 1)
        code_half = held(m, (1 << command.code_shift) >> 1)
        with m.If(advance):
            valid = delayed_valid(m, fire, 14)
            x = held(m, row_read.data)
            mean, gain, shift = delayed(m, row.mean, 2), delayed(m, row.gain, 3), delayed(m, row.shift, 3)
            half = held(m, ((1 << shift) >> 1)[:MOST_SHIFT])
            coarse, fine = delayed(m, shift[3:], 2), delayed(m, shift[:3], 3)
            constant_address = held(m, command.constant_base + delayed(m, group, 5))
            constant_word = held(m, constants.read_data)
            mask = lane_mask(m, delayed(m, group, 11), command.columns, lanes)
            code_mask = [held(m, bit) for bit in mask]
            written, affine_flags, codes = [], [], []
            for lane in range(lanes):
                centred = held(m, (x.word_select(lane, 16).as_signed() << MEAN_FRACTION) - mean)
                rounded = held(m, held(m, centred * gain) + half)
                normal = held(m, saturated(held(m, held(m, rounded >> (coarse << 3)) >> fine), 18)[0])
                constant = data.View(NORM_CONSTANTS, constant_word.word_select(lane, NORM_CONSTANTS.size))
                value = self._affine(
                    m, normal, constant.residual_scale, constant.residual_offset, residual_half, command.residual_shift
                )
                value, over = saturated(value, 16)
                written.append(held(m, Mux(mask[lane], value, 0)[:16]))
                affine_flags.append(held(m, mask[lane] & over))
                code = self._affine(m, normal, constant.code_scale, constant.code_offset, code_half, command.code_shift)
                code = held(m, saturated(code, 10)[0])
                code = Mux(code < command.low, command.low, Mux(code > command.high, command.high, code))
                codes.append(held(m, Mux(code_mask[lane], code, 0)[:8]))
            out_row, out_group, out_last = (delayed(m, signal, 14) for signal in (row.row, group, row_done))
        m.d.comb += [
            constants.read_address.eq(constant_address),
            constants.read_enable.eq(valid[6] & advance),
            output.i.valid.eq(valid[14]),
            Cat(output.i.p.codes).eq(Cat(codes)),
            output.i.p.row.eq(out_row),
            output.i.p.group.eq(out_group),
            output.i.p.last.eq(out_last),
        ]
        wiring.connect(m, output.o, wiring.flipped(self.o))

        # The residual memory keeps either the sum, written in the first pass, or the second pass' result.
        affine_written = valid[13] & advance & ~command.keep_sum
        m.d.comb += [
            residual.write_address.eq(write_address),
            residual.write_enable.eq(affine_written | (summed & command.keep_sum)),
            residual.write_data.eq(Mux(command.keep_sum, Cat(totals), Cat(written))),
        ]
        with m.If(residual.write_enable):
            m.d.sync += write_address.eq(write_address + 1)

        flags = [flag & summed for flag in sum_flags] + [flag & affine_written for flag in affine_flags]
        m.d.sync += self.o_saturated.eq(sum(held(m, sum(flags[n : n + 8])) for n in range(0, len(flags), 8)))
        return m

    def _affine(self, m, normal, scale, offset, half, shift):
        """``normal * scale + (offset << 11)``, rounded and shifted, not clipped: four cycles."""
        product = held(m, normal * scale)
        added = held(m, (offset << NORMAL_FRACTION) + half)
        total = held(m, product + added)
        return held(m, held(m, total >> (shift[3:] << 3)) >> shift[:3])
