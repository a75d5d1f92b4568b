"""Issue queue: instructions of one kind wait here, in order, until their semaphores allow them to start."""

from amaranth import Array, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from hw.instruction import HEADER, ISSUE


class IssueQueue(wiring.Component):
    """Offers its head once every queue has completed as many instructions as the head asks for.

    Parameters
    ----------
    depth : int
        Instructions that wait.
    started : int
        Instructions that the unit behind may have started and not completed, a power of two.

    Members
    -------
    i, o : In(stream of `ISSUE`), Out(stream of `ISSUE`)
    i_completed : In(3 x 16)
        Instructions completed, by `Queue`.
    i_done : In
        The unit has completed its oldest instruction.
    o_oldest : Out
        ``valid`` and index of the oldest instruction here or in the unit.
    o_waits : Out
        The unit has nothing to do because the head waits for another queue.
    o_idle : Out
        There is no instruction, here or in the unit.
    """

    def __init__(self, depth=8, started=8):
        if started & (started - 1):
            raise ValueError(f"started must be a power of two, not {started}")
        self.depth, self.started = depth, started
        super().__init__({
            "i": In(stream.Signature(ISSUE)),
            "o": Out(stream.Signature(ISSUE)),
            "i_completed": In(data.ArrayLayout(16, 3)),
            "i_done": In(1),
            "o_oldest": Out(data.StructLayout({"payload": 16, "valid": 1})),
            "o_waits": Out(1),
            "o_idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=ISSUE.size, depth=self.depth)
        head = Signal(ISSUE)
        header = HEADER(head.bits)
        m.d.comb += [
            fifo.w_data.eq(self.i.payload.as_value()),
            fifo.w_en.eq(self.i.valid),
            self.i.ready.eq(fifo.w_rdy),
            head.eq(fifo.r_data),
            self.o.payload.eq(head),
        ]

        # Indices of the started instructions: a ring.
        indices = [Signal(16, name=f"started_{place}") for place in range(self.started)]
        first, next_ = Signal(range(self.started)), Signal(range(self.started))
        count = Signal(range(self.started + 1))
        start = Signal()
        m.d.comb += start.eq(self.o.valid & self.o.ready)
        m.d.sync += [first.eq(first + self.i_done), next_.eq(next_ + start), count.eq(count + start - self.i_done)]
        with m.If(start):
            m.d.sync += Array(indices)[next_].eq(head.index)

        # Counts only grow, so a comparison made a cycle ago still holds.
        reached, allowed, compared = Signal(3), Signal(), Signal()
        thresholds = (header.wait_dma, header.wait_qmm, header.wait_row)
        m.d.sync += [
            reached[queue].eq(self.i_completed[queue] >= threshold) for queue, threshold in enumerate(thresholds)
        ]
        m.d.sync += [
            compared.eq(fifo.r_rdy & ~start),
            allowed.eq(compared & reached.all() & (count != self.started) & ~start),
        ]
        m.d.comb += [
            self.o.valid.eq(allowed),
            fifo.r_en.eq(start),
            self.o_oldest.valid.eq((count != 0) | fifo.r_rdy),
            self.o_oldest.payload.eq(head.index),
            self.o_idle.eq((count == 0) & ~fifo.r_rdy),
            self.o_waits.eq((count == 0) & compared & ~reached.all()),
        ]
        with m.If(count != 0):
            m.d.comb += self.o_oldest.payload.eq(Array(indices)[first])
        return m
