"""A timing estimate as lines of text, and as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from codesign.netlist.family import Corner
from codesign.resources.tables import aligned, number
from codesign.timing.checks import Check
from codesign.timing.estimate import TimedPath, Timing


def clock(timing: Timing) -> str:
    """A line: the clock at each corner."""
    return ", ".join(f"{corner.name.lower()} {timing.mhz(corner):.0f} MHz" for corner in Corner)


def units(timing: Timing, mhz: float) -> list[str]:
    """Lines: the clock of each unit at each corner, slowest first, and its critical path in the middle."""
    late = timing.slower(mhz)
    rows = [
        ["unit", *(f"{corner.name.lower()} MHz" for corner in Corner), "levels", "cells ns", "wires ns", f"late at {mhz:g}"]
    ]
    order = sorted(timing.worst[Corner.MIDDLE].items(), key=lambda entry: -entry[1].period)
    for unit, path in order:
        clocks = [f"{timing.worst[corner][unit].mhz:.0f}" if unit in timing.worst[corner] else "" for corner in Corner]
        rows.append([unit, *clocks, str(path.levels), _ns(path.cells), _ns(path.wires), f"{late.get(unit, 0):,}"])
    lines = aligned(rows)
    for unit, (limit, cell) in sorted(timing.limits.items()):
        lines.append(f"{unit}: a {cell} as it is set allows at most {limit:g} MHz")
    return lines


def paths(timing: Timing, most: int) -> list[str]:
    """Lines: the slowest paths in the middle, those from register to register once for all their bits."""
    return [_line(path) for path in timing.slow[:most]]


def _line(path: TimedPath) -> str:
    return (
        f"{_ns(path.period)} ns = {_ns(path.cells)} cells, {_ns(path.wires)} wires, {_ns(path.clock)} clock; "
        f"{path.levels} levels from {path.start} to {path.end}"
    )


def _ns(ps: float) -> str:
    return f"{ps / 1000:.2f}"


def nets(timing: Timing, most: int) -> list[str]:
    """Lines: the widest nets."""
    driven = {True: "a register", False: "logic or an input"}
    rows = [["net", "inputs", "driven by"]]
    rows += [[net.name, f"{net.loads:,}", driven[net.registered]] for net in timing.nets[:most]]
    return aligned(rows)


def checked(found: Sequence[Check]) -> list[str]:
    """Lines: each check, and whether it passed."""
    rows = [["check", "limit", "is", ""]]
    for check in found:
        unit = f" {check.unit}" if check.unit else ""
        values = [f"{number(round(value, 1))}{unit}" for value in (check.limit, check.value)]
        rows.append([check.name, *values, "ok" if check.passed else "REVIEW"])
    return aligned(rows)


def document(name: str, part: str, timing: Timing, found: Sequence[Check], mhz: float, rtl: str) -> dict[str, Any]:
    """All of it for JSON; nanoseconds and MHz."""
    late = timing.slower(mhz)
    return {
        "accelerator": name,
        "part": part,
        "rtl": rtl,
        "mhz": {corner.name.lower(): round(timing.mhz(corner), 1) for corner in Corner},
        "target_mhz": mhz,
        "units": {
            unit: {
                **{f"{corner.name.lower()}_mhz": round(timing.worst[corner][unit].mhz, 1) for corner in Corner},
                **_path(path),
                "late_ends": late.get(unit, 0),
            }
            for unit, path in timing.worst[Corner.MIDDLE].items()
        },
        "slowest": [_path(path) for path in timing.slow],
        "nets": [vars(net) for net in timing.nets],
        "checks": [{**vars(check), "passed": check.passed} for check in found],
    }


def _path(path: TimedPath) -> Mapping[str, Any]:
    times = {"cells_ns": path.cells, "wires_ns": path.wires, "clock_ns": path.clock, "period_ns": path.period}
    return {
        "start": path.start,
        "end": path.end,
        "unit": path.unit,
        "levels": path.levels,
        **{key: round(ps / 1000, 3) for key, ps in times.items()},
    }
