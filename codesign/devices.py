"""Parts and what they hold, from devices.json."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from formats.errors import UsageError

if TYPE_CHECKING:
    from codesign.resources.synthesis import Resources

#: What a design may not have more of than its part.
COUNTED = ("lut", "ff", "bram36", "dsp", "uram")
#: Those that every design has, and by which configurations were synthesised and compared.
LIMITED = COUNTED[:-1]
LABELS = {"lut": "LUT", "ff": "FF", "bram36": "BRAM36", "dsp": "DSP48E2", "uram": "URAM"}


@dataclass(frozen=True)
class Device:
    name: str
    board: str
    family: str
    lut: int
    ff: int
    bram36: int
    uram: int
    dsp: int
    memory_gbit_s: float


DEVICES = {
    entry["name"]: Device(**entry) for entry in json.loads((Path(__file__).parent / "devices.json").read_text())["devices"]
}


def device(name: str) -> Device:
    """A part by name or by board. Raises UsageError that lists the names."""
    for part in DEVICES.values():
        if name.upper() == part.name or name.lower() in part.board.lower().split(", "):
            return part
    raise UsageError(f"there is no device {name!r}; choose one of {', '.join(DEVICES)}")


def excess(used: "Resources", part: Device) -> dict[str, float]:
    """What does not fit: {resource: amount beyond the part}, empty if all fits. ``used`` has the attributes `COUNTED`."""
    return {name: getattr(used, name) - getattr(part, name) for name in COUNTED if getattr(used, name) > getattr(part, name)}
