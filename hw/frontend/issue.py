"""Issue queue: instructions of one kind wait here, in order, until their semaphores allow them to start."""

from typing import Any

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.instruction import HEADER, ISSUE
from isa.instruction import INSTRUCTION_BITS

#: An instruction, its place in the program, and whether nothing is left of it: no unit needs to see it.
WAITING = data.StructLayout({"bits": INSTRUCTION_BITS, "index": 16, "nothing": 1})


class IssueQueue(wiring.Component):
    """Offers its head once every queue has completed as many instructions as the head asks for.

    Of what nothing is left, that is not offered but starts by itself, and is complete when all before it are.

    Parameters
    ----------
    depth : int
        Instructions that wait.
    started : int
        Instructions that the unit behind may have started and not completed, a power of two.
    bits : int
        Low bits of an instruction that are kept; those above come out as 0.

    Members
    -------
    i, o : In(stream of `WAITING`), Out(stream of `ISSUE`)
    i_completed : In(3 x 16)
        Instructions completed, by `Queue`.
    i_done : In
        The unit has completed its oldest instruction.
    o_started, o_done : Out
        An instruction has started; the oldest is complete. Whether the unit has seen it or not.
    o_oldest : Out
        ``valid`` and index of the oldest instruction here or in the unit.
    o_waits : Out
        The unit has nothing to do because the head waits for another queue.
    o_idle : Out
        There is no instruction, here or in the unit.
    """

    def __init__(self, depth: int = 8, started: int = 8, bits: int = INSTRUCTION_BITS):
        if started < 2 or started & (started - 1):
            raise ValueError(f"started must be a power of two, at least 2, not {started}")
        self.depth, self.started, self.bits = depth, started, bits
        super().__init__({
            "i": In(stream.Signature(WAITING)),
            "o": Out(stream.Signature(ISSUE)),
            "i_completed": In(data.ArrayLayout(16, 3)),
            "i_done": In(1),
            "o_started": Out(1),
            "o_done": Out(1),
            "o_oldest": Out(data.StructLayout({"payload": 16, "valid": 1})),
            "o_waits": Out(1),
            "o_idle": Out(1),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        kept = data.StructLayout({"bits": self.bits, "index": 16, "nothing": 1})
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=kept.size, depth=self.depth)
        entry, head = Signal(kept), Signal(kept)
        header = HEADER(self.o.p.bits)
        m.d.comb += [
            entry.bits.eq(self.i.p.bits),
            entry.index.eq(self.i.p.index),
            entry.nothing.eq(self.i.p.nothing),
            fifo.w_data.eq(entry),
            fifo.w_en.eq(self.i.valid),
            self.i.ready.eq(fifo.w_rdy),
            head.eq(fifo.r_data),
            self.o.p.bits.eq(head.bits),
            self.o.p.index.eq(head.index),
        ]

        # Indices of the started instructions: a ring. One can be read two cycles after its start; nobody asks sooner.
        m.submodules.indices = indices = Memory(shape=16, depth=self.started, init=[])
        put, get = indices.write_port(), indices.read_port()
        first, next_ = Signal(range(self.started)), Signal(range(self.started))
        count = Signal(range(self.started + 1))
        allowed, start, taken = Signal(), Signal(), Signal()
        m.d.comb += [
            self.o.valid.eq(allowed & ~head.nothing),
            taken.eq(self.o.valid & self.o.ready),
            start.eq(allowed & (head.nothing | self.o.ready)),
            self.o_started.eq(start),
            put.addr.eq(next_),
            put.data.eq(head.index),
            put.en.eq(taken),
            get.addr.eq(Mux(self.i_done, first + 1, first)),
        ]
        m.d.sync += [first.eq(get.addr), next_.eq(next_ + taken)]
        with m.If(taken != self.i_done):
            m.d.sync += count.eq(Mux(taken, count + 1, count - 1))
        room = self._complete(m, start, head.nothing)

        # Counts only grow, so a comparison made a cycle ago still holds.
        reached, compared = Signal(3), Signal()
        thresholds = (header.wait_dma, header.wait_qmm, header.wait_row)
        m.d.sync += [
            reached[queue].eq(self.i_completed[queue] >= threshold) for queue, threshold in enumerate(thresholds)
        ]
        m.d.sync += [
            compared.eq(fifo.r_rdy & ~start),
            allowed.eq(compared & reached.all() & (count != self.started) & room & ~start),
        ]
        m.d.comb += [
            fifo.r_en.eq(start),
            self.o_oldest.valid.eq((count != 0) | fifo.r_rdy),
            self.o_oldest.payload.eq(head.index),
            self.o_idle.eq((count == 0) & ~fifo.r_rdy),
            self.o_waits.eq((count == 0) & compared & ~reached.all()),
        ]
        with m.If(count != 0):
            m.d.comb += self.o_oldest.payload.eq(get.data)
        return m

    def _complete(self, m, start, nothing):
        """Everything in the order in which it was started, what no unit has seen between what one has. Returns whether there
        is room for more."""
        m.submodules.order = order = SyncFIFOBuffered(width=1, depth=2 * self.started)
        # Completions of the unit that something in front keeps from being passed on.
        held, seen = Signal(range(self.started + 1)), Signal()
        m.d.comb += [
            order.w_en.eq(start),
            order.w_data.eq(nothing),
            seen.eq(~order.r_data & (self.i_done | held.any())),
            self.o_done.eq(order.r_rdy & (order.r_data | seen)),
            order.r_en.eq(self.o_done),
        ]
        m.d.sync += held.eq(held + self.i_done - (order.r_rdy & seen))
        return order.w_rdy
