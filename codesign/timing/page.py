"""docs/timing.md: how the clock is estimated, from what, what it is off by, and what the presets come to."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from codesign.netlist.family import Corner
from codesign.resources.tables import aligned
from codesign.rtl import fingerprint
from codesign.timing import clocks, routed, tables
from codesign.timing.checks import Check
from codesign.timing.estimate import CLOCK, Timing
from codesign.timing.run import presets_timed
from codesign.timing.wires import ECP5, INPUTS, NET, ULTRASCALE_PLUS, one_input
from formats.files import ROOT

#: The preset that is shown unit by unit, with its paths.
PRESET = "zcu102"
PAGE = ROOT / "docs" / "timing.md"

_METHOD = Path(__file__).parent / "method.md"


def page(timed: Mapping[str, tuple[Timing, list[Check], float]], rtl: str) -> str:
    """Text of the page. ``timed``: {name of a preset: timing, checks, MHz asked for}; without `PRESET` it says so."""
    method = _METHOD.read_text().format(
        rtl=rtl, clock=[ps / 1000 for ps in CLOCK], tiles=one_input(), net=NET / 1000, inputs=INPUTS,
        wires="\n".join(_wires()), check=routed.text(),
    )  # fmt: skip
    if PRESET not in timed:
        return f"{method}\n## The presets\n\nNot estimated yet on this page: `bittern timing-page` does, in some minutes.\n"
    timing, checks, mhz = timed[PRESET]
    return "\n".join([
        method,
        "## The presets\n",
        "```", *clocks.table({name: one[0] for name, one in timed.items()}), "```\n",
        f"## {PRESET}, unit by unit\n",
        f"The slowest path of each unit in the middle; ends that are late at {mhz:g} MHz.\n",
        "```", *tables.units(timing, mhz), "```\n",
        "The slowest paths, once for all bits of a register:\n",
        "```", *tables.paths(timing, 10), "```\n",
        "The widest nets:\n",
        "```", *tables.nets(timing, 10), "```\n",
        "## The vendor's checks before placement\n",
        "`report_failfast` marks for review what exceeds these: such a design may close, but not easily.\n",
        "```", *tables.checked(checks), "```\n",
    ])  # fmt: skip


def _wires():
    fanouts = (1, 2, 4, 16, 64, 256, 1000, 4000)
    rows = [["inputs", *(f"{fanout:,}" for fanout in fanouts)]]
    for name, routing in (("UltraScale+", ULTRASCALE_PLUS), ("ECP5", ECP5)):
        for corner in Corner:
            delays = [f"{routing.delay(corner, fanout) / 1000:.2f}" for fanout in fanouts]
            rows.append([f"ns, {name}, {corner.name.lower()}", *delays])
    return aligned(rows)


def run_page(options: argparse.Namespace) -> int:
    """`bittern timing-page`: writes the page and the clocks of all presets; returns the exit status."""
    timed, version = presets_timed(options.jobs)
    clocks.write({name: one[0] for name, one in timed.items()}, version)
    PAGE.write_text(page(timed, fingerprint()))
    return 0
