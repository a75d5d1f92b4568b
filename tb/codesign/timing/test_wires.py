"""Wires: further takes longer, and so do more inputs."""

import pytest

from codesign.netlist.family import Corner
from codesign.timing.wires import ECP5, ULTRASCALE_PLUS, one_input

FAMILIES = pytest.mark.parametrize("routing", [ULTRASCALE_PLUS, ECP5], ids=["UltraScale+", "ECP5"])


def test_the_shortest_wires_are_those_of_the_models():
    # The last hop alone; one single across or up, and what columns add on average.
    assert ULTRASCALE_PLUS.along(0) == 43
    assert ULTRASCALE_PLUS.along(1) == pytest.approx(43 + (46.5 + 2.4 * (2 + 0.6) + 46.6) / 2)
    assert ECP5.along(0) == 120 * 6
    assert ECP5.along(1) == 120 * 8


@FAMILIES
def test_no_wire_is_shorter_for_going_further(routing):
    ways = [routing.along(tiles / 2) for tiles in range(300)]
    assert ways == sorted(ways)


@FAMILIES
def test_wider_nets_are_slower_and_corners_are_ordered(routing):
    for corner in Corner:
        delays = [routing.delay(corner, fanout) for fanout in (1, 2, 3, 10, 100, 1000, 10_000)]
        assert delays == sorted(delays)
    for fanout in (1, 8, 1000):
        corners = [routing.delay(corner, fanout) for corner in Corner]
        assert corners == sorted(corners)


def test_a_net_of_two_inputs_takes_what_the_vendor_budgets():
    assert ULTRASCALE_PLUS.delay(Corner.MIDDLE, 2) + 51 == pytest.approx(208, abs=0.1)


def test_eight_times_the_inputs_are_twice_as_far_and_half_the_logic_to_a_tile_farther_by_the_root():
    one = one_input()
    assert ULTRASCALE_PLUS.tiles(Corner.MIDDLE, 8) == pytest.approx(2 * one)
    assert ULTRASCALE_PLUS.tiles(Corner.OPTIMISTIC, 8) == pytest.approx(one)
    assert ULTRASCALE_PLUS.tiles(Corner.PESSIMISTIC, 8) == pytest.approx(4 * one)
    assert ECP5.tiles(Corner.MIDDLE, 1) == pytest.approx(2**0.5 * one)
