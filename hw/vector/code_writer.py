"""Code writer: elements of rows to bit planes in an operand memory, a whole word a write."""

from typing import Any

from amaranth import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.codes import MAX_BITS
from hw.lib.pipeline import beyond, log2, registered
from hw.lib.skid import Skid
from hw.vector.row_stream import code_element, code_write

#: Where the result of an instruction goes; fields as in `isa.instruction`.
CODE_PLACE = data.StructLayout({"base": 16, "plane": 16, "tile": 16, "bits": 4})


class CodeWriter(wiring.Component):
    """K / L elements fill a word of each plane, which become ``bits`` writes, least significant first, one a cycle.

    A word is written while the next one fills: up to ``bits`` = K / L an element a cycle. Row i is in bank i % banks at
    word ``base + plane * p + tile * (i // banks)`` and up; the last word of a row is filled with zeros.

    Parameters
    ----------
    banks, depth, width, lanes : int
        Banks of ``depth`` words of K bits; L codes an element.

    Members
    -------
    i_place : In
        `CODE_PLACE` of the element at ``i``.
    i : In(stream)
        `hw.vector.row_stream.code_element`, rows from group 0 on.
    o : Out(stream)
        `hw.vector.row_stream.code_write`.
    o_done : Out
        Pulse: the last word of an element that ``ends`` its instruction is written, in all planes.
    o_error : Out
        Strobe: an address was beyond the memory; that write was dropped. After `o_done` of what was written before.
    """

    def __init__(self, banks: int, depth: int, width: int, lanes: int):
        self.banks, self.depth, self.width, self.lanes = banks, depth, width, lanes
        super().__init__({
            "i_place": In(CODE_PLACE),
            "i": In(stream.Signature(code_element(lanes))),
            "o": Out(stream.Signature(code_write(banks, depth, width))),
            "o_done": Out(1),
            "o_error": Out(1),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        place, i = self.i_place, self.i.p
        parts = self.width // self.lanes
        #: What a word takes along on its way out.
        target = data.StructLayout(
            {"address": 16, "beyond": 1, "bank": range(self.banks), "plane": 16, "last_plane": 3, "ends": 1}
        )

        # Writes leave from registers, so that who waits for whom does not run through the memory's port.
        checked = data.StructLayout({"write": self.o.payload.shape(), "fits": 1, "ends": 1})
        m.submodules.output = output = Skid(checked)

        # Two stages to the address of the word in the least significant plane.
        started, valid, complete, emitting = Signal(), Signal(), Signal(), Signal()
        advance, take, move = Signal(), Signal(), Signal()
        m.d.comb += [
            advance.eq(~valid | ~complete | move),
            take.eq(valid & advance),
            self.i.ready.eq(advance),
        ]
        with m.If(advance):
            m.d.sync += [started.eq(self.i.valid), valid.eq(started)]
            tile = registered(m, (i.row >> log2(self.banks)) * place.tile)
            word = registered(m, place.base + (i.group >> log2(parts)))
            address = registered(m, tile + word)
            codes = registered(m, registered(m, Cat(i.codes)))
            part, last = registered(m, registered(m, i.group[: log2(parts)])), registered(m, registered(m, i.last))
            bank, ends = registered(m, registered(m, i.row[: log2(self.banks)])), registered(m, registered(m, i.ends))
            plane, bits = registered(m, registered(m, place.plane)), registered(m, registered(m, place.bits))

        # The word that fills. Its first element clears the rest, which a short row leaves as it is.
        filling = [Signal(len(codes), name=f"filling{n}", reset_less=True) for n in range(parts)]
        filled = Signal(target, reset_less=True)
        for n, signal in enumerate(filling):
            with m.If(take & (part == n)):
                m.d.sync += signal.eq(codes)
            with m.If(take & (part == 0) & (n != 0)):
                m.d.sync += signal.eq(0)
        with m.If(take):
            m.d.sync += [
                complete.eq(last | (part == parts - 1)),
                filled.address.eq(address),
                filled.beyond.eq(address[16:].any()),
                filled.bank.eq(bank),
                filled.plane.eq(plane),
                filled.last_plane.eq(bits - 1),
                filled.ends.eq(ends),
            ]
        with m.Elif(move):
            m.d.sync += complete.eq(0)

        # The word that is written, plane after plane.
        content = [Signal(len(codes), name=f"content{n}", reset_less=True) for n in range(parts)]
        write = Signal(target, reset_less=True)
        number = Signal(range(MAX_BITS))
        taken, last_plane = Signal(), Signal()
        m.d.comb += [
            last_plane.eq(number == write.last_plane),
            taken.eq(emitting & output.i.ready),
            move.eq(complete & (~emitting | (taken & last_plane))),
        ]
        with m.If(move):
            m.d.sync += [emitting.eq(1), number.eq(0), write.eq(filled)]
            m.d.sync += [mine.eq(next_one) for mine, next_one in zip(content, filling, strict=True)]
        with m.Elif(taken):
            address = write.address + write.plane
            m.d.sync += [
                emitting.eq(~last_plane),
                number.eq(number + 1),
                write.address.eq(address),
                write.beyond.eq(write.beyond | address[16]),
            ]
        written = output.i.p.write
        m.d.comb += [
            output.i.valid.eq(emitting),
            output.i.p.fits.eq(~write.beyond & ~beyond(write.address, self.depth)),
            output.i.p.ends.eq(write.ends & last_plane),
            written.address.eq(write.address),
            written.bank.eq(write.bank),
        ]
        with m.Switch(number):
            for p in range(MAX_BITS):
                with m.Case(p):
                    m.d.comb += written.data.eq(Cat(Cat(content)[p::MAX_BITS]))
        m.d.comb += [
            self.o.valid.eq(output.o.valid & output.o.p.fits),
            self.o.payload.eq(output.o.p.write),
            output.o.ready.eq(self.o.ready | ~output.o.p.fits),
            self.o_error.eq(output.o.valid & ~output.o.p.fits),
            self.o_done.eq(self.o.valid & self.o.ready & output.o.p.ends),
        ]
        return m
