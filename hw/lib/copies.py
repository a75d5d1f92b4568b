"""Registered copies of control for many users, that synthesis keeps apart."""

from collections.abc import Sequence
from functools import partial

from amaranth import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.emit import add_shared


class Copy(wiring.Component):
    """A register of ``width`` bits, without reset.

    Synthesis merges registers that are always equal, and one net then has to reach what the copies were made to share. What
    is a module of its own in open synthesis it leaves alone; Vivado does with the attribute.

    Members
    -------
    i : In(width);  o : Out(width)
    """

    def __init__(self, width: int):
        self.width = width
        super().__init__({"i": In(width), "o": Out(width)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        copy = Signal(self.width, reset_less=True, attrs={"dont_touch": "true"})
        m.d.sync += copy.eq(self.i)
        m.d.comb += self.o.eq(copy)
        return m


def copies(m: Module, name: str, values: Sequence[Value], count: int) -> list[list[Signal]]:
    """``count`` copies of ``values``, a cycle later: for each copy a Signal for each value."""
    found = []
    width = sum(len(value) for value in values)
    for number in range(count):
        signals = [Signal(value.shape(), name=f"{name}{number}_{i}") for i, value in enumerate(values)]
        build = partial(Copy, width)
        together = Signal(width, name=f"{name}{number}")
        add_shared(m, f"{name}{number}", f"bittern_copy_{width}", build, i=Cat(values), o=together)
        m.d.comb += Cat(signals).eq(together)
        found.append(signals)
    return found
