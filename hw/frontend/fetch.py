"""Fetch: reads the program ahead of its execution."""

from typing import Any

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from hw.axi.axi import ADDRESS_BITS, READ_REQUEST, Tag, read_data_layout
from isa.instruction import INSTRUCTION_BITS, INSTRUCTION_BYTES
from isa.sizes import fetch_chunk, fetch_room

#: An instruction, its place in the program, and whether one of its beats came with an error.
FETCHED = data.StructLayout({"bits": INSTRUCTION_BITS, "index": 16, "error": 1})


class Fetch(wiring.Component):
    """Reads instructions in chunks into a FIFO that always has room for what was asked, so it never stalls the reader.

    The FIFO holds at least 8 instructions and 32 beats, which cost no more than fewer: on a busy bus an answer may take
    some 300 cycles.

    Parameters
    ----------
    axi_bits : int
        Width of a beat.
    Members
    -------
    i_start : In
        Pulse; reset before the next one.
    i_address, i_count : In
        Where, and how many instructions; held from `i_start` on.
    i_stop : In
        Ask for no more.
    o_request : Out(stream of `READ_REQUEST`);  i_data : In(stream of `read_data_layout`)
        To and from the reader. `i_data` is always taken.
    o : Out(stream of `FETCHED`)
    o_idle : Out
        No data is due.
    """

    def __init__(self, axi_bits: int):
        self.axi_bits = axi_bits
        self.room = fetch_room(axi_bits)  # instructions in the FIFO
        self.chunk = fetch_chunk(axi_bits)  # instructions read together
        super().__init__({
            "i_start": In(1),
            "i_address": In(ADDRESS_BITS),
            "i_count": In(16),
            "i_stop": In(1),
            "o_request": Out(stream.Signature(READ_REQUEST)),
            "i_data": In(stream.Signature(read_data_layout(axi_bits))),
            "o": Out(stream.Signature(FETCHED)),
            "o_idle": Out(1),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        request, o = self.o_request, self.o
        beats = INSTRUCTION_BITS // self.axi_bits
        room = self.room
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=self.axi_bits + 1, depth=room * beats)

        address, left = Signal(ADDRESS_BITS), Signal(16)
        wanted, asked = Signal(range(self.chunk + 1)), Signal(range(self.chunk + 1))
        reserved = Signal(range(room + 1))  # instructions asked for and not yet out of the FIFO
        due = Signal(range(room * beats + 1))  # beats asked for and not yet arrived
        assembled, released = Signal(), Signal()
        asks = Signal()
        # Compared a cycle ahead: what has just been asked for is still waiting in `request` when this is out of date.
        m.d.sync += [
            asks.eq(left.any() & (reserved <= room - self.chunk)),
            wanted.eq(Mux(left > self.chunk, self.chunk, left)),
        ]
        m.d.comb += [
            self.o_idle.eq(~due.any() & ~request.valid),
        ]
        with m.If(self.i_start):
            m.d.sync += [address.eq(self.i_address), left.eq(self.i_count), o.p.index.eq(0)]
        with m.Elif(asks & ~request.valid & ~self.i_stop):
            m.d.comb += asked.eq(wanted)
            m.d.sync += [
                request.valid.eq(1),
                request.p.address.eq(address),
                request.p.beats.eq(wanted * beats),
                request.p.tag.eq(Tag.FETCH),
                address.eq(address + wanted * INSTRUCTION_BYTES),
                left.eq(left - wanted),
            ]
        with m.If(request.valid & request.ready):
            m.d.sync += request.valid.eq(0)
        m.d.sync += [
            released.eq(assembled),
            reserved.eq(reserved + asked - released),
            due.eq(due + asked * beats - self.i_data.valid),
        ]
        m.d.comb += [
            self.i_data.ready.eq(1),
            fifo.w_en.eq(self.i_data.valid),
            fifo.w_data[:-1].eq(self.i_data.p.data),
            fifo.w_data[-1].eq(self.i_data.p.error),
        ]

        # Beats shift in from the top; after the last one the first is at the bottom.
        count = Signal(range(max(2, beats)))
        m.d.comb += [
            fifo.r_en.eq(~o.valid),
            assembled.eq(fifo.r_rdy & fifo.r_en & (count == beats - 1)),
        ]
        with m.If(o.valid & o.ready):
            m.d.sync += [o.valid.eq(0), o.p.index.eq(o.p.index + 1)]
        with m.If(fifo.r_rdy & fifo.r_en):
            m.d.sync += [
                o.p.bits.eq((o.p.bits >> self.axi_bits) | (fifo.r_data[:-1] << (INSTRUCTION_BITS - self.axi_bits))),
                o.p.error.eq(fifo.r_data[-1] | (o.p.error & (count != 0))),
                o.valid.eq(count == beats - 1),
                count.eq(Mux(count == beats - 1, 0, count + 1)),
            ]
        return m
