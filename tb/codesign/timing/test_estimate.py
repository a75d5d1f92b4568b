"""Paths whose delay one can add up by hand: registers, LUTs, a carry chain, a multiplier, a memory, over unit boundaries."""

import pytest

from codesign.netlist.ecp5 import Ecp5
from codesign.netlist.family import Corner
from codesign.netlist.ultrascale_plus import UltrascalePlus
from codesign.netlist.walk import Design
from codesign.timing.estimate import CLOCK, time
from codesign.timing.wires import Routing
from tb.codesign.timing.netlists import cell, module


class Wires(Routing):
    """A wire takes 1000 ps, and 100 more for each input beyond the first."""

    def delay(self, corner, fanout):
        return 900.0 + 100 * fanout


def register(d, q, **control):
    return cell("FDRE", {"C": [1], "D": [d], "CE": ["1"], "R": ["0"], **control}, {"Q": [q]})


def timed(family=None, **modules):
    units = {name: (name, netlist) for name, netlist in modules.items()}
    return time(Design(units, "top", family or UltrascalePlus()), Wires(16, float))


def parts(timing, unit="top", corner=Corner.MIDDLE):
    path = timing.worst[corner][unit]
    return path.levels, round(path.cells, 3), round(path.wires, 3)


def test_a_register_behind_a_register_takes_launch_wire_pin_and_set_up():
    timing = timed(top=module({}, a=register("x", 2), b=register(2, 3)))
    assert parts(timing) == (0, 77 + 165 - 25, 1000)
    path = timing.worst[Corner.MIDDLE]["top"]
    assert (path.start, path.end) == ("n2", "n3 (FDRE.D)")
    assert path.period == 77 + 165 - 25 + 1000 + CLOCK[Corner.MIDDLE]


@pytest.mark.parametrize(
    ("corner", "pin", "lut"),
    [(Corner.OPTIMISTIC, 43, 35), (Corner.MIDDLE, (43 + 44) / 2, (35 + 50) / 2), (Corner.PESSIMISTIC, 44, 100)],
)
def test_a_lut_is_as_slow_as_the_pin_that_the_corner_gives_it_and_its_register_is_placed_with_it(corner, pin, lut):
    lut2 = cell("LUT2", {"I0": [2], "I1": [3]}, {"O": [4]})
    timing = timed(top=module({}, a=register("x", 2), b=register("x", 3), lut=lut2, c=register(4, 5)))
    assert parts(timing, corner=corner) == (1, 77 + pin + lut + 50 - 25, 1000)


def test_a_register_behind_a_lut_with_two_registers_is_reached_through_wires():
    lut1 = cell("LUT1", {"I0": [2]}, {"O": [4]})
    timing = timed(top=module({}, a=register("x", 2), lut=lut1, c=register(4, 5), d=register(4, 6)))
    assert parts(timing) == (1, 77 + 43 + 35 + 165 - 25, 1000 + 1100)


def test_a_lut_with_other_inputs_behind_it_still_has_its_one_register_beside_it():
    lut, other = (cell("LUT1", {"I0": [bit]}, {"O": [out]}) for bit, out in ((2, 4), (4, 7)))
    timing = timed(top=module({}, a=register("x", 2), lut=lut, c=register(4, 5), other=other))
    assert parts(timing) == (1, 77 + 43 + 35 + 50 - 25, 1000)


def test_wires_count_inputs_in_all_units_but_not_clocks():
    inner = module({"i": ("input", [2]), "clk": ("input", [1])}, a=register(2, 3), b=register(2, 4))
    top = module({"clk": ("input", [1])}, r=register("x", 2), u=cell("inner", {"i": [2], "clk": [1]}), c=register(2, 5))
    timing = timed(top=top, inner=inner)
    assert parts(timing, "inner") == parts(timing) == (0, 77 + 165 - 25, 1200)
    assert [(net.name, net.loads, net.registered) for net in timing.nets] == [("n2", 3, True)]


def test_an_enable_enters_by_its_own_pin():
    timing = timed(top=module({}, a=register("x", 2), b=register("x", 3, CE=[2])))
    assert parts(timing) == (0, 77 + 5 + 50, 1000)


