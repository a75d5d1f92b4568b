"""Registries find what a kind is by its name, and say what is missing."""

from enum import StrEnum

import pytest

from golden.activation.kinds import ACTIVATION_KINDS
from golden.attention.kinds import ATTENTION_KINDS
from golden.model import Activation, Attention
from golden.registry import Registry
from program.compiler.attention.kinds import SCORE_LOWERINGS


class Colour(StrEnum):
    DARK_RED = "dark-red"
    BLUE = "blue"


@pytest.fixture
def colours(tmp_path, monkeypatch):
    folder = tmp_path / "colours_of_a_test"
    folder.mkdir()
    (folder / "dark_red.py").write_text("KIND = 3\n")
    (folder / "blue.py").write_text("KIND = 'blue'\n")
    monkeypatch.syspath_prepend(tmp_path)
    return Registry("colours_of_a_test", int, Colour)


def test_a_kind_is_the_object_in_the_module_of_its_name(colours):
    assert colours[Colour.DARK_RED] == 3
    assert list(colours) == [Colour.DARK_RED, Colour.BLUE]


def test_an_object_of_another_type_is_refused_by_name(colours):
    with pytest.raises(TypeError, match=r"KIND in colours_of_a_test\.blue must be a int, not 'blue'"):
        colours[Colour.BLUE]


def test_what_is_no_kind_is_refused(colours):
    with pytest.raises(KeyError, match="kind of Colour, not 'dark-red'"):
        colours["dark-red"]


@pytest.mark.parametrize("registry", [ACTIVATION_KINDS, ATTENTION_KINDS, SCORE_LOWERINGS], ids=lambda one: one.package)
def test_each_layer_knows_every_kind(registry):
    found = [registry[kind] for kind in registry]
    assert len(set(map(type, found))) == len(found) == len(Activation if registry is ACTIVATION_KINDS else Attention)
