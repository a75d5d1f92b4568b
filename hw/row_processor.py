"""Row processor: executes SOFTMAX, NORM and STORE on rows from the row buffer, one instruction at a time."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.codes import MAX_BITS
from golden.instruction import INSTRUCTION_BITS, Opcode, Region
from golden.layernorm import MAX_WIDTH_BITS
from golden.registers import Error
from hw.code_writer import CodeWriter
from hw.instruction import ERROR, ISSUE, instruction_layout
from hw.layernorm import NORM_COMMAND, LayerNorm
from hw.pipeline import log2
from hw.row_buffer import RowBuffer
from hw.softmax import Softmax

#: A STORE's request: ``beats`` of AXI width at a byte ``offset`` of a region.
STORE_REQUEST = data.StructLayout({"region": 2, "offset": 32, "beats": 24})

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
        The next instruction, to be started at once; taken when the one before is done.
    i_length : In(16)
        The LENGTH register.
    i_rows : In(stream)
        From the drain, see `hw.row_buffer.RowBuffer`.
    i_load_residual, i_load_norm : In(stream)
        `hw.row_stream.load_chunk`.
    o_left, o_right : Out(stream)
        `hw.row_stream.code_write`, to the operand memories.
    o_store : Out(stream of `STORE_REQUEST`);  o_store_data : Out(stream of axi_bits)
        A STORE: rows one after another, element by element, lowest lanes first.
    i_store_done : In
        Pulse: the whole of a request has been answered.
    o_done : Out
        Pulse: the instruction's last write was taken.
    o_error : Out(ERROR)
        For a cycle; no `o_done` follows, and no instruction is taken until reset.
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

        # The instruction in progress, as each of the three opcodes reads it; the first fields are the same.
        bits = Signal(INSTRUCTION_BITS, reset_less=True)
        failed = Signal()
        scores, norms, store = (
            data.View(instruction_layout(opcode), bits) for opcode in (Opcode.SOFTMAX, Opcode.NORM, Opcode.STORE)
        )
        is_softmax, is_norm, is_store = (
            norms.opcode == opcode.value for opcode in (Opcode.SOFTMAX, Opcode.NORM, Opcode.STORE)
        )
        code_bits = Mux(is_norm, norms.bits, scores.bits)
        columns, beats = Signal(16), Signal(32)
        masked = is_softmax & scores.mask & (self.i_length < norms.columns)
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
            | (~is_store & ((code_bits == 0) | (code_bits > MAX_BITS)))
            | (~is_store & (columns > (norms.groups << log2(self.config.row_lanes))))
            | (is_softmax & (columns == 0))
            | (is_norm & ((columns < 2) | columns[MAX_WIDTH_BITS:].any() | (norms.epsilon == 0)))
            | (is_store & ((store.region > max(Region)) | beats[24:].any()))
            | ~(is_softmax | is_norm | is_store)
        )

        # Rows from the buffer to the unit.
        beat = Signal(range(max(beats_of_element, 2)))
        beat_ends = beat == beats_of_element - 1
        row = buffer.o
        m.d.comb += [
            softmax.i.payload.eq(row.payload),
            norm.i.payload.eq(row.payload),
            softmax.i.valid.eq(row.valid & is_softmax),
            norm.i.valid.eq(row.valid & is_norm),
            self.o_store_data.payload.eq(Cat(row.p.values).word_select(beat, self.config.axi_bits)),
            self.o_store_data.valid.eq(row.valid & is_store),
            row.ready.eq(Mux(is_store, self.o_store_data.ready & beat_ends, Mux(is_norm, norm.i.ready, softmax.i.ready))),
        ]
        with m.If(self.o_store_data.valid & self.o_store_data.ready):
            m.d.sync += beat.eq(Mux(beat_ends, 0, beat + 1))

        # Codes from the unit to the memories that want them; both take an element in the same cycle.
        codes = Signal(softmax.o.payload.shape())
        codes_valid, left_passes, right_passes, codes_taken = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            codes.eq(Mux(is_norm, norm.o.payload, softmax.o.payload)),
            # What follows a fault may be garbage, and is not written.
            codes_valid.eq(Mux(is_norm, norm.o.valid, softmax.o.valid) & ~failed),
            left_passes.eq(left.i.ready | ~norms.left_enable),
            right_passes.eq(right.i.ready | ~(is_norm & norms.right_enable)),
            left.i.payload.eq(codes),
            right.i.payload.eq(codes),
            left.i.valid.eq(codes_valid & norms.left_enable & right_passes),
            right.i.valid.eq(codes_valid & is_norm & norms.right_enable & left_passes),
            norm.o.ready.eq(is_norm & left_passes & right_passes),
            softmax.o.ready.eq(is_softmax & left_passes & right_passes),
            codes_taken.eq(codes_valid & left_passes & right_passes),
        ]
        for writer, side in ((left, "left"), (right, "right")):
            m.d.comb += [writer.i_place[name].eq(norms[f"{side}_{name}"]) for name in ("base", "plane", "tile")]
            m.d.comb += writer.i_place.bits.eq(code_bits)

        m.d.comb += [
            softmax.i_command.p.columns.eq(columns),
            *(softmax.i_command.p[name].eq(scores[name]) for name in ("rows", "step", "step_shift", "bits")),
            norm.i_command.p.columns.eq(columns),
            *(norm.i_command.p[name].eq(norms[name]) for name, _ in NORM_COMMAND if name != "columns"),
            *(self.o_store.p[name].eq(store[name]) for name in ("region", "offset")),
            self.o_store.p.beats.eq(beats),
            *(buffer.i_command.p[name].eq(norms[name]) for name in ("rows", "groups", "first_row")),
        ]

        # Done: every row has left, and what became of it is where it belongs.
        rows_left = Signal(16)
        answered, all_left = Signal(), Signal()
        m.d.comb += all_left.eq((rows_left == 0) & ~left.o_busy & ~right.o_busy & (~is_store | answered))
        with m.If(self.i_store_done):
            m.d.sync += answered.eq(1)
        with m.If(Mux(is_store, row.valid & row.ready & row.p.last, codes_taken & codes.last)):
            m.d.sync += rows_left.eq(rows_left - 1)
        unit_takes = Mux(is_softmax, softmax.i_command.ready, Mux(is_norm, norm.i_command.ready, self.o_store.ready))

        busy = Signal()
        m.d.comb += busy.eq(1)

        def fail(error):
            m.d.comb += [self.o_error.valid.eq(1), self.o_error.code.eq(error.value)]
            m.d.sync += failed.eq(1)

        with m.If(failed):
            pass
        with m.Elif(norm.o_error | left.o_error | right.o_error):
            fail(Error.ADDRESS_RANGE)
        with m.Elif(buffer.o_error):
            fail(Error.SHAPE)
        with m.Else(), m.FSM():
            with m.State("idle"):
                m.d.comb += [busy.eq(0), self.i.ready.eq(1)]
                with m.If(self.i.valid):
                    m.d.sync += bits.eq(self.i.p.bits)
                    m.next = "measure"
            with m.State("measure"):
                m.d.sync += [rows_left.eq(norms.rows), answered.eq(0)]
                m.next = "check"
            with m.State("check"):
                m.next = "command unit"
            with m.State("command unit"):
                with m.If(bad):
                    fail(Error.SHAPE)
                with m.Else():
                    m.d.comb += [
                        softmax.i_command.valid.eq(is_softmax),
                        norm.i_command.valid.eq(is_norm),
                        self.o_store.valid.eq(is_store),
                    ]
                    with m.If(unit_takes):
                        m.next = "command buffer"
            with m.State("command buffer"):
                m.d.comb += buffer.i_command.valid.eq(1)
                with m.If(buffer.i_command.ready):
                    m.next = "run"
            with m.State("run"), m.If(all_left):
                m.d.comb += self.o_done.eq(1)
                m.next = "idle"

        m.d.comb += [
            self.o_events.softmax_busy.eq(busy & is_softmax),
            self.o_events.norm_busy.eq(busy & is_norm),
            self.o_events.store_busy.eq(busy & is_store),
            self.o_events.row_wait_buffer.eq(buffer.o_waiting),
            self.o_saturated.eq(norm.o_saturated),
        ]
        return m
