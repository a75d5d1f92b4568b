"""QMM engine: operand memories, sequencer, array, drain and tile writer, as one unit that executes QMM instructions."""

from typing import Any

from amaranth import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from hw.engine.array import Array
from hw.engine.dpu import Plain
from hw.engine.drain import Drain
from hw.engine.operand_memory import OperandMemory
from hw.engine.sequencer import Sequencer
from hw.engine.tile_writer import TileWriter
from hw.instruction import ERROR, ISSUE
from isa.config import AcceleratorConfig, Uram
from isa.errors import Error
from isa.instruction import Memory
from isa.sizes import groups_of_a_tile, joined_beats, tiles_in_flight


class Qmm(wiring.Component):
    """Executes QMM instructions in order; the next one starts while the last still drains.

    Parameters
    ----------
    config : isa.config.AcceleratorConfig
    mapping : class
        Cells of the array, see `Array`.

    Members
    -------
    i : In(stream(ISSUE))
    i_left_load, i_right_load, i_constant : In(stream)
        LOAD and GATHER writes, see `OperandMemory` and `Drain`.
    loaded : Out(1)
        Pulse: the last write of a LOAD or GATHER to an operand memory.
    left_load_waits, right_load_waits : Out(1)
        See `OperandMemory`.
    i_left_row, i_right_row : In(stream)
        Codes from row units.
    o_rows : Out(stream)
        Groups for the row buffer.
    done : Out(1);  error : Out(ERROR)
    busy, wait_drain, idle, drain_busy, drain_stall : Out(1)
        For the counters.
    """

    def __init__(self, config: AcceleratorConfig, mapping: type = Plain):
        self.config = config
        c = config
        groups = groups_of_a_tile(c)
        #: Tiles on the way from their last word to their last write.
        self.tiles = tiles_in_flight(groups)
        shape = c.depth, c.drain_rows, c.columns, c.axi_bits
        self._left, self._right = (
            OperandMemory(banks, depth, *shape, joined_beats(c, memory), c.is_uram(uram))
            for memory, banks, depth, uram in (
                (Memory.LEFT, c.rows, c.left_depth, Uram.LEFT), (Memory.RIGHT, c.columns, c.right_depth, Uram.RIGHT),
            )
        )  # fmt: skip
        self._sequencer = Sequencer(c.rows, c.columns, c.depth, groups, self.tiles, c.left_depth, c.right_depth)
        self._array = Array(c.rows, c.columns, c.depth, c.drain_rows, c.accumulator_bits, mapping)
        self._drain = Drain(c.rows, c.columns, c.drain_rows, c.accumulator_bits, c.constant_depth, c.axi_bits, self.tiles)
        self._writer = TileWriter(c.rows, c.columns, c.depth, c.drain_rows, c.left_depth, c.right_depth, self.tiles)

        def like(port):
            return In(stream.Signature(port.payload.shape()))

        super().__init__(
            {
                "i": In(stream.Signature(ISSUE)),
                "loaded": Out(1),
                "left_load_waits": Out(1),
                "right_load_waits": Out(1),
                "i_left_load": like(self._left.i_load),
                "i_right_load": like(self._right.i_load),
                "i_left_row": like(self._left.i_row),
                "i_right_row": like(self._right.i_row),
                "i_constant": like(self._drain.i_constant),
                "o_rows": Out(stream.Signature(self._writer.o_rows.payload.shape())),
                "done": Out(1),
                "error": Out(ERROR),
                "busy": Out(1),
                "wait_drain": Out(1),
                "idle": Out(1),
                "drain_busy": Out(1),
                "drain_stall": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.left_memory = left = self._left
        m.submodules.right_memory = right = self._right
        m.submodules.sequencer = sequencer = self._sequencer
        m.submodules.array = array = self._array
        m.submodules.drain = drain = self._drain
        m.submodules.writer = writer = self._writer

        connect(m, wiring.flipped(self.i), sequencer.i)
        connect(m, wiring.flipped(self.i_left_load), left.i_load)
        connect(m, wiring.flipped(self.i_right_load), right.i_load)
        connect(m, wiring.flipped(self.i_left_row), left.i_row)
        connect(m, wiring.flipped(self.i_right_row), right.i_row)
        connect(m, wiring.flipped(self.i_constant), drain.i_constant)
        connect(m, drain.o, writer.i)
        connect(m, writer.o_left, left.i_drain)
        connect(m, writer.o_right, right.i_drain)
        connect(m, writer.o_rows, wiring.flipped(self.o_rows))

        # Both take every descriptor; their buffers hold as many tiles as the sequencer lets out.
        for target in (drain.i_tile, writer.i_tile):
            m.d.comb += [target.valid.eq(sequencer.o_tile.valid), target.payload.eq(sequencer.o_tile.payload)]
        m.d.comb += sequencer.o_tile.ready.eq(1)

        # Control keeps step with the words on their way through the memories.
        control = Cat(sequencer.first, sequencer.twice, sequencer.subtract, sequencer.last, sequencer.enable)
        for _ in range(OperandMemory.read_latency):
            control, before = Signal(5), control
            m.d.sync += control.eq(before)
        m.d.comb += [
            left.read_address.eq(sequencer.left_address),
            right.read_address.eq(sequencer.right_address),
            array.left.eq(left.o),
            array.right.eq(right.o),
            Cat(array.first, array.twice, array.subtract, array.last, array.enable).eq(control),
            drain.s.eq(array.s),
            drain.r.eq(array.r),
            drain.c.eq(array.c),
            drain.valid.eq(array.valid),
            drain.group.eq(array.group),
            sequencer.tile_done.eq(writer.tile_done),
            self.done.eq(writer.done),
            self.loaded.eq(left.o_loaded | right.o_loaded),
            self.left_load_waits.eq(left.o_load_waits),
            self.right_load_waits.eq(right.o_load_waits),
            self.busy.eq(sequencer.enable),
            self.wait_drain.eq(sequencer.waiting),
            self.idle.eq(~sequencer.active & ~self.i.valid),
            self.drain_busy.eq(writer.i.valid),
            self.drain_stall.eq(writer.stalled),
        ]
        # An error is about the oldest instruction: the sequencer's, which is about the newest, waits for those before it.
        unfinished = Signal(range(self.tiles + 8))
        m.d.sync += unfinished.eq(unfinished + sequencer.started - self.done)
        with m.If(writer.error):
            m.d.comb += [self.error.valid.eq(1), self.error.code.eq(Error.ADDRESS_RANGE.value)]
        with m.Elif(sequencer.error.valid & ~sequencer.started & (unfinished == 1 + sequencer.error_before_last)):
            m.d.comb += self.error.eq(sequencer.error)
        return m
