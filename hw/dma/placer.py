"""Second half of the DMA: puts the beats of LOADs and of gathered rows where they belong."""

from typing import Any

from amaranth import Array, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.axi.axi import Tag, read_data_layout
from hw.dma.requests import PLACEMENT
from hw.instruction import ERROR
from hw.lib.skid import Skid
from isa.config import AcceleratorConfig
from isa.errors import Error
from isa.instruction import Memory


def memory_chunks(config):
    """AXI beats in a word of each memory, in the order of `Memory`."""
    bits = {
        Memory.LEFT: config.rows * config.depth,
        Memory.RIGHT: config.columns * config.depth,
        Memory.CONSTANT: config.columns * 64,
        Memory.NORM: config.row_lanes * 64,
        Memory.RESIDUAL: config.row_lanes * 16,
    }
    return [bits[memory] // config.axi_bits for memory in Memory]


def memory_depths(config):
    """Words of each memory, in the order of `Memory`."""
    return [config.left_depth, config.right_depth, config.constant_depth, config.norm_depth, config.residual_depth]


def dma_write_layout(config):
    """A write to an on-chip memory. LOAD: ``data`` is ``chunk`` of the word at ``address``. GATHER: the low K bits of
    ``data`` are the word at ``address`` in ``bank`` of the left memory. ``last``: of its instruction."""
    return data.StructLayout({
        "memory": 3, "gather": 1, "bank": range(max(2, config.rows)), "address": 16,
        "chunk": range(max(2, *memory_chunks(config))), "data": config.axi_bits, "last": 1,
    })  # fmt: skip


class DmaPlacer(wiring.Component):
    """One write a cycle: a beat of a LOAD, or a word of K bits of a row.

    Parameters
    ----------
    config : AcceleratorConfig

    Members
    -------
    i_placement : In(stream of `PLACEMENT`)
        Instructions in order; one is taken ahead, so that its first beat may follow the last one before at once.
    i : In(stream of `read_data_layout`)
        Beats with tag LOAD or ROW are placed; others are for somebody else, who takes them.
    o : Out(stream of `dma_write_layout`)
        Addresses are below the depth of their memory.
    i_loaded : In
        Pulse: the last write of an instruction is in its operand memory. In the other memories it is when it is accepted.
    i_waits : In
        A write that an operand memory has accepted waits there.
    o_done : Out
        Pulse after an instruction's last write.
    error : Out(ERROR)
        Held until reset; the writes before it have been made. May come in the cycle of the last `o_done` before it.
    """

    def __init__(self, config: AcceleratorConfig):
        self.config = config
        super().__init__({
            "i_placement": In(stream.Signature(PLACEMENT)),
            "i": In(stream.Signature(read_data_layout(config.axi_bits))),
            "o": Out(stream.Signature(dma_write_layout(config))),
            "i_loaded": In(1),
            "i_waits": In(1),
            "o_done": Out(1),
            "error": Out(ERROR),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        config, placement, o = self.config, self.i_placement, self.o
        per_beat = config.axi_bits // config.depth
        active, skipping, finished, failed = Signal(), Signal(), Signal(), Signal()

        # The next instruction, decoded.
        coming, waits = Signal(PLACEMENT, reset_less=True), Signal()
        coming_limit, coming_last_chunk = Signal(17), Signal(len(o.p.chunk))
        take, ending = Signal(), Signal()
        m.d.comb += [placement.ready.eq(~waits), take.eq((waits & ~failed) & (~active | ending))]
        with m.If(placement.valid & placement.ready):
            m.d.sync += [
                waits.eq(1),
                coming.eq(placement.payload),
                coming_limit.eq(Array(memory_depths(config))[placement.p.memory]),
                coming_last_chunk.eq(Array([chunks - 1 for chunks in memory_chunks(config)])[placement.p.memory]),
            ]

        current = Signal(PLACEMENT, reset_less=True)
        limit, last_chunk = Signal(17), Signal(len(o.p.chunk))
        # Wide enough that a step from the last address of a memory does not wrap around to its first.
        address, row_address = Signal(18), Signal(18)
        chunk = Signal(len(o.p.chunk))
        bank = Signal(range(max(2, config.rows)))
        position = Signal(range(max(2, per_beat)))
        # These count down from two less, so that their sign tells the last one.
        words_left, row_words, rows_left = Signal(signed(13)), Signal(signed(13)), Signal(signed(17))
        last_word, last_row = words_left[-1], rows_left[-1]

        m.submodules.skid = skid = Skid(o.payload.shape())
        write, fail, wanted = Signal(), Signal(), Signal()
        beat_ends = skipping | ~current.gather | (position == per_beat - 1) | last_word
        # The last beat of a request is the last of the instruction.
        last_beat = Mux(skipping, finished, ~current.gather | (last_word & last_row))
        mine = (self.i.p.tag == Tag.LOAD) | (self.i.p.tag == Tag.ROW)
        m.d.comb += [
            # What is offered has no say in this: the reader's data arrives late.
            self.i.ready.eq(active & skid.i.ready & beat_ends),
            wanted.eq(self.i.valid & mine & active & skid.i.ready),
            fail.eq(wanted & self.i.p.error),
            ending.eq(wanted & ~self.i.p.error & self.i.p.last & last_beat),
        ]
        with m.If(wanted & ~self.i.p.error):
            with m.If(skipping):
                m.d.sync += skipping.eq(~self.i.p.last)
            with m.Elif(~current.gather):
                m.d.comb += write.eq(1)
                m.d.sync += chunk.eq(chunk + 1)
                with m.If(chunk == last_chunk):
                    m.d.sync += [chunk.eq(0), address.eq(address + 1)]
            with m.Else():
                m.d.comb += write.eq(1)
                m.d.sync += [
                    position.eq(position + 1),
                    address.eq(address + 1),
                    words_left.eq(words_left - 1),
                ]
                with m.If(position == per_beat - 1):
                    m.d.sync += position.eq(0)
                with m.If(last_word):
                    m.d.sync += [
                        position.eq(0),
                        address.eq(row_address),
                        words_left.eq(row_words),
                        rows_left.eq(rows_left - 1),
                        bank.eq(bank + 1),
                        skipping.eq(~self.i.p.last),
                        finished.eq(last_row),
                    ]
                    with m.If(bank == config.rows - 1):
                        next_tile = row_address + current.tile
                        m.d.sync += [bank.eq(0), row_address.eq(next_tile), address.eq(next_tile)]

        with m.If(ending):
            m.d.sync += active.eq(0)
        with m.If(take):
            m.d.sync += [
                active.eq(1),
                waits.eq(0),
                current.eq(coming),
                limit.eq(coming_limit),
                last_chunk.eq(coming_last_chunk),
                address.eq(coming.address),
                row_address.eq(coming.address),
                chunk.eq(0),
                bank.eq(0),
                words_left.eq(coming.words - 2),
                row_words.eq(coming.words - 2),
                rows_left.eq(coming.count - 2),
                position.eq(0),
            ]

        place = {"bank": bank, "address": address, "chunk": chunk}
        outside = self._write(m, skid, current, place, position, write, limit, last_word & last_row, failed)
        with m.If(fail | outside):
            m.d.sync += [active.eq(0), failed.eq(1), self.error.code.eq(Mux(fail, Error.AXI_READ, Error.ADDRESS_RANGE))]
        return m

    def _write(self, m, skid, current, place, position, write, limit, last, failed):
        """A beat, or the word at ``position`` in it, out through ``skid``. Returns whether it is beyond its memory."""
        config, o = self.config, self.o
        outside = Signal()
        placed = skid.i.p
        m.d.comb += [
            outside.eq(write & (place["address"] >= limit)),
            skid.i.valid.eq(write & ~outside),
            placed.last.eq(Mux(current.gather, last, self.i.p.last)),
            placed.memory.eq(current.memory),
            placed.gather.eq(current.gather),
            *(placed[name].eq(value) for name, value in place.items()),
            placed.data.eq(self.i.p.data),
            o.valid.eq(skid.o.valid),
            o.payload.eq(skid.o.p),
            skid.o.ready.eq(o.ready),
            self.error.valid.eq(failed & ~skid.o.valid & ~self.i_waits),
        ]
        with m.If(current.gather):
            m.d.comb += placed.data[: config.depth].eq(self.i.p.data.word_select(position, config.depth))
        operand = (o.p.memory == Memory.LEFT.value) | (o.p.memory == Memory.RIGHT.value)
        m.d.sync += self.o_done.eq(self.i_loaded | (o.valid & o.ready & o.p.last & ~operand))
        return outside
