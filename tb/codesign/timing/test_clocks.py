"""Which clock a rate is reckoned with."""

import json
from collections import Counter
from dataclasses import replace

from codesign.netlist.family import Corner
from codesign.timing import clocks
from codesign.timing.clocks import ASSUMED, Basis, Clock, clock_of
from codesign.timing.estimate import TimedPath, Timing
from isa.presets import PRESETS


def timing(period):
    path = TimedPath("a", "b", "unit", 1, period - 50, 0, 50)
    return Timing(
        worst={corner: {"unit": path} for corner in Corner}, slow=[], periods=Counter(), levels=Counter(), limits={},
        nets=[], control_sets=0, mean_fanout=0, clock_tree=775,
    )  # fmt: skip


def test_a_preset_has_its_middle_estimate_in_whole_5_mhz_and_anything_else_an_assumption(tmp_path, monkeypatch):
    monkeypatch.setattr(clocks, "DATA", tmp_path / "clocks.json")
    assert clock_of(PRESETS["tiny"]) == ASSUMED
    clocks.write({"tiny": timing(3200)}, "Yosys")
    assert clock_of(PRESETS["tiny"]) == Clock(310, Basis.ESTIMATED)
    assert str(clock_of(PRESETS["tiny"])) == "310 MHz estimated"
    assert clock_of(PRESETS["small"]) == clock_of(replace(PRESETS["tiny"], norm_depth=128)) == ASSUMED
    assert json.loads(clocks.DATA.read_text())["mhz"]["tiny"]["middle"] == 312.5


def test_the_table_names_the_slowest_unit():
    assert clocks.table({"tiny": timing(4000)})[1].split() == ["tiny", "250", "250", "250", "unit"]
