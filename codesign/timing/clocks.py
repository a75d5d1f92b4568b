"""The estimated clock of each preset: what reports reckon rates with. Written by `bittern timing-page`."""

import json
from collections.abc import Mapping
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from codesign.netlist.family import Corner
from codesign.resources.tables import aligned
from codesign.rtl import fingerprint
from codesign.timing.estimate import Timing
from formats.files import write_whole
from isa.config import AcceleratorConfig
from isa.presets import PRESETS

DATA = Path(__file__).parent / "clocks.json"


@cache
def _read(path: Path) -> Any:
    return json.loads(path.read_text())


class Basis(Enum):
    """What a clock rests on: a word that stands beside every rate."""

    ESTIMATED = "estimated"
    ASSUMED = "assumed"


class Clock(NamedTuple):
    """MHz, and what they rest on."""

    mhz: float
    basis: Basis

    def __str__(self) -> str:
        return f"{self.mhz:g} MHz {self.basis.value}"


#: Where no estimate was made.
ASSUMED = Clock(200, Basis.ASSUMED)


def clock_of(config: AcceleratorConfig) -> Clock:
    """What rates of an accelerator are reckoned with: the middle estimate of a preset, rounded down to whole 5 MHz."""
    mhz = _read(DATA)["mhz"] if DATA.exists() else {}
    name = next((name for name, preset in PRESETS.items() if preset == config and name in mhz), None)
    return ASSUMED if name is None else Clock(mhz[name][Corner.MIDDLE.name.lower()] // 5 * 5, Basis.ESTIMATED)


def of_rtl() -> str:
    """Fingerprint of the RTL that the estimates are of, see `codesign.rtl`."""
    return _read(DATA)["rtl"]


def write(timed: Mapping[str, Timing], yosys: str) -> None:
    """Write the clocks of presets, with what they are of."""
    mhz = {name: {corner.name.lower(): round(timing.mhz(corner), 1) for corner in Corner} for name, timing in timed.items()}
    write_whole(DATA, json.dumps({"rtl": fingerprint(), "yosys": yosys, "mhz": mhz}, indent=1) + "\n")
    _read.cache_clear()


def table(timed: Mapping[str, Timing]) -> list[str]:
    """Lines: each preset's clock at each corner, and what decides in the middle."""
    rows = [["preset", *(f"{corner.name.lower()} MHz" for corner in Corner), "slowest unit"]]
    for name, timing in timed.items():
        slowest = min(timing.worst[Corner.MIDDLE].values(), key=lambda path: path.mhz)
        rows.append([name, *(f"{timing.mhz(corner):.0f}" for corner in Corner), slowest.unit])
    return aligned(rows)
