"""Copies of control: each is the values a cycle later, and synthesis cannot make one of them."""

from amaranth import Elaboratable, Module, Signal
from amaranth.sim import Simulator

from codesign.resources.units import split
from hw.emit import emit
from hw.lib.copies import copies


class Users(Elaboratable):
    """Three copies of two values."""

    def __init__(self):
        self.one, self.four, self.o = Signal(), Signal(4), Signal(15)

    def elaborate(self, platform):
        m = Module()
        found = copies(m, "copy", [self.one, self.four], 3)
        for number, (one, four) in enumerate(found):
            m.d.comb += self.o[5 * number : 5 * number + 5].eq(one | four << 1)
        return m


def test_each_copy_has_all_values_a_cycle_later():
    users, seen = Users(), []

    async def bench(ctx):
        for value in (1, 0, 31, 18):
            ctx.set(users.one, value & 1)
            ctx.set(users.four, value >> 1)
            await ctx.tick()
            seen.append(ctx.get(users.o))

    simulator = Simulator(users)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert seen == [value * (1 | 1 << 5 | 1 << 10) for value in (1, 0, 31, 18)]


def test_copies_are_a_unit_of_their_own_and_say_that_they_are_not_to_be_merged():
    users = Users()
    text = emit(users, "bittern", ports=[users.one, users.four, users.o])
    (unit,) = (unit for unit in split(text) if unit.name == "copy_5")
    assert unit.count == 3
    assert '(* dont_touch = "true" *)' in unit.verilog