def test_a_carry_chain_is_entered_once_and_left_to_the_register_beside_it():
    def carry(s, o, co, ci):
        return cell("CARRY4", {"S": s, "DI": ["0"] * 4, "CI": [ci], "CYINIT": ["0"]}, {"O": o, "CO": co})

    lut = cell("LUT2", {"I0": [2], "I1": ["0"]}, {"O": [4]})
    first = carry([4, "0", "0", "0"], [10, 11, 12, 13], [20, 21, 22, 23], "0")
    second = carry(["0"] * 4, [14, 15, 16, 17], [24, 25, 26, 27], 23)
    third = carry(["0"] * 4, [40, 41, 42, 43], [50, 51, 52, 53], 27)
    cells = {"a": register("x", 2), "lut": lut, "first": first, "second": second, "third": third, "b": register(42, 30)}
    timing = timed(top=module({}, **cells))
    # LUT, straight into the chain, S0 to CO3, through half a slice with its share of the way to the next, to O2.
    through = (23 + 26 + 20) / 2
    assert parts(timing) == (2, 77 + 43.5 + 42.5 + 15 + 186 + through + 67 + 25 - 25, 1000)


@pytest.mark.parametrize(
    ("registers", "expected", "limit"),
    [
        ({}, (1, 77 + 45 + 1560 + 165 - 25, 2000), None),
        ({"AREG": "1", "BREG": "1", "PREG": "1"}, (0, 280 + 165 - 25, 1000), 544),
        ({"AREG": "1", "BREG": "1", "MREG": "1", "PREG": "1"}, (0, 280 + 165 - 25, 1000), 775),
    ],
)
def test_a_multiplier_is_as_fast_as_its_registers_allow(registers, expected, limit):
    dsp = cell("DSP48E2", {"A": [2], "B": [3], "CLK": [1]}, {"P": [4]}, **registers)
    timing = timed(top=module({}, a=register("x", 2), b=register("x", 3), dsp=dsp, c=register(4, 5)))
    levels, cells, wires = expected
    into = (0, 77 + 45 + 300, 1000)
    assert parts(timing) == (max(into, expected, key=lambda one: one[1]) if registers else (levels, cells, wires))
    assert timing.limits == ({} if limit is None else {"top": (limit, "DSP48E2")})
    assert timing.mhz(Corner.MIDDLE) <= (limit or 775)


@pytest.mark.parametrize(("registered", "launch"), [("0", 1003), ("1", 220)])
def test_a_block_memory_starts_late_without_its_output_register(registered, launch):
    ram = cell("RAMB36E2", {"CLKARDCLK": [1], "ADDRARDADDR": ["x"]}, {"DOUTADOUT": [2]}, DOA_REG=registered)
    timing = timed(top=module({}, ram=ram, a=register(2, 3)))
    assert parts(timing) == (0, launch + 165 - 25, 1000)


def test_registers_with_one_clock_enable_and_reset_are_one_control_set():
    cells = {f"r{i}": register("x", 10 + i, CE=[2 + i % 2], R=[4 + i // 4]) for i in range(8)}
    assert timed(top=module({}, **cells)).control_sets == 4


def test_late_and_deep_ends_are_counted_by_unit():
    lut = cell("LUT1", {"I0": [2]}, {"O": [4]})
    timing = timed(top=module({}, a=register("x", 2), lut=lut, c=register(4, 5)))
    period = timing.worst[Corner.MIDDLE]["top"].period
    assert timing.slower(1e6 / (period + 20)) == {}
    assert timing.slower(1e6 / (period - 20)) == {"top": 1}
    assert (timing.deeper(0), timing.deeper(1)) == ({"top": 1}, {})


def test_the_same_walk_knows_ecp5():
    def flip_flop(d, q):
        return cell("TRELLIS_FF", {"CLK": [1], "DI": [d], "CE": ["1"], "LSR": ["0"]}, {"Q": [q]})

    ram = cell("DP16KD", {"CLKA": [1]}, {"DOA9": [2]}, REGMODE_A="NOREG")
    product = cell("MULT18X18D", {"A0": [2], "B0": [2], "SIGNEDA": ["1"]}, {"P0": [3]})
    timing = timed(Ecp5(), top=module({}, ram=ram, product=product, a=flip_flop(3, 4)))
    assert parts(timing) == (1, 5609 + 3927, 1100 + 1000)
