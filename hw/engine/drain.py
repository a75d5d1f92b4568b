"""Drain: counts to codes - border correction, rescale with parameters of each column or row, and a buffer of whole tiles."""

from functools import partial
from typing import Any

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect, flipped

from golden.rescale import OFFSET_BITS, SCALE_BITS
from hw.engine.rescale import Rescale
from hw.engine.tile import drained_layout, tile_layout
from hw.lib import pipeline
from hw.lib.pipeline import log2
from hw.lib.stream_queue import StreamQueue
from isa.memory import CONSTANT_BITS, CONSTANT_IMAGE_BITS


class Drain(wiring.Component):
    """Takes groups from the array as they come; gives them as 16-bit numbers to a consumer that may wait.

    Bit for bit `golden.qmm.correct`, then `golden.rescale.rescale_folded`.

    Parameters
    ----------
    rows, columns, drain_rows : int
        R, C, G.
    accumulator_bits, constant_depth, axi_bits : int
    tiles : int
        Tiles that the buffer holds.

    Members
    -------
    i_tile : In(stream)
        Descriptor of each tile, before its first group comes; R / G cycles apart.
    s, r, c, valid, group : In
        See `Array`.
    i_constant : In(stream)
        LOAD of constants: A / 64 of them at a time, or half of one.
    o : Out(stream)
        Groups, see `hw.engine.tile.drained_layout`.
    """

    def __init__(
        self, rows: int, columns: int, drain_rows: int, accumulator_bits: int, constant_depth: int, axi_bits: int, tiles: int
    ):
        self.rows, self.columns, self.drain_rows = rows, columns, drain_rows
        self.accumulator_bits, self.constant_depth, self.axi_bits = accumulator_bits, constant_depth, axi_bits
        self.tiles = tiles
        self.groups = rows // drain_rows
        self.chunks = columns * CONSTANT_IMAGE_BITS // axi_bits  # beats of a word
        a, lanes = accumulator_bits, drain_rows * columns
        super().__init__(
            {
                "i_tile": In(stream.Signature(tile_layout(columns))),
                "s": In(lanes * a),
                "r": In(drain_rows * a),
                "c": In(columns * a),
                "valid": In(1),
                "group": In(range(max(self.groups, 2))),
                "i_constant": In(
                    stream.Signature(
                        data.StructLayout(
                            {
                                "address": range(constant_depth),
                                "chunk": range(max(self.chunks, 2)),
                                "data": axi_bits,
                            }
                        )
                    )
                ),
                "o": Out(stream.Signature(drained_layout(drain_rows, columns))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.tiles = tiles = StreamQueue(tile_layout(self.columns), self.tiles)
        connect(m, flipped(self.i_tile), tiles.i)
        m.d.comb += tiles.o.ready.eq(self.valid & (self.group == self.groups - 1))
        tile = tiles.o.p

        registered, delayed = partial(pipeline.registered, m), partial(pipeline.delayed, m)
        # Scales come to the lanes after four registers, and counts when the lanes want them.
        m.submodules.rescale = rescale = Rescale(self.drain_rows, self.columns, self.accumulator_bits + 2)
        outside = self._constants(m, registered, delayed, tile, rescale)
        for lane, t in enumerate(self._correct(registered, tile)):
            m.d.comb += rescale.t[lane].eq(t)
        zero = Cat(delayed(tile.limit, 3) <= column for column in range(self.columns))
        m.d.comb += [
            rescale.shift.eq(delayed(tile.shift + self._doublings(tile), 4)),
            rescale.low.eq(delayed(tile.low, 4)),
            rescale.high.eq(delayed(tile.high, 4)),
            rescale.zero.eq(registered(zero)),
        ]

        # The sequencer ends a tile only when all of it fits here, so nothing upstream ever waits.
        # An error waits its turn in the buffer too: it must not overtake the end of the instruction before.
        lanes = self.drain_rows * self.columns
        m.submodules.buffer = buffer = StreamQueue(self.o.payload.shape(), self.tiles * self.groups)
        arrived = Signal(4 + Rescale.latency)
        m.d.sync += arrived.eq((arrived << 1) | self.valid)
        m.d.comb += [
            buffer.i.valid.eq(arrived[-1]),
            buffer.i.payload.as_value().eq(
                Cat((rescale.o[lane][:16] for lane in range(lanes)), delayed(outside, Rescale.latency))
            ),
        ]
        connect(m, buffer.o, flipped(self.o))
        return m

    @staticmethod
    def _doublings(tile):
        """By how many doublings 2U, see `_correct`, is more than T."""
        return ~tile.left_bipolar + ~tile.right_bipolar

    def _correct(self, registered, tile):
        """U = 2S - r_i [right bipolar] - c_j [left bipolar] of each lane, five registers later.

        T is 2U, U or U / 2 where both, one or none is bipolar: what is left to do is the same for all lanes, and done to
        the offsets and the shift. Never three registers in a row: they would become shift registers, a LUT a bit.
        """
        a = self.accumulator_bits

        def numbers(bits, count):
            return [bits[n * a : (n + 1) * a].as_signed() for n in range(count)]

        s = [registered(value) for value in numbers(self.s, self.drain_rows * self.columns)]
        r = [registered(Mux(tile.right_bipolar, value, 0)) for value in numbers(self.r, self.drain_rows)]
        left_bipolar = registered(registered(tile.left_bipolar))
        c = [registered(Mux(left_bipolar, registered(registered(value)), 0)) for value in numbers(self.c, self.columns)]
        lanes = []
        for lane, value in enumerate(s):
            row, column = divmod(lane, self.columns)
            half = registered(registered(((value << 1) - r[row])[: a + 2].as_signed()))
            lanes.append(registered(registered((half - c[column])[: a + 2].as_signed())))
        return lanes

    def _constants(self, m, registered, delayed, tile, rescale):
        """Scales four registers after the group, offsets as much later as `rescale` wants: by column the word's, by row
        the row's, 0 for the other. Returns whether they lie outside, with the scales."""
        load = self.i_constant
        entries, data = self.axi_bits // CONSTANT_IMAGE_BITS, load.p.data
        chunk = Cat(data[e * CONSTANT_IMAGE_BITS :][:CONSTANT_BITS] for e in range(entries)) if entries else data
        entry_bits = CONSTANT_BITS if entries else CONSTANT_IMAGE_BITS
        m.submodules.constants = memory = Memory(shape=self.columns * entry_bits, depth=self.constant_depth, init=[])
        write = memory.write_port(granularity=len(chunk))
        read = memory.read_port()
        m.d.comb += load.ready.eq(1)
        m.d.sync += [
            write.addr.eq(load.p.address),
            write.data.eq(chunk.replicate(self.chunks)),
            write.en.eq(Mux(load.valid, 1 << load.p.chunk, 0)),
        ]
        first_row = (tile.row_tile << log2(self.rows)) + (self.group << log2(self.drain_rows))
        address = Signal(len(tile.constant_address))
        by_row = tile.constant_by_row
        m.d.sync += address.eq(tile.constant_address + Mux(by_row, first_row >> log2(self.columns), 0))
        outside = delayed(address >= self.constant_depth, 3)
        m.d.comb += [read.addr.eq(address), read.en.eq(1)]
        word = registered(read.data)

        position = delayed((first_row & (self.columns - 1)) >> log2(self.drain_rows), 3)
        use_row = delayed(by_row, 3)
        power = delayed((1 << self._doublings(tile))[:3], 3)
        of_column = [word[c * entry_bits :][:CONSTANT_BITS] for c in range(self.columns)]
        of_row = []
        for i in range(self.drain_rows):
            mine = Signal(CONSTANT_BITS, name=f"constant_of_row{i}")
            with m.Switch(position):
                for at in range(self.columns // self.drain_rows):
                    with m.Case(at):
                        m.d.comb += mine.eq(of_column[at * self.drain_rows + i])
            of_row.append(mine)
        for use, constants, scales, offsets in (
            (~use_row, of_column, rescale.column_scale, rescale.column_offset),
            (use_row, of_row, rescale.row_scale, rescale.row_offset),
        ):
            factor = registered(Mux(use, power, 0))
            for index, constant in enumerate(constants):
                scale, offset = constant[:SCALE_BITS], constant[SCALE_BITS:]
                m.d.comb += scales[index].eq(registered(Mux(use, scale, 0)))
                m.d.comb += offsets[index].eq(_shifted(registered, registered(offset), factor))
        return outside


def _shifted(registered, offset, power):
    """``offset * power`` for a power of two up to 4 or 0, two registers later, by multipliers instead of multiplexers."""
    half = OFFSET_BITS // 2
    power = Cat(power, 0).as_signed()
    low = registered((Cat(offset[:half], 0).as_signed() * power)[: half + 2], attrs={"use_dsp": "yes"})
    high = registered((offset[half:].as_signed() * power)[: OFFSET_BITS - half + 2], attrs={"use_dsp": "yes"})
    return registered(low | (high << half))
