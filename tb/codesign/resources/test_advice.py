"""What does not fit is named, and what is advised instead is the nearest that fits."""

import re
from dataclasses import replace

import pytest

from cli.main import main
from codesign.devices import LIMITED, device, excess
from codesign.resources import advice
from codesign.resources.configurations import AMONG, macs
from codesign.resources.model import Errors, errors, predict
from codesign.resources.synthesis import Resources
from isa.presets import preset
from tb.lib.words import naming

LARGE = replace(AMONG[-1], left_depth=32768)
PART = replace(device("zcu102"), lut=1000, ff=1000, bram36=1000, dsp=1000)
WORST = 10


@pytest.fixture
def model(monkeypatch):
    """Sets what the model predicts, a function of the configuration; its worst error is 10 %."""
    monkeypatch.setattr(advice, "errors", lambda: {name: Errors(1, WORST, 12) for name in LIMITED})
    return lambda predicted: monkeypatch.setattr(advice, "predict", predicted)


def changes(text):
    """{parameter: value} of an advice, or of a sentence that ends with one."""
    words = text.partition(" would fit")[0].rpartition("; ")[2].split()
    return {name: int(value) for name, value in (word.split("=") for word in words)}


@pytest.mark.parametrize("name", LIMITED)
def test_only_what_is_beyond_the_part_by_more_than_the_error_is_certain(model, name):
    model(lambda config: Resources(**{name: 1099}))
    assert advice.certain_excess(LARGE, PART) == {}
    model(lambda config: Resources(**{name: 1101}))
    assert advice.certain_excess(LARGE, PART) == {name: 101}


@pytest.mark.parametrize("name", LIMITED)
def test_what_is_advised_fits_by_more_than_the_error(model, name):
    # 10 % less than 1,000 may be predicted for what takes 1,000.
    model(lambda config: Resources(**{name: 900 if config.left_depth == 4096 else 901}))
    assert changes(advice.advice(LARGE, PART)) == {"left_depth": 4096}


def test_as_few_halvings_as_possible_are_made(model):
    model(lambda config: Resources(lut=800 if config.left_depth <= 8192 or config.drain == 32 else 2000))
    # Two halvings of either: the larger drain wins.
    assert changes(advice.advice(LARGE, PART)) == {"left_depth": 8192}
    model(lambda config: Resources(lut=800 if config.left_depth <= 8192 or config.drain == 64 else 2000))
    assert changes(advice.advice(LARGE, PART)) == {"drain": 64}


def test_the_array_stays_as_it_is_while_anything_else_helps(model):
    model(lambda config: Resources(lut=800 if config.residual_depth <= 1536 or config.rows == 8 else 2000))
    assert changes(advice.advice(LARGE, PART)) == {"residual_depth": 1536}


def test_else_it_is_halved_and_the_drain_with_it_where_the_rules_ask_for_that(model):
    wide = replace(preset("small"), drain=256)
    model(lambda config: Resources(lut=2 * macs(config) if config.depth == wide.depth else 20_000))
    part = replace(PART, lut=10_000)
    found = replace(wide, **changes(advice.advice(wide, part)))
    assert (macs(found), found.drain) == (macs(wide) // 2, 128)


def test_of_equally_near_ones_that_with_the_most_operations_is_advised(model):
    model(lambda config: Resources(lut=800 if config.rows * config.columns <= 128 else 2000))
    assert macs(replace(LARGE, **changes(advice.advice(LARGE, PART)))) == macs(LARGE) // 4


def test_operations_count_before_the_drain(model):
    def predicted(config):
        few = config.rows == 4 and config.drain == 128
        more = config.rows == 8 and config.drain == 64 and config.left_depth == 16384
        return Resources(lut=800 if few or more else 2000)

    model(predicted)
    assert changes(advice.advice(LARGE, PART)) == {"rows": 8, "drain": 64, "left_depth": 16384}


def test_no_more_than_five_halvings_are_tried(model):
    model(lambda config: Resources(lut=800 if config.left_depth <= 1024 else 2000))
    assert changes(advice.advice(LARGE, PART)) == {"left_depth": 1024}
    model(lambda config: Resources(lut=800 if config.left_depth <= 512 else 2000))
    text = advice.advice(LARGE, PART)
    assert re.search(naming("no parameters", 5, "halvings"), text)
    assert "=" not in text


def test_nothing_near_the_real_advice_is_nearer():
    """Every legal configuration with one halving less than the advised one is too large, by the model and its error."""
    part = device("zcu102")
    found = replace(LARGE, **changes(advice.advice(LARGE, part)))
    assert excess(predict(found), part) == {}
    assert macs(found) == macs(LARGE)
    halvings = sum((getattr(LARGE, name) // getattr(found, name)).bit_length() - 1 for name in advice.BESIDE_ARRAY)
    reached = {LARGE}
    for _ in range(halvings - 1):
        reached |= {near for config in reached for near in advice.halved(config, advice.BESIDE_ARRAY)}
    least = {name: 1 - errors()[name].worst / 100 for name in LIMITED}
    for config in reached:
        used = predict(config)
        assert any(getattr(used, name) > least[name] * getattr(part, name) for name in LIMITED)


def test_what_cannot_fit_is_refused_before_anything_is_synthesised(capsys):
    assert main(["estimate", "--preset", "zcu102", "--set", "left_depth=32768"]) == 2
    text, large = capsys.readouterr().err, replace(preset("zcu102"), left_depth=32768)
    assert len(text.splitlines()) == 1
    assert f"by {excess(predict(large), device('zcu102'))['bram36']:,.0f} BRAM36; " in text
    advised = replace(large, **changes(text))
    assert advised != large
    assert excess(predict(advised), device("zcu102")) == {}
    assert f"{predict(advised).bram36:,.0f} BRAM36" in text
