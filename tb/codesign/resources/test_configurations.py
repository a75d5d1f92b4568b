"""The configurations of the resource model are the ones that the seed draws, and so is what the model may see of them."""

from dataclasses import fields

import pytest

from codesign.resources.configurations import AMONG, choices, draw, macs, write
from isa.config import AcceleratorConfig


def test_the_committed_list_is_the_one_that_is_drawn():
    """So that no configuration is moved between the halves by hand, or left out, after its error was seen."""
    assert choices() == draw()


def test_half_of_at_least_twenty_configurations_are_held_out():
    fitted = [choice.config for choice in choices() if choice.fitted]
    held_out = [choice.config for choice in choices() if not choice.fitted]
    assert len(fitted) == len(held_out)
    assert len({*fitted, *held_out}) == len(choices()) >= 20


def test_of_two_neighbours_in_size_one_is_held_out():
    sizes = [macs(choice.config) for choice in choices()]
    assert sizes == sorted(sizes)
    uses = [choice.fitted for choice in choices()]
    assert all(first != second for first, second in zip(uses[::2], uses[1::2], strict=True))


def test_which_of_two_is_held_out_is_drawn():
    firsts = [choice.fitted for choice in choices()][::2]
    assert True in firsts
    assert False in firsts
    assert [choice.fitted for choice in draw(seed=4)] != [choice.fitted for choice in draw(seed=5)]


def test_presets_and_large_arrays_are_among_them():
    configs = [choice.config for choice in choices()]
    assert set(AMONG) <= set(configs)
    assert sum(macs(config) >= 1 << 16 for config in configs) >= 4


#: Parameters that the list knows nothing of: they are newer, and have their defaults in it.
NEWER = {"ports", "uram"}


@pytest.mark.parametrize("name", [field.name for field in fields(AcceleratorConfig) if field.name not in NEWER])
def test_every_parameter_varies_in_both_halves(name):
    for fitted in (True, False):
        values = {getattr(choice.config, name) for choice in choices() if choice.fitted == fitted}
        assert len(values) >= 3


def test_the_list_comes_back_as_it_was_written(tmp_path):
    write(draw(seed=7), tmp_path / "list.csv")
    assert choices(tmp_path / "list.csv") == draw(seed=7)
