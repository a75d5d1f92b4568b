"""The same walk over the ECP5 design that was placed and routed: what the estimate is off by."""

import argparse
import json
from pathlib import Path
from typing import Any

from codesign import routed
from codesign.netlist.ecp5 import Ecp5
from codesign.netlist.family import Corner, Netlist
from codesign.netlist.walk import Design
from codesign.timing.estimate import time
from codesign.timing.wires import ECP5
from formats.errors import UsageError
from formats.files import write_whole

DATA = Path(__file__).parent / "routed.json"


def walked(netlist: Netlist) -> dict[str, Any]:
    """The clock of a whole ECP5 design at each corner, MHz, by its netlist, and its slowest path in the middle."""
    timing = time(Design({"top": ("top", netlist)}, "top", Ecp5()), ECP5)
    (path,) = timing.worst[Corner.MIDDLE].values()
    return {
        "mhz": {corner.name.lower(): round(timing.mhz(corner), 2) for corner in Corner},
        "path": {
            "start": path.start, "end": path.end, "levels": path.levels,
            "cells_ns": round(path.cells / 1000, 2), "wires_ns": round(path.wires / 1000, 2),
        },
    }  # fmt: skip


def run_routed(options: argparse.Namespace) -> int:
    """`bittern timing-routed`: writes `DATA`; returns the exit status.

    Raises UsageError for a folder without such a design.
    """
    path = Path(options.folder) / "top.json"
    try:
        modules = json.loads(path.read_text())["modules"].values()
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is not there, or no netlist ({error}); `make ulx3s` makes one") from None
    top = next(one for one in modules if int(one["attributes"].get("top", "0"), 2))
    write_whole(DATA, json.dumps(walked(top), indent=1) + "\n")
    return 0


def text() -> str:
    """What the walk says of the design, beside what nextpnr reached."""
    measured = routed.load()
    if measured is None or not DATA.exists():
        return "Nothing has been placed and routed yet: `make ulx3s`, then `bittern timing-routed build/ulx3s`."
    found = json.loads(DATA.read_text())
    real, path, critical = measured["achieved_mhz"], found["path"], measured["critical_path"]
    said = ", ".join(f"{corner} {mhz:.1f} MHz ({100 * (mhz / real - 1):+.0f} %)" for corner, mhz in found["mhz"].items())
    return "\n".join([
        f"One design of this project is placed and routed, the ECP5's (docs/ulx3s.md): **{real:g} MHz** by nextpnr. The "
        "same walk over its netlist,\nwith that family's figures and distances in tiles that hold as much logic, says",
        f"{said}.",
        "",
        "So it errs on the slow side there, by half in the middle: every net has the distance of its kind, where a placer "
        "brings those near that matter,\nand nextpnr's estimate of a wire, which the walk takes, is no routed wire. For "
        "UltraScale+ nothing is known that it could be compared with.",
        "",
        f"* The walk's slowest path in the middle: {path['cells_ns']:.2f} ns in cells, {path['wires_ns']:.2f} in wires, "
        f"{path['levels']} levels,",
        f"  from `{path['start']}` to `{path['end']}`.",
        f"* nextpnr's: {critical['cells_ns']:.2f} ns in cells, {critical['wires_ns']:.2f} in wires,",
        f"  from `{critical['from']}` to `{critical['to']}`.",
    ])  # fmt: skip
