"""The walk over what was placed and routed, and what the command refuses."""

import json

import pytest

from cli.main import main
from codesign.timing import routed
from tb.codesign.timing.netlists import cell, module


def flip_flop(d, q):
    return cell("TRELLIS_FF", {"CLK": [1], "DI": [d], "CE": ["1"], "LSR": ["0"]}, {"Q": [q]})


def test_the_text_has_the_walk_of_a_netlist_beside_what_nextpnr_reached(tmp_path, monkeypatch):
    monkeypatch.setattr(routed, "DATA", tmp_path / "routed.json")
    assert "make ulx3s" in routed.text()
    netlist = module({}, a=flip_flop("x", 2), b=flip_flop(2, 3)) | {"attributes": {"top": "1"}}
    (tmp_path / "top.json").write_text(json.dumps({"modules": {"top": netlist}}))
    assert main(["timing-routed", str(tmp_path)]) == 0
    found = json.loads(routed.DATA.read_text())
    assert found["path"]["levels"] == 0
    assert found["path"]["cells_ns"] == 0.53  # 525 ps
    text = routed.text()
    assert f"middle {found['mhz']['middle']:.1f} MHz" in text
    assert "74.45 MHz" in text


def test_a_folder_without_a_netlist_is_refused(tmp_path, capsys):
    assert main(["timing-routed", str(tmp_path)]) == 2
    assert "make ulx3s" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "words"), [(["--device", "PYNQ-Z2"], "UltraScale"), (["--clock", "0"], "1000 MHz")])
def test_a_part_or_a_clock_that_cannot_be_estimated_is_refused(option, words, capsys):
    assert main(["timing", "--preset", "tiny", *option]) == 2
    assert words in capsys.readouterr().err
