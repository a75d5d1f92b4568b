"""What place and route measured stands in the pages as it was measured, and as a failure where it failed."""

import re

import pytest

from bench import report
from cli.main import main
from codesign import routed
from formats.errors import UsageError
from tb.lib.words import naming

FIGURES = {
    "board": "ULX3S", "part": "LFE5U-85F", "config": {"rows": 4, "columns": 8, "depth": 16, "drain": 2, "row_lanes": 3},
    "memory_bytes": 1 << 18, "clock_mhz": 60.0, "achieved_mhz": 61.5, "closes": True,
    "critical_path": {"from": "a", "to": "b", "cells_ns": 4.5, "wires_ns": 11.25, "levels": 7},
    "used": {"lut4": 41000, "ff": 36000, "ebr": 189, "dsp": 151},
    "available": {"lut4": 82000, "ff": 83640, "ebr": 208, "dsp": 156}, "seed": 3,
    "seconds": {"synthesis": {"wall": 600.0, "cpu": 240.0}, "place_and_route": {"wall": 1200.0, "cpu": 900.0}},
    "tools": {"yosys": "Yosys 0.70", "nextpnr": "nextpnr 0.11"},
}  # fmt: skip


def test_the_table_has_the_figures():
    text = routed.markdown(FIGURES)
    assert "| 41,000 of 82,000 (50%) | 36,000 of 83,640 (43%) | 189 of 208 (91%) | 151 of 156 (97%) | 60 | 61.5 |" in text
    for named in (
        ("array 4 x 8 x 16", "drain 2", "3 row lanes", "256 KiB"), ("clock is reached", "4.5 ns", "7 levels", "11.25 ns"),
        ("Yosys 0.70", "nextpnr 0.11", "seed 3", "synthesis 240", "place and route 900", "30 minutes"),
    ):  # fmt: skip
        assert re.search(naming(*named), text), named


def test_a_clock_that_is_not_reached_is_said_so():
    text = routed.markdown(FIGURES | {"achieved_mhz": 51.0, "closes": False})
    assert "| 60 | 51 |" in text
    assert re.search(naming("not reached", "no bitstream"), text)
    assert "clock is reached" not in text


def test_where_nothing_was_routed_nothing_is_claimed(tmp_path):
    assert routed.load(tmp_path / "none.json") is None
    assert routed.markdown(None) == "Nothing has been placed and routed yet: `make ulx3s`.\n"


def test_only_what_is_between_the_marks_changes():
    text = f"before\n{routed.BEGIN}\nold\n{routed.END}\nafter\n"
    new = routed.replaced(text, FIGURES)
    assert new.startswith("before\n")
    assert new.endswith("after\n")
    assert "old" not in new
    assert routed.replaced(new, FIGURES) == new
    for broken in (text.replace(routed.END, ""), text + routed.BEGIN):
        with pytest.raises(UsageError, match="once each"):
            routed.replaced(broken, FIGURES)


def test_the_pages_are_of_the_figures_that_are_there():
    found = routed.load()
    for page in (page for page in routed.PAGES if page.exists()):
        assert page.read_text() == routed.replaced(page.read_text(), found), page
    assert routed.section(found) in report.page(report.DATA)


def test_the_command_writes_the_pages(tmp_path, monkeypatch, capsys):
    there, absent = tmp_path / "there.md", tmp_path / "absent.md"
    there.write_text(f"# Page\n{routed.BEGIN}\n{routed.END}\n")
    monkeypatch.setattr(routed, "PAGES", (there, absent))
    monkeypatch.setattr(routed, "load", lambda: FIGURES)
    assert main(["routed"]) == 0
    assert "61.5" in there.read_text()
    assert "61.5" in capsys.readouterr().out
    assert not absent.exists()
