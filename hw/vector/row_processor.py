"""Row processor: executes row instructions on rows from the row buffer, one after the other."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.instruction import ERROR, ISSUE
from hw.vector.code_writer import CODE_PLACE, CodeWriter
from hw.vector.row_buffer import RowBuffer
from hw.vector.row_instruction import RowFields, RowInstruction
from hw.vector.row_progress import RowProgress
from hw.vector.row_unit import gives_codes, own_ports
from hw.vector.row_units import ROW_EVENTS, ROW_KIND, ROW_UNITS, unit_name
from isa.errors import Error


class RowProcessor(wiring.Component):
    """Row buffer, the row units, and what carries their codes away.

    Parameters
    ----------
    config : AcceleratorConfig

    Members
    -------
    i : In(stream of `ISSUE`)
        Instructions. The next one is taken and checked while one runs, and starts when all rows of that have left their
        unit; its rows are read from the buffer before.
    i_rows : In(stream)
        From the drain, see `hw.vector.row_buffer.RowBuffer`.
    o_left, o_right : Out(stream)
        `hw.vector.row_stream.code_write`, to the operand memories.
    o_done : Out
        Pulse: the last write of the oldest instruction was taken, a cycle ago or more.
    o_error : Out(ERROR)
        For a cycle, about the oldest instruction; no `o_done` follows, and no instruction is started until reset.
    o_empty : Out
        The row buffer holds nothing; a cycle late.
    o_events : Out(ROW_EVENTS)
    i_load_residual, i_load_norm, o_saturated, o_store, o_store_data, i_store_done
        Ports of `hw.vector.row_units.ROW_UNITS`.
    """

    def __init__(self, config):
        self.config = c = config
        self._buffer = RowBuffer(c.rows, c.columns, c.drain_rows, c.row_columns, c.row_lanes)
        #: By their names.
        self.units = {unit_name(unit): unit.of(c) for unit in ROW_UNITS}
        self._left = CodeWriter(c.rows, c.left_depth, c.depth, c.row_lanes)
        self._right = CodeWriter(c.columns, c.right_depth, c.depth, c.row_lanes)
        passed = {}
        for unit in self.units.values():
            passed |= own_ports(unit)
        super().__init__(
            {
                "i": In(stream.Signature(ISSUE)),
                "i_rows": In(stream.Signature(self._buffer.i.payload.shape())),
                "o_left": Out(stream.Signature(self._left.o.payload.shape())),
                "o_right": Out(stream.Signature(self._right.o.payload.shape())),
                "o_done": Out(1),
                "o_error": Out(ERROR),
                "o_empty": Out(1),
                "o_events": Out(ROW_EVENTS),
                **passed,
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.buffer = buffer = self._buffer
        m.submodules.next = following = RowInstruction(self.config)
        m.submodules.progress = progress = RowProgress()
        m.submodules.left, m.submodules.right = self._left, self._right
        wiring.connect(m, wiring.flipped(self.i), following.i)
        wiring.connect(m, wiring.flipped(self.i_rows), buffer.i)
        wiring.connect(m, self._left.o, wiring.flipped(self.o_left))
        wiring.connect(m, self._right.o, wiring.flipped(self.o_right))
        for name, unit in self.units.items():
            m.submodules[name] = unit
            for port, member in own_ports(unit).items():
                _pass_on(m, member, getattr(self, port), getattr(unit, port))

        failed = Signal()
        current = Signal(ROW_KIND)  # of the instruction that runs, or was the last to
        fields = RowFields(following.o_bits, following.o_kind)
        starts = self._start(m, following, fields, progress, failed)
        with m.If(starts):
            m.d.sync += current.eq(following.o_kind)
        row_taken = self._give_rows(m, current, progress.o_running)
        code_row_taken = self._take_codes(m, current, fields, starts, progress.o_flushing, failed)

        own = [name for name, unit in self.units.items() if not gives_codes(unit)]
        m.d.comb += [
            following.i_starts.eq(starts),
            following.i_failed.eq(failed),
            progress.i_starts.eq(starts),
            progress.i_rows.eq(fields["rows"]),
            progress.i_gives_codes.eq(~Cat(current[name] for name in own).any()),
            progress.i_row_leaves.eq(Mux(progress.i_gives_codes, code_row_taken, row_taken)),
            progress.i_written.eq(~self._left.o_busy & ~self._right.o_busy),
            progress.i_answered.eq(Cat(self.units[name].o_done for name in own).any()),
            self.o_empty.eq(buffer.o_empty),
            self.o_events.row_wait_buffer.eq(buffer.o_waiting),
        ]
        for name in self.units:
            leaving = progress.o_answering if name in own else progress.o_flushing
            m.d.comb += self.o_events[f"{name}_busy"].eq((progress.o_running | leaving) & current[name])
        refused = following.o_checked & following.o_bad & ~progress.o_running & ~progress.o_answering & ~progress.o_flushing
        self._report(m, progress, buffer.o_error | refused, failed)
        return m

    def _start(self, m, following, fields, progress, failed):
        """Fetches the rows of the next instruction, and gives its unit the command. Returns when that is taken."""
        command, fetched, wanted = self._buffer.i_command, Signal(), Signal()
        m.d.comb += [
            *(command.p[name].eq(fields[name]) for name in command.p.shape().members),
            command.valid.eq(following.o_checked & ~following.o_bad & ~fetched),
            wanted.eq(fetched & ~progress.o_running & ~progress.o_answering & ~failed),
        ]
        taken = []
        for name, unit in self.units.items():
            known = unit.derived(following.o_sizes, self.config) | {"columns": following.o_sizes.columns}
            command_of = unit.i_command
            m.d.comb += command_of.valid.eq(wanted & following.o_kind[name])
            for member in command_of.p.shape().members:
                value = known[member] if member in known else fields.of[name][member]
                m.d.comb += command_of.p[member].eq(value)
            taken.append(command_of.valid & command_of.ready)
        starts = Signal()
        m.d.comb += starts.eq(Cat(taken).any())
        with m.If(command.valid & command.ready):
            m.d.sync += fetched.eq(1)
        with m.If(starts):
            m.d.sync += fetched.eq(0)
        return starts

    def _give_rows(self, m, current, running):
        """Rows from the buffer to the unit; those of the next instruction may wait. Returns when one has gone."""
        row = self._buffer.o
        for name, unit in self.units.items():
            m.d.comb += [unit.i.payload.eq(row.payload), unit.i.valid.eq(row.valid & current[name] & running)]
        m.d.comb += row.ready.eq(Cat(current[name] & running & unit.i.ready for name, unit in self.units.items()).any())
        return row.valid & row.ready & row.p.last

    def _take_codes(self, m, current, fields, starts, flushing, failed):
        """Codes from the unit to the memories that want them; both take an element in the same cycle.

        The writers have written all codes of an instruction before they take one of the next. Returns when the last of a
        row has gone.
        """
        writers = {"left": self._left, "right": self._right}
        enable = Signal(data.StructLayout(dict.fromkeys(writers, 1)))
        place = Signal(data.StructLayout(dict.fromkeys(writers, CODE_PLACE)))
        with m.If(starts):
            for side in writers:
                m.d.sync += [enable[side].eq(fields.get(f"{side}_enable")), place[side].bits.eq(fields["bits"])]
                m.d.sync += [place[side][name].eq(fields[f"{side}_{name}"]) for name in ("base", "plane", "tile")]

        units = {name: unit for name, unit in self.units.items() if gives_codes(unit)}
        codes = Signal(self._left.i.payload.shape())
        passes = {side: writer.i.ready | ~enable[side] for side, writer in writers.items()}
        valid, ready = Signal(), Signal()
        m.d.comb += [
            codes.eq(_chosen({name: unit.o.payload.as_value() for name, unit in units.items()}, current)),
            # What follows a fault may be garbage, and is not written.
            valid.eq(_chosen({name: unit.o.valid for name, unit in units.items()}, current) & ~failed & ~flushing),
            ready.eq(passes["left"] & passes["right"]),
        ]
        for side, other in (("left", "right"), ("right", "left")):
            writer = writers[side]
            m.d.comb += [
                writer.i_place.eq(place[side]),
                writer.i.payload.eq(codes),
                writer.i.valid.eq(valid & enable[side] & passes[other]),
            ]
        for name, unit in units.items():
            m.d.comb += unit.o.ready.eq(current[name] & ready & ~flushing)
        return valid & ready & codes.last

    def _report(self, m, progress, wrong_shape, failed):
        """Done, or the first error, after which there is neither."""
        errors = Cat(unit.o_error for unit in self.units.values() if "o_error" in unit.signature.members).any()
        # Those of a unit may be about the instruction that runs while the one before is flushed.
        spoilt = Signal()
        with m.If(errors):
            m.d.sync += spoilt.eq(1)
        late = (errors | spoilt) & ~(progress.o_flushing & progress.o_running)
        error = Signal(ERROR)
        with m.If(self._left.o_error | self._right.o_error | late):
            m.d.comb += [error.valid.eq(1), error.code.eq(Error.ADDRESS_RANGE.value)]
        with m.Elif(wrong_shape):
            m.d.comb += [error.valid.eq(1), error.code.eq(Error.SHAPE.value)]
        with m.If(error.valid):
            m.d.sync += failed.eq(1)
        m.d.sync += [
            self.o_error.code.eq(error.code),
            self.o_error.valid.eq(error.valid & ~failed),
            self.o_done.eq(progress.o_done & ~error.valid & ~failed),
        ]


def _chosen(values, kind):
    """The value of the unit whose bit of ``kind`` is set; of the first one if none of these is."""
    (_, chosen), *others = values.items()
    for name, value in others:
        chosen = Mux(kind[name], value, chosen)
    return chosen


def _pass_on(m, member, outer, inner):
    """Connects a port of a unit to the one of the same name of the processor around it."""
    if member.is_signature:
        if member.flow is wiring.In:
            wiring.connect(m, wiring.flipped(outer), inner)
        else:
            wiring.connect(m, inner, wiring.flipped(outer))
    elif member.flow is wiring.In:
        m.d.comb += inner.eq(outer)
    else:
        m.d.comb += outer.eq(inner)
