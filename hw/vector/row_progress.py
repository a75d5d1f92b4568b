"""What is left of the row instruction in progress: its rows, and then what became of them."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class RowProgress(wiring.Component):
    """Runs while rows have not left their unit; is done when what became of them is where it belongs.

    Members
    -------
    i_starts, i_rows : In(1), In(16)
        An instruction of so many rows starts; while codes of the one before are written, or after that.
    i_gives_codes : In
        The instruction that runs has codes that are to be written. Others complete with `i_answered`.
    i_row_leaves : In
        A row of it has left its unit.
    i_written : In
        All codes that have left a unit are written.
    i_answered : In
        Pulse, after its start: the whole of an instruction without codes has happened.
    o_running : Out
        Some rows have not left.
    o_flushing, o_answering : Out
        All rows have; codes are being written, or the answer is awaited. Nothing starts in the latter case.
    o_done : Out
        The oldest instruction is complete, in this cycle.
    """

    def __init__(self):
        inputs = ("i_starts", "i_gives_codes", "i_row_leaves", "i_written", "i_answered")
        outputs = ("o_running", "o_flushing", "o_answering", "o_done")
        super().__init__({"i_rows": In(16), **dict.fromkeys(inputs, In(1)), **dict.fromkeys(outputs, Out(1))})

    def elaborate(self, platform):
        m = Module()
        rows_left, answered = Signal(16), Signal()
        m.d.comb += self.o_done.eq(Mux(self.o_flushing, self.i_written, self.o_answering & answered))
        with m.If(self.i_starts):
            m.d.sync += [self.o_running.eq(1), rows_left.eq(self.i_rows), answered.eq(0)]
        with m.If(self.i_answered):
            m.d.sync += answered.eq(1)
        with m.If(self.o_done):
            m.d.sync += self.o_flushing.eq(0)
            with m.If(~self.o_flushing):
                m.d.sync += self.o_answering.eq(0)
        with m.If(self.i_row_leaves):
            m.d.sync += [rows_left.eq(rows_left - 1), self.o_running.eq(rows_left != 1)]
            with m.If((rows_left == 1) & self.i_gives_codes):
                m.d.sync += self.o_flushing.eq(1)
            with m.Elif(rows_left == 1):
                m.d.sync += self.o_answering.eq(1)
        return m
