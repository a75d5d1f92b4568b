"""Row instructions that have started and not completed: which of them is the oldest, and when that is done."""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.lib.stream_queue import StreamQueue
from hw.vector.row_units import ROW_KIND
from isa.instruction import Queue
from isa.sizes import STARTED

#: How an instruction ends, a bit each: all its codes are written to a memory, or have left their unit if they go to none, or
#: its unit without codes has answered.
ENDS = data.StructLayout({"left": 1, "right": 1, "nowhere": 1, "answered": 1})


class RowCompletion(wiring.Component):
    """Each kind of end comes in the order of the instructions that have it; together they are put into order here.

    Members
    -------
    i_starts, i_kind, i_ends : In
        An instruction starts, and of which kinds all its ends are: at least one.
    i_ended : In(ENDS)
        An end of the oldest instruction that has one of this kind to come. Not before the third cycle after the start.
    i_wrong : In(ENDS)
        No further end of this kind will come: the instruction that it would be of has failed.
    o_done : Out
        The oldest instruction is complete, in this cycle.
    o_failed : Out
        The oldest instruction has failed.
    o_idle : Out
        There is none.
    o_busy : Out(ROW_KIND)
        There is one of this kind.
    """

    def __init__(self):
        super().__init__({
            "i_starts": In(1), "i_kind": In(ROW_KIND), "i_ends": In(ENDS), "i_ended": In(ENDS), "i_wrong": In(ENDS),
            "o_done": Out(1), "o_failed": Out(1), "o_idle": Out(1), "o_busy": Out(ROW_KIND),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        most = STARTED[Queue.ROW]
        entry = data.StructLayout({"kind": ROW_KIND, "ends": ENDS})
        m.submodules.started = started = StreamQueue(entry, most)
        oldest = started.o
        counts = [Signal(range(most + 1), name=f"count_{name}") for name in ENDS.members]
        there = Cat(count != 0 for count in counts)
        wanted = oldest.p.ends.as_value()
        m.d.comb += [
            started.i.valid.eq(self.i_starts),
            started.i.p.kind.eq(self.i_kind),
            started.i.p.ends.eq(self.i_ends),
            self.o_done.eq(oldest.valid & ~(wanted & ~there).any()),
            self.o_failed.eq(oldest.valid & (wanted & ~there & self.i_wrong.as_value()).any()),
            oldest.ready.eq(self.o_done),
        ]
        for count, name in zip(counts, ENDS.members, strict=True):
            m.d.sync += count.eq(count + self.i_ended[name] - (self.o_done & oldest.p.ends[name]))
        running = {name: Signal(range(most + 1), name=f"running_{name}") for name in ROW_KIND.members}
        for name, count in running.items():
            m.d.sync += count.eq(count + (self.i_starts & self.i_kind[name]) - (self.o_done & oldest.p.kind[name]))
            m.d.comb += self.o_busy[name].eq(count != 0)
        m.d.comb += self.o_idle.eq(~self.o_busy.as_value().any())
        return m
