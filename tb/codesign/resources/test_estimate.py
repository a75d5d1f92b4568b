"""The estimate's commands: what they print, what they refuse, and how."""

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from cli.main import main
from codesign.devices import DEVICES, LABELS, LIMITED, device, excess
from codesign.resources import estimate, tables
from codesign.resources import page as resource_page
from codesign.resources.configurations import macs
from codesign.resources.data import samples
from codesign.resources.estimate import Estimate, shared_lut
from codesign.resources.logic_depth import Depth, Path
from codesign.resources.model import errors, predict
from codesign.resources.synthesis import Resources
from codesign.resources.units import Unit
from codesign.rtl import fingerprint
from formats.errors import UsageError
from isa.presets import PRESETS, preset
from tb.codesign.resources.test_advice import changes
from tb.lib.words import naming

FLAT = Resources(lut=1000, most_lut=1200, ff=2000, bram36=40, dsp=100)
DEPTH = Depth(
    [Path(9 - i // 2, f"from{i}[3]", f"to{i}.q (FDRE.D)", "top") for i in range(14)], {("bank", "RAMB36E2", "logic"): 3}
)


@pytest.fixture
def synthesised(monkeypatch):
    """An estimate that takes no time: one unit, whose resources the test sets, and the whole design."""
    used = {"unit": FLAT, "whole": FLAT}

    def fake(config, synthesis):
        units = [(Unit("top", "bittern", {}, {}, 1), used["unit"])]
        return Estimate(config, units, used["unit"], Resources(lut=100), Resources(lut=80))

    monkeypatch.setattr(estimate, "estimate", fake)
    monkeypatch.setattr(estimate, "whole", lambda config, synthesis: used["whole"])
    monkeypatch.setattr(estimate, "shared_lut", lambda found, synthesis: 990)
    monkeypatch.setattr(estimate, "paths", lambda found, synthesis: DEPTH)
    return used


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--preset", "zcu103"], "zcu102"),
        (["--set", "rows"], "PARAMETER=NUMBER"),
        (["--set", "lanes=4"], "row_lanes"),
        (["--set", "rows=12"], "power of two"),
        (["--device", "XC1"], "XCZU9EG"),
    ],
)
def test_what_makes_no_sense_is_one_sentence_and_status_2(arguments, part, capsys):
    assert main(["estimate", *arguments]) == 2
    text = capsys.readouterr().err
    assert part in text
    assert len(text.splitlines()) == 1


def test_parts_are_found_by_name_and_board():
    assert device("zcu102") is device("xczu9eg") is DEVICES["XCZU9EG"]
    with pytest.raises(UsageError, match="XCU50"):
        device("zcu")


def test_what_does_not_fit_is_named_with_the_amount():
    part = device("zcu102")
    assert excess(Resources(lut=274_080, ff=548_160, bram36=912, dsp=2520), part) == {}
    assert excess(Resources(lut=274_081, bram36=912.5), part) == {"lut": 1, "bram36": 0.5}


