"""Resolve: what the length of its sample leaves of an instruction: `isa.resolve`, between fetch and the queues."""

from typing import Any

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.frontend.fetch import FETCHED
from hw.instruction import HEADER, instruction_layout
from hw.lib.pipeline import log2
from isa.instruction import FLAGS, INSTRUCTION_BITS, SAMPLES, TOKEN_BITS, Opcode, operation
from isa.latency import RESOLVE

OFFSET_BITS = 32

#: An instruction, its place in the program, whether one of its beats came with an error, and whether nothing is left of it.
RESOLVED = data.StructLayout({"bits": INSTRUCTION_BITS, "index": 16, "error": 1, "nothing": 1})


class Resolve(wiring.Component):
    """An instruction at a time: it stays at the input while what replaces its sizes is worked out, a short step a cycle.

    Parameters
    ----------
    units : dict of str to int
        Tokens that make 1 of a size, powers of two, by the names that `isa.instruction.Limit` gives them.

    Members
    -------
    i_lengths : In(8 x 16)
        Of the samples. Held from before the first instruction.
    i : In(stream of `FETCHED`)
        Taken `isa.latency.RESOLVE` cycles after it has come, if the one before has left by then.
    o : Out(stream of `RESOLVED`)
    """

    def __init__(self, units: dict[str, int]):
        self.units = units
        super().__init__(
            {
                "i_lengths": In(data.ArrayLayout(TOKEN_BITS, SAMPLES)),
                "i": In(stream.Signature(FETCHED)),
                "o": Out(stream.Signature(RESOLVED)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        i, o = self.i, self.o
        header = HEADER(i.p.bits)
        step = Signal(RESOLVE)  # a bit for each step that is done
        m.d.comb += i.ready.eq(step[-1] & ~o.valid)
        m.d.sync += step.eq(Mux(i.valid & ~i.ready, Cat(Const(1, 1), step[:-1]), 0))

        # Everything follows its inputs freely, and holds still when they have for long enough.
        length, rows = Signal(TOKEN_BITS), Signal(TOKEN_BITS)
        no_token, no_row, nothing = Signal(), Signal(), Signal()
        m.d.sync += [
            length.eq(self.i_lengths[header.sample]),
            rows.eq(length - header.first_token),
            no_token.eq(length == 0),
            no_row.eq(length <= header.first_token),
            nothing.eq(Mux(header.limit_rows, no_row, no_token & Cat(header[flag] for flag in FLAGS).any())),
        ]
        left = dict.fromkeys(FLAGS, length) | {"limit_rows": rows}
        rewritten = self._rewritten(m, i.p.bits, self._limited(m, header, left) | self._indexed(m, length))

        with m.If(o.ready):
            m.d.sync += o.valid.eq(0)
        with m.If(i.ready):
            m.d.sync += [o.valid.eq(1), o.p.bits.eq(rewritten), o.p.index.eq(i.p.index), o.p.error.eq(i.p.error)]
            m.d.sync += o.p.nothing.eq(nothing)
        return m

    def _limited(self, m, header, left):
        """``{(opcode, field): (whether it is to be replaced, value)}`` of all sizes, from the tokens ``left`` by flag."""
        limits = {opcode: operation(opcode).limits for opcode in Opcode}
        sizes = {}  # by what they depend on: the same for all opcodes
        for flag, unit in sorted({limit for of in limits.values() for limit in of.values()}):
            per = self.units[unit]
            sizes[flag, unit] = size = Signal(TOKEN_BITS - log2(per) + 1, name=f"{flag}_{unit or 'tokens'}")
            m.d.sync += size.eq((left[flag] + (per - 1)) >> log2(per))
        changed = {}
        for opcode, of in limits.items():
            fields = instruction_layout(opcode)(self.i.p.bits)
            for name, limit in of.items():
                fewer = Signal(name=f"{opcode.name.lower()}_{name}_fewer")
                m.d.sync += fewer.eq((sizes[limit] < fields[name]) & header[limit.flag])
                changed[opcode, name] = fewer, sizes[limit]
        return changed

    def _indexed(self, m, length):
        """The offset of an entry that the length chooses, in the same form."""
        changed = {}
        for opcode in Opcode:
            if "index_shift" in operation(opcode).names:
                fields = instruction_layout(opcode)(self.i.p.bits)
                distance, offset = Signal(OFFSET_BITS), Signal(OFFSET_BITS)
                m.d.sync += [
                    distance.eq(Mux(fields.index_shift.any(), length << fields.index_shift, 0)),
                    offset.eq(fields.offset + distance),
                ]
                changed |= {(opcode, "offset"): (Const(1), offset), (opcode, "index_shift"): (Const(1), Const(0))}
        return changed

    def _rewritten(self, m, bits, changed):
        """``bits`` with the fields of its opcode as they are to be."""
        rewritten = Signal.like(bits)
        m.d.comb += rewritten.eq(bits)
        of = {opcode: Signal(name=f"is_{opcode.name.lower()}") for opcode, _ in changed}
        for opcode, is_it in of.items():
            m.d.sync += is_it.eq(HEADER(bits).opcode == opcode)
        for (opcode, name), (replaced, value) in changed.items():
            field = instruction_layout(opcode)(rewritten)[name]
            with m.If(of[opcode] & replaced):
                m.d.comb += field.eq(value)
        return rewritten
