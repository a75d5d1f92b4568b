"""Row processor: executes row instructions on rows from the row buffer, one behind the other."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.instruction import ERROR, ISSUE
from hw.lib.stream_queue import StreamQueue
from hw.vector.code_writer import CODE_PLACE, CodeWriter
from hw.vector.row_buffer import RowBuffer
from hw.vector.row_completion import ENDS, RowCompletion
from hw.vector.row_instruction import RowFields, RowInstruction
from hw.vector.row_unit import gives_codes, own_ports
from hw.vector.row_units import ROW_EVENTS, ROW_KIND, ROW_UNITS, unit_name
from isa.config import Uram
from isa.errors import Error
from isa.instruction import Queue
from isa.sizes import STARTED


class RowProcessor(wiring.Component):
    """Row buffer, the row units, and what carries their codes away.

    Parameters
    ----------
    config : AcceleratorConfig

    Members
    -------
    i : In(stream of `ISSUE`)
        Instructions. The next one is taken and checked while rows of one enter their unit, and its rows follow those at
        once, into the same unit or another one. One without codes starts when all before it have completed.
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
        buffer_ultra = c.is_uram(Uram.ROW_BUFFER)
        self._buffer = RowBuffer(c.rows, c.columns, c.drain_rows, c.row_columns, c.row_lanes, buffer_ultra)
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
        m.submodules.completion = completion = RowCompletion()
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
        fields = RowFields(following.o_bits, following.o_kind)
        starts = self._start(m, following, fields, completion.o_idle, failed)
        self._give_rows(m)
        places, nowhere = self._take_codes(m, failed)

        own = [name for name, unit in self.units.items() if not gives_codes(unit)]
        enables = Cat(fields.get(f"{side}_enable") for side in ("left", "right"))
        answered = Cat(following.o_kind[name] for name in own).any()
        m.d.comb += [
            following.i_starts.eq(starts),
            following.i_failed.eq(failed),
            places.i.valid.eq(starts & ~answered),
            places.i.p.kind.eq(following.o_kind),
            *(
                places.i.p[side][name].eq(fields[name if name == "bits" else f"{side}_{name}"])
                for side in ("left", "right") for name in CODE_PLACE.members
            ),
            Cat(places.i.p.enable[side] for side in ("left", "right")).eq(enables),
            completion.i_starts.eq(starts),
            completion.i_kind.eq(following.o_kind),
            Cat(completion.i_ends.left, completion.i_ends.right).eq(Mux(answered, 0, enables)),
            completion.i_ends.nowhere.eq(~answered & ~enables.any()),
            completion.i_ends.answered.eq(answered),
            completion.i_ended.left.eq(self._left.o_done),
            completion.i_ended.right.eq(self._right.o_done),
            completion.i_ended.nowhere.eq(nowhere),
            completion.i_ended.answered.eq(Cat(self.units[name].o_done for name in own).any()),
            self.o_empty.eq(buffer.o_empty),
            self.o_events.row_wait_buffer.eq(buffer.o_waiting),
        ]  # fmt: skip
        for name in self.units:
            m.d.comb += self.o_events[f"{name}_busy"].eq(completion.o_busy[name])
        # What cannot be done is said of the oldest instruction.
        checked = following.o_checked & completion.o_idle
        self._report(m, completion, buffer.o_error | (checked & following.o_bad), checked & following.o_leaves, failed)
        return m

    def _start(self, m, following, fields, idle, failed):
        """Fetches the rows of the next instruction, and gives its unit the command. Returns when both are on their way."""
        command, fetched, given, wanted = self._buffer.i_command, Signal(), Signal(), Signal()
        m.d.comb += [
            *(command.p[name].eq(fields[name]) for name in ("rows", "groups", "first_row")),
            command.p.kind.eq(following.o_kind.as_value()),
            wanted.eq(following.o_checked & ~following.o_bad & ~following.o_leaves & ~failed),
            command.valid.eq(wanted & ~fetched),
        ]
        taken = []
        for name, unit in self.units.items():
            known = unit.derived(following.o_sizes, self.config) | {"columns": following.o_sizes.columns}
            command_of = unit.i_command
            m.d.comb += command_of.valid.eq(wanted & ~given & following.o_kind[name] & (1 if gives_codes(unit) else idle))
            for member in command_of.p.shape().members:
                value = known[member] if member in known else fields.of[name][member]
                m.d.comb += command_of.p[member].eq(value)
            taken.append(command_of.valid & command_of.ready)
        starts, fetches, gives = Signal(), Signal(), Signal()
        m.d.comb += [
            fetches.eq(fetched | (command.valid & command.ready)),
            gives.eq(given | Cat(taken).any()),
            starts.eq(fetches & gives),
        ]
        m.d.sync += [fetched.eq(fetches & ~gives), given.eq(gives & ~fetches)]
        return starts

    def _give_rows(self, m):
        """Rows from the buffer to the unit whose they are; they wait there for their command."""
        row, kind = self._buffer.o, self._buffer.o_kind
        for name, unit in self.units.items():
            m.d.comb += [unit.i.payload.eq(row.payload), unit.i.valid.eq(row.valid & kind[name])]
        m.d.comb += row.ready.eq(Cat(kind[name] & unit.i.ready for name, unit in self.units.items()).any())

    def _take_codes(self, m, failed):
        """Codes from the units, in the order of instructions, to the memories that want them; both take an element at once.

        Returns the queue of instructions whose codes are to come, and when codes that go nowhere end their instruction.
        """
        writers = {"left": self._left, "right": self._right}
        sides = data.StructLayout(dict.fromkeys(writers, 1))
        layout = data.StructLayout({"kind": ROW_KIND, "enable": sides, **dict.fromkeys(writers, CODE_PLACE)})
        m.submodules.places = places = StreamQueue(layout, STARTED[Queue.ROW])
        oldest = places.o.p
        units = {name: unit for name, unit in self.units.items() if gives_codes(unit)}
        codes = Signal(self._left.i.payload.shape())
        passes = {side: writer.i.ready | ~oldest.enable[side] for side, writer in writers.items()}
        valid, ready, ends = Signal(), Signal(), Signal()
        m.d.comb += [
            codes.eq(_chosen({name: unit.o.payload.as_value() for name, unit in units.items()}, oldest.kind)),
            # What follows a fault may be garbage, and is not written.
            valid.eq(_chosen({name: unit.o.valid for name, unit in units.items()}, oldest.kind) & places.o.valid & ~failed),
            ready.eq(passes["left"] & passes["right"] & places.o.valid),
            ends.eq(valid & ready & codes.ends),
            places.o.ready.eq(ends),
        ]
        for side, other in (("left", "right"), ("right", "left")):
            writer = writers[side]
            m.d.comb += [
                writer.i_place.eq(oldest[side]),
                writer.i.payload.eq(codes),
                writer.i.valid.eq(valid & oldest.enable[side] & passes[other]),
            ]
        for name, unit in units.items():
            m.d.comb += unit.o.ready.eq(oldest.kind[name] & ready)
        return places, ends & ~Cat(oldest.enable[side] for side in writers).any()

    def _report(self, m, completion, wrong_shape, leaves, failed):
        """Done, or the first error, after which there is neither."""
        wrong = Signal(ENDS)
        for side, writer in (("left", self._left), ("right", self._right)):
            with m.If(writer.o_error):
                m.d.sync += wrong[side].eq(1)
            # That of a writer may be about an instruction that others are before. It does not end.
            m.d.comb += completion.i_wrong[side].eq(wrong[side])
            with m.If(wrong[side] | writer.o_error):
                m.d.comb += completion.i_ended[side].eq(0)
        error = Signal(ERROR)
        with m.If(completion.o_failed | leaves):
            m.d.comb += [error.valid.eq(1), error.code.eq(Error.ADDRESS_RANGE.value)]
        with m.Elif(wrong_shape):
            m.d.comb += [error.valid.eq(1), error.code.eq(Error.SHAPE.value)]
        with m.If(error.valid):
            m.d.sync += failed.eq(1)
        m.d.sync += [
            self.o_error.code.eq(error.code),
            self.o_error.valid.eq(error.valid & ~failed),
            self.o_done.eq(completion.o_done & ~error.valid & ~failed),
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
