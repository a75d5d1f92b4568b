"""The resource model meets its bars on configurations that it was not fitted to."""

import re
from dataclasses import replace

import numpy as np
import pytest

from cli.main import main
from codesign.devices import LABELS, LIMITED, device, excess
from codesign.resources import block_memory
from codesign.resources import run as resource_run
from codesign.resources.block_memory import BlockMemory
from codesign.resources.configurations import choices
from codesign.resources.data import Sample, kind, samples, write
from codesign.resources.features import FEATURES, features
from codesign.resources.model import coefficients, errors, predict
from codesign.resources.synthesis import Resources
from isa.presets import PRESETS, preset

#: Units of made-up data: one with a constant and features, one that is not in every configuration.
UNITS = {"dpu": (30, 0.5, 2, 7), "core.rows.buffer": (100, 40, 0.25)}


@pytest.mark.parametrize("name", LIMITED)
def test_errors_are_within_the_bars(name):
    assert errors()[name].median <= 5
    assert errors()[name].worst <= 15


def test_every_row_is_of_the_list_and_keeps_its_part():
    """None is moved between fitted and held out because of its error."""
    parts = {choice.config: choice.fitted for choice in choices()}
    assert all(parts[sample.config] == sample.fitted for sample in samples())
    assert {name: error.count for name, error in errors().items()} == dict.fromkeys(
        LIMITED, sum(not sample.fitted for sample in samples())
    )


def test_the_bars_hold_for_twenty_configurations_half_of_them_held_out():
    """All of the list, so that none was left out because of its error."""
    assert [sample.config for sample in samples()] == [choice.config for choice in choices()]
    held_out = sum(not sample.fitted for sample in samples())
    assert len(samples()) >= 20
    assert 2 * held_out >= len(samples())
    assert {name: error.count for name, error in errors().items()} == dict.fromkeys(LIMITED, held_out)


def test_block_memories_follow_from_rules():
    """Where the rules were made to; the bars say how good they are elsewhere."""
    fitted = [sample for sample in samples() if sample.fitted]
    assert [predict(sample.config).bram36 for sample in fitted] == [sample.total.bram36 for sample in fitted]


@pytest.mark.parametrize(
    ("memory", "blocks"),
    [
        (BlockMemory(1, 1024, 36, 36), 1),
        (BlockMemory(1, 512, 36, 36), 0.5),
        (BlockMemory(1, 512, 72, 72), 1),
        (BlockMemory(1, 4096, 128, 32), 16),
        (BlockMemory(1, 32768, 1, 1), 1),
        (BlockMemory(1, 12288, 512, 512), 171),
        (BlockMemory(1, 64, 224, 56, free=True), 0),
        (BlockMemory(1, 64, 224, 56), 3.5),
    ],
)
def test_blocks_of_a_memory(memory, blocks):
    assert memory.blocks == blocks


@pytest.mark.parametrize(
    ("name", "depth", "width", "part"),
    [("small", 256, 16 * 56, 2 * 56), ("tiny", 64, 4 * 56, 56), ("ecp5", 256, 4 * 64, 32)],
)
def test_constants_are_written_by_the_beat(name, depth, width, part):
    assert BlockMemory(1, depth, width, part, free=True) in block_memory.memories(preset(name))


def test_a_shared_unit_loses_its_sizes_and_others_keep_their_names():
    assert [kind(name) for name in ("dpu_64_24", "bank_4096x64_32", "core.qmm.left_memory")] == [
        "dpu",
        "bank",
        "core.qmm.left_memory",
    ]


def test_features_are_of_units_that_exist():
    assert set(FEATURES) <= set(samples()[0].parts)


