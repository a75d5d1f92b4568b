"""STORE: rows to external memory, as they are."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from hw.lib.pipeline import log2
from hw.vector.row_unit import RowUnit, row_command
from isa.instruction import Opcode, Region

BEATS = 24  #: bits of their number

#: A STORE's request: ``beats`` of AXI width at a byte ``offset`` of a region.
STORE_REQUEST = data.StructLayout({**row_command(Opcode.STORE, "region", "offset").members, "beats": BEATS})


class Store(RowUnit):
    """A row unit without codes: the request goes out when the command is taken, and rows as they come.

    Parameters
    ----------
    lanes, axi_bits : int
        An element is one beat or several.

    Members
    -------
    o_store : Out(stream of `STORE_REQUEST`);  o_store_data : Out(stream of axi_bits)
        Rows one after another, element by element, lowest lanes first.
    i_store_done : In
        Pulse: the whole of a request has been answered.
    """

    opcode = Opcode.STORE

    def __init__(self, lanes, axi_bits):
        self.axi_bits = axi_bits
        super().__init__(lanes, STORE_REQUEST, codes=False, members={
            "o_store": Out(stream.Signature(STORE_REQUEST)),
            "o_store_data": Out(stream.Signature(axi_bits)),
            "i_store_done": In(1),
        })  # fmt: skip

    @classmethod
    def of(cls, config):
        return cls(config.row_lanes, config.axi_bits)

    @staticmethod
    def derived(sizes, config):
        return {"beats": sizes.elements << log2(config.row_lanes * 16 // config.axi_bits)}

    @staticmethod
    def refuses(fields, sizes, config):
        return (fields.region > max(Region)) | Store.derived(sizes, config)["beats"][BEATS:].any()

    def elaborate(self, platform):
        m = Module()
        beats = self.lanes * 16 // self.axi_bits
        beat = Signal(range(max(beats, 2)))
        beat_ends = beat == beats - 1
        request, words = self.o_store, self.o_store_data
        m.d.comb += [
            request.payload.eq(self.i_command.payload),
            request.valid.eq(self.i_command.valid),
            self.i_command.ready.eq(request.ready),
            words.payload.eq(Cat(self.i.p.values).word_select(beat, self.axi_bits)),
            words.valid.eq(self.i.valid),
            self.i.ready.eq(words.ready & beat_ends),
            self.o_done.eq(self.i_store_done),
        ]
        with m.If(words.valid & words.ready):
            m.d.sync += beat.eq(Mux(beat_ends, 0, beat + 1))
        return m
