"""Softmax over rows of integer scores, base 2, to unsigned codes."""

from amaranth import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.softmax import EXPONENTIAL_BITS, EXPONENTIAL_TABLE, SCORE_FRACTION
from hw.pipeline import delayed, delayed_valid, held, lane_mask, lookup, tree, tree_latency
from hw.reciprocal import Reciprocal
from hw.row_stream import code_element, row_element
from hw.skid import Skid
from hw.stream_queue import StreamQueue

#: One for each instruction. ``columns``, at least 1: keys at and beyond it are masked.
SOFTMAX_COMMAND = data.StructLayout({"rows": 16, "columns": 16, "step": 16, "step_shift": 5, "bits": 4})

#: The least bit length of a row sum: the maximum alone contributes 2^16 - 1.
LEAST_SHIFT = 16
#: At and beyond this shift every code is 0.
MOST_SHIFT = 34


class Softmax(wiring.Component):
    """Softmax of rows. Bit for bit `golden.softmax.softmax`.

    Three passes over each row, each one element a cycle, on different rows at the same time: maximum, exponentials and
    their sum, codes. Rows wait between passes in memories of `slots` rows, so a row takes
    max(groups, (2 * groups + latency of a pass) / slots) cycles.

    Parameters
    ----------
    lanes : int
        L, a power of two.
    row_columns : int
        Longest row.

    Members
    -------
    i_command : In(stream)
        Taken when all rows of the command before have left.
    i : In(stream)
        ``rows`` rows of `hw.row_stream.row_element`, taken after their command.
    o : Out(stream)
        `hw.row_stream.code_element`, as many.
    o_busy : Out
        A command is in progress.
    """

    slots = 8

    def __init__(self, lanes, row_columns):
        self.lanes, self.row_columns = lanes, row_columns
        #: Bits of a group number within a row.
        self.group_bits = (-(-row_columns // lanes) - 1).bit_length()
        self.sum_bits = EXPONENTIAL_BITS + row_columns.bit_length()
        super().__init__({
            "i_command": In(stream.Signature(SOFTMAX_COMMAND)),
            "i": In(stream.Signature(row_element(lanes))),
            "o": Out(stream.Signature(code_element(lanes))),
            "o_busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        lanes = self.lanes

        # The instruction in progress.
        command = Signal(SOFTMAX_COMMAND)
        rows_in, rows_out = Signal(16), Signal(16)
        busy, entering = Signal(), Signal()
        limit = Signal(8)
        m.d.comb += [self.i_command.ready.eq(~busy), self.o_busy.eq(busy)]
        with m.If(self.i_command.valid & ~busy):
            m.d.sync += [
                command.eq(self.i_command.p),
                rows_in.eq(self.i_command.p.rows),
                rows_out.eq(self.i_command.p.rows),
                busy.eq(self.i_command.p.rows != 0),
                entering.eq(self.i_command.p.rows != 0),
            ]
        with m.If(self.o.valid & self.o.ready & self.o.p.last):
            m.d.sync += [rows_out.eq(rows_out - 1), busy.eq(rows_out != 1)]
        m.d.sync += limit.eq((1 << command.bits) - 1)

        def row_memory(name):
            """Memory of ``slots`` rows, its ports, and how many slots hold a row that its reader has not finished."""
            memory = Memory(shape=lanes * 16, depth=self.slots << self.group_bits, init=[], attrs={"ram_style": "block"})
            m.submodules[name] = memory
            return memory.write_port(), memory.read_port(), Signal(range(self.slots + 1), name=f"{name}_held")

        def place(group, slot):
            return Cat(group[: self.group_bits], slot)

        score_write, score_read, scores_held = row_memory("scores")
        power_write, power_read, powers_held = row_memory("powers")

        # First pass: store the scores, find the maximum.
        token = data.StructLayout({"row": 16, "last_group": self.group_bits, "maximum": signed(16)})
        m.submodules.maxima = maxima = StreamQueue(token, self.slots)
        slot = Signal(range(self.slots))
        take, row_taken = Signal(), Signal()
        i = self.i.p
        m.d.comb += [
            self.i.ready.eq(entering & (scores_held != self.slots)),
            take.eq(self.i.valid & self.i.ready),
            row_taken.eq(take & i.last),
            score_write.addr.eq(place(i.group, slot)),
            score_write.data.eq(Cat(i.values)),
            score_write.en.eq(take),
        ]
        with m.If(row_taken):
            m.d.sync += [slot.eq(slot + 1), rows_in.eq(rows_in - 1), entering.eq(rows_in != 1)]

        mask = lane_mask(m, i.group, command.columns, lanes)
        lowest = Const(-(1 << 15), signed(16))
        seen = [held(m, Mux(mask[lane], held(m, i.values[lane]), lowest)) for lane in range(lanes)]
        highest = tree(m, seen, lambda a, b: Mux(a > b, a, b))
        cycles = 2 + tree_latency(lanes)
        maximum = Signal(signed(16))
        present = delayed_valid(m, take, cycles)[-1]
        with m.If(present & (delayed(m, i.first, cycles) | (highest > maximum))):
            m.d.sync += maximum.eq(highest)
        m.d.comb += [
            maxima.i.valid.eq(delayed_valid(m, row_taken, cycles + 1)[-1]),
            maxima.i.p.row.eq(delayed(m, i.row, cycles + 1)),
            maxima.i.p.last_group.eq(delayed(m, i.group[: self.group_bits], cycles + 1)),
            maxima.i.p.maximum.eq(maximum),
        ]

        # Second pass: powers of two, their sum, its reciprocal.
        token = data.StructLayout({"row": 16, "last_group": self.group_bits, "gain": 17, "shift": 5})
        m.submodules.gains = gains = StreamQueue(token, self.slots)
        slot, group = Signal(range(self.slots)), Signal(self.group_bits)
        fire, row_summed = Signal(), Signal()
        m.d.comb += [
            fire.eq(maxima.o.valid & (powers_held != self.slots)),
            row_summed.eq(fire & (group == maxima.o.p.last_group)),
            maxima.o.ready.eq(row_summed),
            score_read.addr.eq(place(group, slot)),
            score_read.en.eq(1),
        ]
        with m.If(fire):
            m.d.sync += group.eq(Mux(row_summed, 0, group + 1))
        m.d.sync += [slot.eq(slot + row_summed), scores_held.eq(scores_held + row_taken - row_summed)]

        maximum = delayed(m, maxima.o.p.maximum, 2)
        mask = lane_mask(m, delayed(m, group, 3), command.columns, lanes)
        scores = held(m, score_read.data)
        powers = []
        for lane in range(lanes):
            # Only masked lanes, which do not count, can be above the maximum.
            distance = held(m, (maximum - scores.word_select(lane, 16).as_signed())[:16])
            fraction = held(m, lookup(m, EXPONENTIAL_TABLE, EXPONENTIAL_BITS, distance[:SCORE_FRACTION]))
            whole = held(m, distance[SCORE_FRACTION : SCORE_FRACTION + 4])
            gone = held(m, distance[SCORE_FRACTION + 4 :].any())
            powers.append(held(m, Mux(mask[lane] & ~gone, fraction >> whole, 0)))
        m.d.comb += [
            power_write.en.eq(delayed_valid(m, fire, 5)[-1]),
            power_write.addr.eq(delayed(m, score_read.addr, 5)),
            power_write.data.eq(Cat(powers)),
        ]
        part = tree(m, powers, lambda a, b: a + b)
        cycles = 5 + tree_latency(lanes)
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
        gain = held(m, reciprocal.o * command.step)
        shift = held(m, reciprocal.o_exponent + command.step_shift)
        m.d.comb += [
            gains.i.valid.eq(delayed_valid(m, reciprocal.o_valid, 2)[-1]),
            gains.i.p.row.eq(delayed(m, maxima.o.p.row, cycles + 2)),
            gains.i.p.last_group.eq(delayed(m, group, cycles + 2)),
            gains.i.p.gain.eq(held(m, gain >> 16)),
            gains.i.p.shift.eq(held(m, Mux(shift > MOST_SHIFT, MOST_SHIFT, shift) - LEAST_SHIFT)),
        ]

        # Third pass: multiply, round, shift, clip. It stalls as a whole with the output.
        m.submodules.output = output = Skid(code_element(lanes))
        slot, group = Signal(range(self.slots)), Signal(self.group_bits)
        fire, row_coded, advance = Signal(), Signal(), Signal()
        m.d.comb += [
            advance.eq(output.i.ready),
            fire.eq(gains.o.valid & advance),
            row_coded.eq(fire & (group == gains.o.p.last_group)),
            gains.o.ready.eq(row_coded),
            power_read.addr.eq(place(group, slot)),
            power_read.en.eq(advance),
        ]
        with m.If(fire):
            m.d.sync += group.eq(Mux(row_coded, 0, group + 1))
        m.d.sync += [slot.eq(slot + row_coded), powers_held.eq(powers_held + row_summed - row_coded)]

        with m.If(advance):
            powers = held(m, power_read.data)
            gain, shift = delayed(m, gains.o.p.gain, 2), delayed(m, gains.o.p.shift, 2)
            half = held(m, (1 << shift) << (LEAST_SHIFT - 1))
            coarse, fine = delayed(m, shift[2:], 2), delayed(m, shift[:2], 3)
            codes = []
            for lane in range(lanes):
                product = held(m, powers.word_select(lane, 16) * gain)
                total = held(m, (product + half)[LEAST_SHIFT:MOST_SHIFT])
                by_fours = held(m, total >> (coarse << 2))
                code = held(m, by_fours >> fine)
                over = held(m, code[8:].any() | (code[:8] & ~limit).any())
                codes.append(held(m, Mux(over, limit, held(m, code[:8]))))
            cycles = 8
            valid = delayed_valid(m, fire, cycles)[-1]
            row, group, last = (delayed(m, signal, cycles) for signal in (gains.o.p.row, group, row_coded))
        m.d.comb += [
            output.i.valid.eq(valid),
            Cat(output.i.p.codes).eq(Cat(codes)),
            output.i.p.row.eq(row),
            output.i.p.group.eq(group),
            output.i.p.last.eq(last),
        ]
        wiring.connect(m, output.o, wiring.flipped(self.o))
        return m
