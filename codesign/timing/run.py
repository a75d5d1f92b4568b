"""What `bittern timing` does."""

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path

from codesign.devices import Device, device
from codesign.netlist.family import Corner
from codesign.netlist.ultrascale_plus import UltrascalePlus
from codesign.netlist.walk import Design
from codesign.resources import estimate
from codesign.resources.estimate import Estimate
from codesign.resources.synthesis import FAMILY, Synthesis
from codesign.resources.units import TOP
from codesign.rtl import fingerprint
from codesign.timing import checks, tables
from codesign.timing.estimate import Timing
from codesign.timing.estimate import time as timed
from codesign.timing.wires import ULTRASCALE_PLUS
from formats.errors import UsageError
from formats.files import write_whole
from isa.config import AcceleratorConfig
from isa.options import chosen_accelerator
from isa.presets import PRESETS

#: The part of the checks on docs/timing.md, and the clock that is asked of the largest preset.
PART, CLOCK_MHZ = "XCZU9EG", 300.0


def timing_of(found: Estimate, synthesis: Synthesis) -> Timing:
    """`Timing` of what was synthesised."""
    netlists = {unit.module.removeprefix("\\"): (unit.name, synthesis.netlist(unit)) for unit, _ in found.units}
    return timed(Design(netlists, TOP, UltrascalePlus()), ULTRASCALE_PLUS)


def _timed(config: AcceleratorConfig, part: Device, mhz: float, synthesis: Synthesis) -> tuple[Timing, list[checks.Check]]:
    found = estimate.estimate(config, synthesis)
    timing = timing_of(found, synthesis)
    cells: Counter[str] = Counter()
    for unit, _ in found.units:
        for kind, count in synthesis.cells(unit).items():
            cells[kind] += count * unit.count
    return timing, checks.checks(found.total, cells, timing, part, mhz)


def presets_timed(jobs: int) -> tuple[dict[str, tuple[Timing, list[checks.Check], float]], str]:
    """{preset: timing, checks on `PART`, MHz asked for} of all, and the version of Yosys."""
    synthesis = Synthesis(_progress, jobs)
    return {
        name: (*_timed(config, device(PART), CLOCK_MHZ, synthesis), CLOCK_MHZ) for name, config in PRESETS.items()
    }, synthesis.version


def run_timing(options: argparse.Namespace) -> int:
    """The command; returns the exit status: 0 if the middle estimate reaches the clock asked for.

    Raises UsageError for a part of another family, or a clock that is none.
    """
    start = time.monotonic()
    name, config = chosen_accelerator(options)
    part = device(options.device)
    if part.family != FAMILY:
        raise UsageError(f"timing is estimated for UltraScale+ only, not for {part.name}; name a part of that family")
    if not 1 <= options.clock <= 1000:
        raise UsageError(f"a clock is between 1 and 1000 MHz, not {options.clock:g}")
    synthesis = Synthesis(_progress, options.jobs)
    timing, passed = _timed(config, part, options.clock, synthesis)
    if options.json:
        document = tables.document(name, part.name, timing, passed, options.clock, fingerprint())
        write_whole(Path(options.json), json.dumps(document, indent=1) + "\n")
    print(
        f"{name} on {part.name} ({part.board}), {synthesis.version}: an estimate, without place and route (docs/timing.md)"
    )
    print(tables.clock(timing), "", *tables.units(timing, options.clock), "", sep="\n")
    print("the slowest paths in the middle", *tables.paths(timing, options.paths), "", sep="\n")
    print("the widest nets", *tables.nets(timing, options.paths), "", sep="\n")
    print("the vendor's checks before placement", *tables.checked(passed), sep="\n")
    _progress(f"{time.monotonic() - start:.0f} s")
    return 0 if timing.mhz(Corner.MIDDLE) >= options.clock else 1


def _progress(text):
    print(text, file=sys.stderr, flush=True)
