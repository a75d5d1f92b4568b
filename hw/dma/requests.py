"""First half of the DMA: what to read for a LOAD or GATHER, and whether it makes sense."""

from typing import Any

from amaranth import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from hw.axi.axi import ADDRESS_BITS, READ_REQUEST, Tag
from hw.frontend.control import SETTINGS
from hw.instruction import ERROR, ISSUE, instruction_layout
from isa.errors import Error
from isa.instruction import Memory, Opcode, Region

INDEX_BITS = 32

#: What the second half must know to place the data.
PLACEMENT = data.StructLayout({
    "gather": 1, "memory": 3, "address": 16, "tile": 16, "words": 12, "count": 16,
})  # fmt: skip


class DmaRequests(wiring.Component):
    """Checks instructions and issues their reads, ahead of the data.

    A GATHER reads its indices in chunks into a FIFO that always has room for what was asked, so rows behind them in the
    reader cannot wait for indices in front.

    Parameters
    ----------
    axi_bits, word_bits : int
        A and K.

    Members
    -------
    i : In(stream of `ISSUE`)
    i_settings : In(SETTINGS)
    i_index : In(stream)
        Beats of indices, with the reader's ``error``. Always ready.
    o_request : Out(stream of `READ_REQUEST`)
    o_placement : Out(stream of `PLACEMENT`)
        Offered once an instruction has passed its checks.
    error : Out(ERROR)
        Held until reset; about the last instruction taken.
    """

    def __init__(self, axi_bits: int, word_bits: int):
        self.axi_bits, self.word_bits = axi_bits, word_bits
        self.chunk = max(2, 16 * INDEX_BITS // axi_bits)  # beats of indices read together
        super().__init__({
            "i": In(stream.Signature(ISSUE)),
            "i_settings": In(SETTINGS),
            "i_index": In(stream.Signature(data.StructLayout({"data": axi_bits, "error": 1}))),
            "o_request": Out(stream.Signature(READ_REQUEST)),
            "o_placement": Out(stream.Signature(PLACEMENT)),
            "error": Out(ERROR),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        beat_bytes = self.axi_bits // 8
        per_beat = self.axi_bits // INDEX_BITS
        request, placement = self.o_request, self.o_placement

        bits = Signal(512, reset_less=True)
        load = instruction_layout(Opcode.LOAD)(bits)
        gather = instruction_layout(Opcode.GATHER)(bits)
        table, indices = Signal(ADDRESS_BITS), Signal(ADDRESS_BITS)
        rows_left = Signal(signed(17))  # counts down from two less, so that its sign tells the last one
        index_beats_left = Signal(16)

        fifo, asks, asking, wanted, taken = self._await_indices(m, index_beats_left)
        position = Signal(range(max(per_beat, 2)))
        index = Signal(INDEX_BITS)
        in_range = Signal()
        distance = Signal(ADDRESS_BITS - (beat_bytes.bit_length() - 1))  # of the row from the table's start, in beats

        free = ~request.valid | request.ready
        with m.If(request.ready):
            m.d.sync += request.valid.eq(0)
        with m.If(placement.ready):
            m.d.sync += placement.valid.eq(0)

        def fail(code):
            m.d.sync += [self.error.valid.eq(1), self.error.code.eq(code)]

        # A state for each bit, none of them after an error: numbers would have to be decoded in the longest paths.
        idle, loading, choosing, measuring, asking_row = Signal(init=1), Signal(), Signal(), Signal(), Signal()
        first, second, third, fourth = Signal(), Signal(), Signal(), Signal()
        m.d.comb += self.i.ready.eq(idle & ~placement.valid)
        m.d.sync += Cat(first, second, third, fourth).eq(Cat(self.i.valid & self.i.ready, first, second, third))
        with m.If(idle):
            m.d.sync += [bits.eq(self.i.p.bits), idle.eq(~(self.i.valid & self.i.ready))]
        left = {"rows": rows_left, "index_beats": index_beats_left}
        is_gather, impossible = self._measure(m, (first, second, third), load, gather, table, indices, left, position)

        # Checked: give the verdict.
        with m.If(fourth):
            m.d.sync += [placement.valid.eq(~impossible.any()), loading.eq(~is_gather), choosing.eq(is_gather)]
            with m.If(impossible.any()):
                m.d.sync += [loading.eq(0), choosing.eq(0)]
                fail(Error.SHAPE)
        with m.If(loading & free):
            m.d.sync += [
                request.valid.eq(1),
                request.p.address.eq(table),
                request.p.beats.eq(load.beats),
                request.p.tag.eq(Tag.LOAD),
                loading.eq(0),
                idle.eq(1),
            ]
        # A row: more indices first, then the next one of them, compared and multiplied in a cycle of its own.
        with m.If(choosing):
            with m.If(asks & free):
                m.d.comb += asking.eq(1)
                m.d.sync += [
                    request.valid.eq(1),
                    request.p.address.eq(indices),
                    request.p.beats.eq(wanted),
                    request.p.tag.eq(Tag.INDEX),
                    indices.eq(indices + wanted * beat_bytes),
                    index_beats_left.eq(index_beats_left - wanted),
                ]
            with m.Elif(~asks & fifo.r_rdy & ~taken):
                m.d.sync += [
                    index.eq(fifo.r_data[: self.axi_bits].word_select(position, INDEX_BITS)),
                    choosing.eq(0),
                    measuring.eq(~fifo.r_data[-1]),
                ]
                with m.If(fifo.r_data[-1]):
                    fail(Error.AXI_READ)
        with m.If(measuring):
            m.d.sync += [
                in_range.eq(index < gather.limit),
                distance.eq(index * gather.row_beats),
                measuring.eq(0),
                asking_row.eq(1),
            ]
        with m.If(asking_row):
            with m.If(~in_range):
                m.d.sync += asking_row.eq(0)
                fail(Error.INDEX_RANGE)
            with m.Elif(free):
                m.d.sync += [
                    request.valid.eq(1),
                    request.p.address.eq(table + distance * beat_bytes),
                    request.p.beats.eq(gather.row_beats),
                    request.p.tag.eq(Tag.ROW),
                    rows_left.eq(rows_left - 1),
                    position.eq(Mux(position == per_beat - 1, 0, position + 1)),
                    taken.eq((position == per_beat - 1) | rows_left[-1]),
                    asking_row.eq(0),
                    choosing.eq(~rows_left[-1]),
                    idle.eq(rows_left[-1]),
                ]
        return m

    def _await_indices(self, m, index_beats_left):
        """The FIFO of indices. Beats on their way or waiting never exceed it.

        Returns it, whether to ask for more, the signal that says so, how many beats, and the signal that a beat is used up.
        """
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=self.axi_bits + 1, depth=2 * self.chunk)
        reserved = Signal(range(2 * self.chunk + 1))
        wanted = Signal(range(self.chunk + 1))
        taken = Signal()
        m.d.comb += [
            self.i_index.ready.eq(1),
            fifo.w_en.eq(self.i_index.valid),
            fifo.w_data.eq(self.i_index.payload.as_value()),
            fifo.r_en.eq(taken),
        ]
        # Compared and counted a cycle later than asked; what has just been asked for is not asked for again.
        asks, asking, asked = Signal(), Signal(), Signal()
        asked_beats = Signal.like(wanted)
        m.d.sync += [
            taken.eq(0),
            asked.eq(asking),
            asked_beats.eq(Mux(asking, wanted, 0)),
            reserved.eq(reserved + asked_beats - taken),
            asks.eq((index_beats_left != 0) & (reserved <= self.chunk) & ~asking & ~asked),
            wanted.eq(Mux(index_beats_left > self.chunk, self.chunk, index_beats_left)),
        ]
        return fifo, asks, asking, wanted, taken

    def _measure(self, m, steps, load, gather, table, indices, left, position):
        """What is to know of an instruction before its first read, in three ``steps``.

        Sets addresses of ``table`` and ``indices``, and how many rows and beats of indices are ``left``. Returns whether it
        is a GATHER, and the reasons for which it is impossible, a bit each.
        """
        first, second, third = steps
        settings, placement = self.i_settings, self.o_placement
        beat_bytes, per_beat = self.axi_bits // 8, self.axi_bits // INDEX_BITS
        is_gather = Signal()
        row_words = Signal(range(256 * self.axi_bits // self.word_bits))
        spare_words = Signal(signed(1 + max(len(row_words), len(gather.words))))
        bases = {Region.IMAGE: settings.image_base, Region.INPUT: settings.input_base,
                 Region.OUTPUT: settings.output_base}  # fmt: skip
        base_of = Array([bases[region] for region in Region])
        impossible = Signal(6)
        with m.If(first):
            # LOAD and GATHER begin with the same fields.
            m.d.sync += [
                is_gather.eq(gather.opcode == Opcode.GATHER),
                table.eq(base_of[load.region] + load.offset),
                indices.eq(base_of[gather.index_region] + gather.index_offset),
                row_words.eq(gather.row_beats * (self.axi_bits // self.word_bits)),
            ]
        with m.If(second):
            foreign = (gather.region > max(Region)) | (gather.index_region > max(Region))
            m.d.sync += [
                impossible[0].eq(is_gather & (foreign | (gather.count == 0))),
                impossible[1].eq(is_gather & ((gather.row_beats == 0) | (gather.words == 0))),
                spare_words.eq(row_words - gather.words),
                impossible[3].eq(~is_gather & ((load.region > max(Region)) | (load.memory > max(Memory)))),
                impossible[4].eq(~is_gather & (load.beats == 0)),
                left["rows"].eq(gather.count - 2),
                left["index_beats"].eq((gather.count + (per_beat - 1)) // per_beat),
                position.eq(0),
            ]
        with m.If(third):
            low = beat_bytes.bit_length() - 1
            m.d.sync += [
                impossible[2].eq(is_gather & spare_words[-1]),
                impossible[5].eq(table[:low].any() | (is_gather & indices[:low].any())),
                placement.p.gather.eq(is_gather),
                placement.p.memory.eq(Mux(is_gather, Memory.LEFT, load.memory)),
                placement.p.address.eq(Mux(is_gather, gather.address, load.address)),
                placement.p.tile.eq(gather.tile),
                placement.p.words.eq(gather.words),
                placement.p.count.eq(gather.count),
            ]
        return is_gather, impossible
