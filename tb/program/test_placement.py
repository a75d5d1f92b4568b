"""Where regions lie in external memory: pages of their own, in order, and nothing between."""

from itertools import pairwise
from types import SimpleNamespace

import pytest

from isa.sizes import AXI_PAGE as PAGE
from program.placement import SLOTS, Placement


def sized(image, inputs, outputs):
    """What stands for a program with regions of so many bytes."""
    return SimpleNamespace(image=bytes(image), input_bytes=inputs, output_bytes=outputs)


@pytest.mark.parametrize("slots", [1, SLOTS, 3])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (PAGE, PAGE, PAGE), (PAGE + 1, 2 * PAGE - 1, 3 * PAGE + 64), (70_000, 512, 8)])
def test_every_region_has_whole_pages_of_its_own_and_none_is_lost(sizes, slots):
    placement = Placement.of(sized(*sizes), slots)
    starts = [placement.image, *placement.inputs, *placement.outputs, placement.bytes]
    held = [sizes[0], *[sizes[1]] * slots, *[sizes[2]] * slots]
    assert starts[0] == 0
    for size, (start, following) in zip(held, pairwise(starts), strict=True):
        assert start % PAGE == 0
        assert size <= following - start < size + PAGE


def test_inputs_and_outputs_are_double_buffered_unless_asked_otherwise():
    placement = Placement.of(sized(5 * PAGE, PAGE, 1))
    assert placement == Placement(0, (5 * PAGE, 6 * PAGE), (7 * PAGE, 8 * PAGE), 9 * PAGE)
