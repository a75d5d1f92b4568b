"""Queue of codes behind a row unit's last pass: what lets that pass never stop on its way."""

from typing import Any

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.lib.stream_queue import StreamQueue
from hw.vector.row_stream import code_element
from isa.sizes import CODES_WAITING


class CodeQueue(wiring.Component):
    """Has a place for every element that the pass has begun: so no clock enable reaches the pipeline of the pass.

    Parameters
    ----------
    lanes : int

    Members
    -------
    o_room : Out
        The pass may begin an element; from a register, not in the first cycle after reset.
    i_begin : In
        It does. Not without ``o_room``.
    i_valid, i : In
        An element that was begun: it has its place.
    o : Out(stream of `hw.vector.row_stream.code_element`)
    """

    def __init__(self, lanes: int):
        self.element = code_element(lanes)
        super().__init__({
            "o_room": Out(1), "i_begin": In(1), "i_valid": In(1), "i": In(self.element),
            "o": Out(stream.Signature(self.element)),
        })  # fmt: skip

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.queue = queue = StreamQueue(self.element, CODES_WAITING)
        begun, left = Signal(range(CODES_WAITING + 1)), Signal()
        m.d.comb += [
            queue.i.valid.eq(self.i_valid),
            queue.i.payload.eq(self.i),
            left.eq(self.o.valid & self.o.ready),
        ]
        wiring.connect(m, queue.o, wiring.flipped(self.o))
        # What leaves is noticed a cycle late, so that `ready` of the writers ends here.
        gone = Signal()
        m.d.sync += [
            gone.eq(left),
            begun.eq(begun + self.i_begin - gone),
            self.o_room.eq(begun + self.i_begin < CODES_WAITING),
        ]
        return m
