"""Watchdog: notices that nothing moves. It runs beside the scheduler's states, so none of them can hold it."""

from typing import Any

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

PATIENCE = 1 << 16  #: cycles without a beat that clearing up waits for memory when the watchdog is off


class Watchdog(wiring.Component):
    """Counts cycles of silence.

    Members
    -------
    i_limit : In(32)
        So many are too many; 0: any number is allowed.
    i_moving : In
        No silence in this cycle.
    o_expired : Out
        Too many, and not moving.
    o_quiet : Out
        The same; where any number is allowed, `PATIENCE`.
    """

    def __init__(self) -> None:
        super().__init__({"i_limit": In(32), "i_moving": In(1), "o_expired": Out(1), "o_quiet": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        silence, limit, guarded, quiet = Signal(32), Signal(32), Signal(), Signal()
        m.d.sync += [
            silence.eq(Mux(self.i_moving, 0, silence + 1)),
            guarded.eq(self.i_limit != 0),
            limit.eq(Mux(guarded, self.i_limit, PATIENCE)),
            quiet.eq((silence >= limit) & ~self.i_moving),
        ]
        m.d.comb += [self.o_quiet.eq(quiet), self.o_expired.eq(quiet & guarded)]
        return m
