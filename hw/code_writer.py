"""Code writer: elements of rows to bit planes in an operand memory."""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.pipeline import held, log2
from hw.row_stream import code_element, code_write

#: Where the result of an instruction goes; fields as in `golden.instruction`.
CODE_PLACE = data.StructLayout({"base": 16, "plane": 16, "tile": 16, "bits": 4})


class CodeWriter(wiring.Component):
    """Each element becomes ``bits`` writes of L bits, one for each plane, least significant first; one write a cycle.

    Row i is in bank i % banks at word ``base + plane * p + tile * (i // banks)`` and up.

    Parameters
    ----------
    banks, depth, width, lanes : int
        Banks of ``depth`` words of K bits; L codes an element.

    Members
    -------
    i_place : In
        `CODE_PLACE`, held while elements are under way.
    i : In(stream)
        `hw.row_stream.code_element`.
    o : Out(stream)
        `hw.row_stream.code_write`.
    o_busy : Out
        An element is under way.
    o_error : Out
        Strobe: an address was beyond the memory; that write was dropped.
    """

    def __init__(self, banks, depth, width, lanes):
        self.banks, self.depth, self.width, self.lanes = banks, depth, width, lanes
        super().__init__({
            "i_place": In(CODE_PLACE),
            "i": In(stream.Signature(code_element(lanes))),
            "o": Out(stream.Signature(code_write(banks, depth, width, lanes))),
            "o_busy": Out(1),
            "o_error": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        place, i = self.i_place, self.i.p
        parts = log2(self.width // self.lanes)

        # Two stages to the address of the least significant plane, then one write after another.
        started, valid = Signal(), Signal()
        advance, taken, fits, last_plane = Signal(), Signal(), Signal(), Signal()
        plane = Signal(3)
        address = Signal(34)
        codes = [Signal(8, name=f"code{lane}", reset_less=True) for lane in range(self.lanes)]
        m.d.comb += [
            fits.eq(address < self.depth),
            last_plane.eq(plane == (place.bits - 1)[:3]),
            taken.eq(valid & (self.o.ready | ~fits)),
            advance.eq(~valid | (taken & last_plane)),
            self.i.ready.eq(advance),
            self.o_busy.eq(started | valid),
        ]
        with m.If(advance):
            m.d.sync += [started.eq(self.i.valid), valid.eq(started), plane.eq(0)]
            tile = held(m, (i.row >> log2(self.banks)) * place.tile)
            word = held(m, place.base + (i.group >> parts))
            next_codes = [held(m, code) for code in i.codes]
            bank, column = held(m, held(m, i.row[: log2(self.banks)])), held(m, held(m, i.group[:parts]))
            m.d.sync += [address.eq(tile + word), Cat(codes).eq(Cat(next_codes))]
        with m.Elif(taken):
            m.d.sync += [plane.eq(plane + 1), address.eq(address + place.plane)]
            m.d.sync += [code.eq(code >> 1) for code in codes]
        m.d.sync += self.o_error.eq(valid & ~fits)
        m.d.comb += [
            self.o.valid.eq(valid & fits),
            self.o.p.address.eq(address),
            self.o.p.bank.eq(bank),
            self.o.p.column.eq(column),
            self.o.p.data.eq(Cat(code[0] for code in codes)),
        ]
        return m
