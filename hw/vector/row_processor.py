"""Row processor: executes SOFTMAX, NORM and STORE on rows from the row buffer, one after the other."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.codes import MAX_BITS
from golden.layernorm import MAX_WIDTH_BITS
from hw.instruction import ERROR, ISSUE, instruction_layout
from hw.lib.pipeline import log2
from hw.vector.code_writer import CODE_PLACE, CodeWriter
from hw.vector.layernorm import NORM_COMMAND, LayerNorm
from hw.vector.row_buffer import RowBuffer
from hw.vector.softmax import Softmax
from isa.instruction import INSTRUCTION_BITS, Opcode, Region
from isa.registers import Error

#: A STORE's request: ``beats`` of AXI width at a byte ``offset`` of a region.
STORE_REQUEST = data.StructLayout({"region": 2, "offset": 32, "beats": 24})

KIND = data.StructLayout({"softmax": 1, "norm": 1, "store": 1})

#: What counts a performance counter: each a bit.
ROW_EVENTS = data.StructLayout({"softmax_busy": 1, "norm_busy": 1, "store_busy": 1, "row_wait_buffer": 1})


class RowProcessor(wiring.Component):
    """Row buffer, softmax, norm with residual stream and constants, and what carries their results away.

    Parameters
    ----------
    config : AcceleratorConfig

    Members
    -------
    i : In(stream of `ISSUE`)
        Instructions. The next one is taken and checked while one runs, and starts when all rows of that have left their
        unit; its rows are read from the buffer before.
    i_length : In(16)
        The LENGTH register.
    i_rows : In(stream)
        From the drain, see `hw.vector.row_buffer.RowBuffer`.
    i_load_residual, i_load_norm : In(stream)
        `hw.vector.row_stream.load_chunk`.
    o_left, o_right : Out(stream)
        `hw.vector.row_stream.code_write`, to the operand memories.
    o_store : Out(stream of `STORE_REQUEST`);  o_store_data : Out(stream of axi_bits)
        A STORE: rows one after another, element by element, lowest lanes first.
    i_store_done : In
        Pulse: the whole of a request has been answered.
    o_done : Out
        Pulse: the last write of the oldest instruction was taken, a cycle ago or more.
    o_error : Out(ERROR)
        For a cycle, about the oldest instruction; no `o_done` follows, and no instruction is started until reset.
    o_events : Out(ROW_EVENTS)
    o_saturated : Out
        Residual elements that saturated, counted in this cycle.
    """

    def __init__(self, config):
        self.config = c = config
        self._buffer = RowBuffer(c.rows, c.columns, c.drain_rows, c.row_columns, c.row_lanes)
        self._softmax = Softmax(c.row_lanes, c.row_columns)
        self._norm = LayerNorm(c.row_lanes, c.row_columns, c.residual_depth, c.norm_depth, c.axi_bits)
        self._left = CodeWriter(c.rows, c.left_depth, c.depth, c.row_lanes)
        self._right = CodeWriter(c.columns, c.right_depth, c.depth, c.row_lanes)

        def like(port):
            return stream.Signature(port.payload.shape())

        super().__init__({
            "i": In(stream.Signature(ISSUE)),
            "i_length": In(16),
            "i_rows": In(like(self._buffer.i)),
            "i_load_residual": In(like(self._norm.i_load_residual)),
            "i_load_norm": In(like(self._norm.i_load_norm)),
            "o_left": Out(like(self._left.o)),
            "o_right": Out(like(self._right.o)),
            "o_store": Out(stream.Signature(STORE_REQUEST)),
            "o_store_data": Out(stream.Signature(c.axi_bits)),
            "i_store_done": In(1),
            "o_done": Out(1),
            "o_error": Out(ERROR),
            "o_events": Out(ROW_EVENTS),
            "o_saturated": Out(self._norm.o_saturated.shape()),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.buffer = buffer = self._buffer
        m.submodules.softmax = softmax = self._softmax
        m.submodules.norm = norm = self._norm
        m.submodules.left = left = self._left
        m.submodules.right = right = self._right
        wiring.connect(m, wiring.flipped(self.i_rows), buffer.i)
        wiring.connect(m, wiring.flipped(self.i_load_residual), norm.i_load_residual)
        wiring.connect(m, wiring.flipped(self.i_load_norm), norm.i_load_norm)
        wiring.connect(m, left.o, wiring.flipped(self.o_left))
        wiring.connect(m, right.o, wiring.flipped(self.o_right))

        # The next instruction, as each of the three opcodes reads it; the first fields are the same.
        bits = Signal(INSTRUCTION_BITS, reset_less=True)
        scores, norms, store = (
            data.View(instruction_layout(opcode), bits) for opcode in (Opcode.SOFTMAX, Opcode.NORM, Opcode.STORE)
        )
        next_is = data.View(KIND, Cat(norms.opcode == kind.value for kind in (Opcode.SOFTMAX, Opcode.NORM, Opcode.STORE)))
        code_bits = Mux(next_is.norm, norms.bits, scores.bits)
        columns, beats = Signal(16), Signal(32)
        masked = next_is.softmax & scores.mask & (self.i_length < norms.columns)
        beats_of_element = self.config.row_lanes * 16 // self.config.axi_bits
        m.d.sync += [
            columns.eq(Mux(masked, self.i_length, norms.columns)),
            beats.eq((norms.rows * norms.groups) << log2(beats_of_element)),
        ]
        bad = Signal()
        m.d.sync += bad.eq(
            (norms.rows == 0)
            | (norms.groups == 0)
            | (norms.groups > self.config.row_columns // self.config.row_lanes)
            | (~next_is.store & ((code_bits == 0) | (code_bits > MAX_BITS)))
            | (~next_is.store & (columns > (norms.groups << log2(self.config.row_lanes))))
            | (next_is.softmax & (columns == 0))
            | (next_is.norm & ((columns < 2) | columns[MAX_WIDTH_BITS:].any() | (norms.epsilon == 0)))
            | (next_is.store & ((store.region > max(Region)) | beats[24:].any()))
            | ~next_is.as_value().any()
        )

        # The instruction in progress, and what is left of it. It runs until all rows have left their unit.
        running, failed = Signal(), Signal()
        current, rows_left = Signal(KIND), Signal(16)
        enable = Signal(data.StructLayout({"left": 1, "right": 1}))
        place = Signal(data.StructLayout({"left": CODE_PLACE, "right": CODE_PLACE}))

        # Rows from the buffer to the unit. Softmax and norm refuse those of the next instruction, which may wait here.
        beat = Signal(range(max(beats_of_element, 2)))
        beat_ends = beat == beats_of_element - 1
        row = buffer.o
        m.d.comb += [
            softmax.i.payload.eq(row.payload),
            norm.i.payload.eq(row.payload),
            softmax.i.valid.eq(row.valid & current.softmax),
            norm.i.valid.eq(row.valid & current.norm),
            self.o_store_data.payload.eq(Cat(row.p.values).word_select(beat, self.config.axi_bits)),
            self.o_store_data.valid.eq(row.valid & current.store & running),
            row.ready.eq(
                (current.softmax & softmax.i.ready)
                | (current.norm & norm.i.ready)
                | (current.store & running & self.o_store_data.ready & beat_ends)
            ),
        ]
        with m.If(self.o_store_data.valid & self.o_store_data.ready):
            m.d.sync += beat.eq(Mux(beat_ends, 0, beat + 1))

        # Codes from the unit to the memories that want them; both take an element in the same cycle. The writers have
        # written all codes of an instruction before they take one of the next.
        flushing = Signal()
        codes = Signal(softmax.o.payload.shape())
        codes_valid, left_passes, right_passes, codes_taken = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            codes.eq(Mux(current.norm, norm.o.payload, softmax.o.payload)),
            # What follows a fault may be garbage, and is not written.
            codes_valid.eq(Mux(current.norm, norm.o.valid, softmax.o.valid) & ~failed & ~flushing),
            left_passes.eq(left.i.ready | ~enable.left),
            right_passes.eq(right.i.ready | ~enable.right),
            left.i.payload.eq(codes),
            right.i.payload.eq(codes),
            left.i.valid.eq(codes_valid & enable.left & right_passes),
            right.i.valid.eq(codes_valid & enable.right & left_passes),
            norm.o.ready.eq(current.norm & left_passes & right_passes & ~flushing),
            softmax.o.ready.eq(current.softmax & left_passes & right_passes & ~flushing),
            codes_taken.eq(codes_valid & left_passes & right_passes),
            left.i_place.eq(place.left),
            right.i_place.eq(place.right),
        ]

        m.d.comb += [
            softmax.i_command.p.columns.eq(columns),
            *(softmax.i_command.p[name].eq(scores[name]) for name in ("rows", "step", "step_shift", "bits")),
            norm.i_command.p.columns.eq(columns),
            *(norm.i_command.p[name].eq(norms[name]) for name, _ in NORM_COMMAND if name != "columns"),
            *(self.o_store.p[name].eq(store[name]) for name in ("region", "offset")),
            self.o_store.p.beats.eq(beats),
            *(buffer.i_command.p[name].eq(norms[name]) for name in ("rows", "groups", "first_row")),
        ]

        # The next instruction: taken, measured, checked; its rows fetched; and started.
        checked, fetched, answering = Signal(), Signal(), Signal()
        wanted, starts, refused = Signal(), Signal(), Signal()
        m.d.comb += [
            buffer.i_command.valid.eq(checked & ~bad & ~fetched),
            wanted.eq(fetched & ~running & ~answering & ~failed),
            refused.eq(checked & bad & ~running & ~answering & ~flushing),
            softmax.i_command.valid.eq(wanted & next_is.softmax),
            norm.i_command.valid.eq(wanted & next_is.norm),
            self.o_store.valid.eq(wanted & next_is.store),
            starts.eq(
                (softmax.i_command.valid & softmax.i_command.ready)
                | (norm.i_command.valid & norm.i_command.ready)
                | (self.o_store.valid & self.o_store.ready)
            ),
        ]
        with m.FSM():
            with m.State("take"):
                m.d.comb += self.i.ready.eq(~failed)
                with m.If(self.i.valid & ~failed):
                    m.d.sync += bits.eq(self.i.p.bits)
                    m.next = "measure"
            with m.State("measure"):
                m.next = "check"
            with m.State("check"):
                m.next = "start"
            with m.State("start"):
                m.d.comb += checked.eq(1)
                with m.If(buffer.i_command.valid & buffer.i_command.ready):
                    m.d.sync += fetched.eq(1)
                with m.If(starts):
                    m.d.sync += fetched.eq(0)
                    m.next = "take"

        # It is done when every row has left, and what became of it is where it belongs.
        answered, row_leaves, done, error = Signal(), Signal(), Signal(), Signal(ERROR)
        m.d.comb += [
            row_leaves.eq(Mux(current.store, row.valid & row.ready & row.p.last, codes_taken & codes.last)),
            done.eq(Mux(flushing, ~left.o_busy & ~right.o_busy, answering & answered)),
        ]
        with m.If(starts):
            m.d.sync += [running.eq(1), current.eq(next_is), rows_left.eq(norms.rows), answered.eq(0)]
            m.d.sync += [enable.left.eq(norms.left_enable), enable.right.eq(next_is.norm & norms.right_enable)]
            for side in ("left", "right"):
                m.d.sync += place[side].bits.eq(code_bits)
                m.d.sync += [place[side][name].eq(norms[f"{side}_{name}"]) for name in ("base", "plane", "tile")]
        with m.If(self.i_store_done):
            m.d.sync += answered.eq(1)
        with m.If(done):
            m.d.sync += flushing.eq(0)
            with m.If(~flushing):
                m.d.sync += answering.eq(0)
        with m.If(row_leaves):
            m.d.sync += [rows_left.eq(rows_left - 1), running.eq(rows_left != 1)]
            with m.If((rows_left == 1) & current.store):
                m.d.sync += answering.eq(1)
            with m.Elif(rows_left == 1):
                m.d.sync += flushing.eq(1)

        # Errors of the norm's memories may be about the instruction that runs while the one before is flushed.
        spoilt = Signal()
        with m.If(norm.o_error):
            m.d.sync += spoilt.eq(1)
        with m.If(left.o_error | right.o_error | ((norm.o_error | spoilt) & ~(flushing & running))):
            m.d.comb += [error.valid.eq(1), error.code.eq(Error.ADDRESS_RANGE.value)]
        with m.Elif(buffer.o_error | refused):
            m.d.comb += [error.valid.eq(1), error.code.eq(Error.SHAPE.value)]
        with m.If(error.valid):
            m.d.sync += failed.eq(1)
        m.d.sync += [
            self.o_error.code.eq(error.code),
            self.o_error.valid.eq(error.valid & ~failed),
            self.o_done.eq(done & ~error.valid & ~failed),
        ]

        m.d.comb += [
            self.o_events.softmax_busy.eq((running | flushing) & current.softmax),
            self.o_events.norm_busy.eq((running | flushing) & current.norm),
            self.o_events.store_busy.eq((running | answering) & current.store),
            self.o_events.row_wait_buffer.eq(buffer.o_waiting),
            self.o_saturated.eq(norm.o_saturated),
        ]
        return m