def test_used_and_available_are_printed_and_what_is_unknown(synthesised, capsys):
    assert main(["estimate", "--preset", "tiny"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if line.startswith("BRAM36")] == [["BRAM36", "40", "912", "4.4", "%"]]
    assert {"clock  unknown", "power  unknown"} <= {" ".join(line.split()).replace(" ", "  ") for line in lines}


def test_of_a_part_of_another_family_the_share_is_unknown(synthesised, capsys):
    synthesised["unit"] = replace(FLAT, dsp=2530)
    assert main(["estimate", "--preset", "tiny", "--device", "XC7Z020"]) == 0
    rows = {line.split()[0]: line.split()[-1] for line in capsys.readouterr().out.splitlines() if line}
    assert {rows[LABELS[name]] for name in LIMITED} == {"unknown"}


@pytest.mark.parametrize("name", LIMITED)
@pytest.mark.parametrize(("factor", "status"), [(1.05, 0), (1.06, 1), (0.95, 0), (0.94, 1)])
def test_each_resource_of_the_sum_is_checked_against_the_whole(name, factor, status, synthesised, capsys):
    synthesised["unit"] = replace(FLAT, **{name: factor * getattr(FLAT, name)})
    assert main(["estimate", "--preset", "tiny", "--check"]) == status
    text = capsys.readouterr().out
    assert f"{100 * (factor - 1):+.1f} %" in text
    assert ("NOT within" in text) == bool(status)


def test_what_is_too_large_as_synthesised_is_refused_with_what_fits(synthesised, capsys):
    synthesised["unit"] = replace(FLAT, dsp=2530)
    assert main(["estimate", "--preset", "tiny"]) == 2
    captured = capsys.readouterr()
    assert "by 10 DSP48E2; " in captured.err
    advised = replace(preset("tiny"), **changes(captured.err))
    assert advised != preset("tiny")
    assert excess(predict(advised), device("zcu102")) == {}
    assert "2,530" in captured.out


def test_small_luts_of_different_units_may_share_luts():
    cells = {"a": {"LUT2": 1}, "b": {"LUT2": 1, "LUT6": 2}}
    synthesis: Any = SimpleNamespace(cells=lambda unit: cells[unit.name])
    units = [(Unit(name, name, {}, {}, count), Resources()) for name, count in (("a", 3), ("b", 1))]
    assert shared_lut(Estimate(preset("tiny"), units, Resources(), Resources(), Resources()), synthesis) == 2 + 2


def test_the_page_is_written_to_its_end(synthesised, tmp_path, monkeypatch):
    monkeypatch.setattr(resource_page, "PAGE", tmp_path / "resources.md")
    assert main(["resource-page"]) == 0
    text = (tmp_path / "resources.md").read_text()
    assert all(f"## {name} on XCZU9EG" in text for name in PRESETS)
    assert f"Of RTL {fingerprint()}" in text
    assert "\n".join(tables.usage(Estimate(preset("small"), [], FLAT, Resources(), Resources()), device("zcu102"))) in text
    assert "\n".join(tables.compared(FLAT, FLAT, 990)) in text
    assert [f"from{i}[3] to to{i}.q (FDRE.D)" in " ".join(text.split()) for i in range(11)] == 10 * [True] + [False]
    assert "read by logic in bank: 3 RAMB36E2" in text
    synthesised["whole"] = replace(FLAT, ff=1800)
    assert main(["resource-page"]) == 1


def test_the_page_marks_each_configuration_and_shows_its_error():
    lines = tables.configurations(samples(), lambda config: predict(config) * 2)
    assert len(lines) == 1 + len(samples())
    for line, sample in zip(lines[1:], samples(), strict=True):
        assert ("held out" in line, "fitted" in line) == (not sample.fitted, sample.fitted)
        lut, model = sample.total.lut, 2 * predict(sample.config).lut
        assert f" {lut:,.0f} {100 * (model - lut) / lut:+.1f} %" in " ".join(line.split())
    assert {tuple(line.split()[:2]) for line in tables.errors(errors())[1:]} == {
        (LABELS[name], f"{errors()[name].median:.1f}") for name in LIMITED
    }


def test_the_committed_page_is_of_the_committed_data():
    text = resource_page.PAGE.read_text()
    assert "\n".join(tables.errors(errors())) in text
    assert "\n".join(tables.configurations(samples(), predict)) in text


def test_density_is_of_the_multiply_accumulates():
    found = Estimate(preset("tiny"), [], Resources(lut=512, ff=9), Resources(lut=384, ff=5), Resources(lut=256, ff=6))
    assert macs(found.config) == 256
    words = ("256 binary MACs", "2.00 LUT each", "1.50 in the array", "1.50 and 1.00", "384 LUT, 10 FF")
    assert re.search(naming(*words), tables.density(found))