@pytest.fixture
def made_up(tmp_path):
    """A path of data whose LUTs follow from `UNITS`, ``change`` applied to each `Sample`."""
    number = iter(range(10))

    def made_up(change=lambda sample: sample, units=UNITS):
        rows = []
        for choice in choices():
            parts = {
                unit: Resources(lut=float(np.array(values) @ features(unit, choice.config)), ff=5)
                for unit, values in units.items()
            }
            rows.append(change(Sample(choice.config, parts, "rtl", "0")))
        path = tmp_path / f"{next(number)}.csv"
        write(rows, path)
        return path

    return made_up


def scaled(sample, factor):
    return replace(sample, parts={unit: used * factor for unit, used in sample.parts.items()})


def test_what_follows_from_the_features_is_found_exactly(made_up):
    path = made_up()
    for unit, values in UNITS.items():
        assert coefficients(path)[unit, "lut"] == pytest.approx(values, rel=1e-4, abs=1e-4)
    for choice in choices():
        expected = sum(float(np.array(values) @ features(unit, choice.config)) for unit, values in UNITS.items())
        assert predict(choice.config, path).lut == round(expected)
        assert predict(choice.config, path).ff == 10


def test_configurations_that_are_held_out_do_not_change_the_fit(made_up):
    plain = coefficients(made_up())
    other = coefficients(made_up(lambda sample: sample if sample.fitted else scaled(sample, 3)))
    for key, values in plain.items():
        assert other[key] == pytest.approx(values)


def test_errors_are_those_of_configurations_that_are_held_out(made_up):
    held_out = [choice.config for choice in choices() if not choice.fitted]
    path = made_up(lambda sample: scaled(sample, 1.25) if sample.config == held_out[-1] else sample)
    found = errors(path)["lut"]
    assert (found.median, found.count) == (pytest.approx(0, abs=0.1), len(held_out))
    assert found.worst == pytest.approx(20, abs=0.1)
    path = made_up(lambda sample: scaled(sample, 0.8) if sample.config in held_out[:-1] else sample)
    assert errors(path)["lut"].median == pytest.approx(25, abs=0.1)


def test_no_coefficient_is_negative(made_up):
    found = coefficients(made_up(units={"dpu": (30, 0.5, -0.1, 7)}))["dpu", "lut"]
    assert min(found) >= 0
    assert (found[2], found[3] > 0) == (0, True)


def test_small_configurations_weigh_as_much_as_large_ones(made_up):
    """By their part of the whole: the same share more in the smallest one moves the fit as in the largest."""
    fitted = [choice.config for choice in choices() if choice.fitted]
    constant = {"control": (100,), "dpu": (0, 1, 0, 0)}
    moved = []
    for config in (fitted[0], fitted[-1]):
        path = made_up(lambda sample, config=config: scaled(sample, 2) if sample.config == config else sample, constant)
        moved.append(coefficients(path)["control", "lut"][0])
    assert moved[0] > moved[1] >= 100


@pytest.mark.parametrize("chosen", PRESETS)
def test_a_prediction_shows_its_error(chosen, capsys):
    # UltraRAM is not everywhere.
    device = chosen if PRESETS[chosen].uram else "zcu102"
    assert main(["predict", "--preset", chosen, "--device", device]) == 0
    text = capsys.readouterr().out
    rows = {line.split()[0]: re.findall(r"[\d.]+", line.partition("error")[2]) for line in text.splitlines()[2:]}
    for name in LIMITED:
        error = errors()[name]
        assert rows[LABELS[name]] == [f"{error.median:.1f}", f"{error.worst:.1f}", str(error.count)]


def test_a_prediction_says_when_it_is_of_another_rtl(capsys, monkeypatch):
    monkeypatch.setattr(resource_run, "fingerprint", lambda: samples()[0].rtl)
    main(["predict", "--preset", "small"])
    assert "fitted to" not in capsys.readouterr().out
    monkeypatch.setattr(resource_run, "fingerprint", lambda: "another")
    main(["predict", "--preset", "small"])
    assert f"fitted to RTL {samples()[0].rtl}; it is another now" in capsys.readouterr().out


def test_no_resources_are_nothing():
    assert excess(Resources(), device("XC7Z020")) == {}
