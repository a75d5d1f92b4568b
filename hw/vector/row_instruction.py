"""The next row instruction: taken, measured, checked, and held until it starts."""

from functools import reduce
from operator import or_

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.codes import MAX_BITS
from hw.instruction import ISSUE, instruction_layout
from hw.lib.pipeline import log2
from hw.vector.row_unit import ROW_SIZES
from hw.vector.row_units import ROW_KIND, ROW_UNITS, unit_name
from isa.instruction import INSTRUCTION_BITS


class RowFields:
    """An instruction as each of the row units reads it, and fields that several of them have.

    Parameters
    ----------
    bits : Value(512)
    kind : View of `ROW_KIND`
    """

    def __init__(self, bits, kind):
        self.kind = kind
        #: By the name of the unit.
        self.of = {unit_name(unit): data.View(instruction_layout(unit.opcode), bits) for unit in ROW_UNITS}

    def having(self, name):
        """{unit: Value} of a field, of the units that have it."""
        return {unit: fields[name] for unit, fields in self.of.items() if name in fields.shape().members}

    def __getitem__(self, name):
        """A field of an instruction whose unit has it. Of others it may be anything, so that nothing is to choose where it
        has the same place in all."""
        having = self.having(name)
        if len({self.of[unit].shape()[name].offset for unit in having}) == 1:
            return next(iter(having.values()))
        return self.get(name)

    def get(self, name):
        """A field of the instruction, 0 where its unit does not have it."""
        return reduce(or_, (Mux(self.kind[unit], value, 0) for unit, value in self.having(name).items()))


class RowInstruction(wiring.Component):
    """One instruction at a time.

    Parameters
    ----------
    config : AcceleratorConfig

    Members
    -------
    i : In(stream of `ISSUE`)
    i_starts : In
        The instruction has started: the next one may come.
    i_failed : In
        No further instruction is taken.
    o_checked : Out
        There is an instruction, and the other outputs are about it.
    o_bad, o_leaves : Out
        Its shape is none that its unit, or any, can do; it uses words that its unit's memories do not have.
    o_bits : Out(512);  o_kind : Out(`ROW_KIND`);  o_sizes : Out(`ROW_SIZES`)
    """

    def __init__(self, config):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(ISSUE)),
                "i_starts": In(1),
                "i_failed": In(1),
                "o_checked": Out(1),
                "o_bad": Out(1),
                "o_leaves": Out(1),
                "o_bits": Out(INSTRUCTION_BITS),
                "o_kind": Out(ROW_KIND),
                "o_sizes": Out(ROW_SIZES),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bits = Signal(INSTRUCTION_BITS, reset_less=True)
        fields = RowFields(bits, self.o_kind)
        m.d.comb += [
            self.o_bits.eq(bits),
            self.o_kind.eq(Cat(fields["opcode"] == unit.opcode.value for unit in ROW_UNITS)),
        ]
        m.d.sync += [
            self.o_sizes.columns.eq(fields["columns"]),
            self.o_sizes.elements.eq(fields["rows"] * fields["groups"]),
            self.o_bad.eq(self._bad(fields)),
            self.o_leaves.eq(self._leaves(fields)),
        ]
        with m.FSM():
            with m.State("take"):
                m.d.comb += self.i.ready.eq(~self.i_failed)
                with m.If(self.i.valid & ~self.i_failed):
                    m.d.sync += bits.eq(self.i.p.bits)
                    m.next = "measure"
            with m.State("measure"):
                m.next = "check"
            with m.State("check"):
                m.next = "start"
            with m.State("start"):
                m.d.comb += self.o_checked.eq(1)
                with m.If(self.i_starts):
                    m.next = "take"
        return m

    def _leaves(self, fields):
        leaving = {unit_name(unit): unit.leaves(fields.of[unit_name(unit)], self.o_sizes, self.config) for unit in ROW_UNITS}
        return Cat(self.o_kind[name] & leaves for name, leaves in leaving.items()).any()

    def _bad(self, fields):
        c, kind, sizes = self.config, self.o_kind, self.o_sizes
        gives_codes, code_bits = Cat(kind[name] for name in fields.having("bits")).any(), fields["bits"]
        refused = [kind[unit_name(unit)] & unit.refuses(fields.of[unit_name(unit)], sizes, c) for unit in ROW_UNITS]
        return (
            (fields["rows"] == 0)
            | (fields["groups"] == 0)
            | (fields["groups"] > c.row_columns // c.row_lanes)
            | (gives_codes & ((code_bits == 0) | (code_bits > MAX_BITS)))
            | (gives_codes & (sizes.columns > (fields["groups"] << log2(c.row_lanes))))
            | Cat(refused).any()
            | ~kind.as_value().any()
        )
