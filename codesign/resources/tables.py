"""What is known about resources, as lines of text."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from codesign.devices import COUNTED, LABELS, LIMITED, Device
from codesign.resources.configurations import macs
from codesign.resources.data import Sample
from codesign.resources.estimate import Estimate
from codesign.resources.logic_depth import Depth
from codesign.resources.model import Errors
from codesign.resources.synthesis import FAMILY, Resources
from isa.config import AcceleratorConfig

_BIT = re.compile(r"\[\d+\]")
#: What the sum of the units may differ from the whole design, in percent of each resource.
TOLERANCE = 5


def table(found: Estimate, levels: Mapping[str, int] | None = None) -> list[str]:
    """Lines: a row for each unit, the sum at the end. ``levels``: {unit name: most levels of logic}, a column if given."""
    head = ["unit", "count", "LUT each", "LUT", "of it memory", "FF", "BRAM36", "DSP48E2"]
    head += ([LABELS["uram"]] if found.total.uram else []) + (["levels"] if levels else [])
    rows = [
        [unit.name, f"{unit.count:,}", f"{one.lut:,.0f}", *_numbers(one * unit.count, found.total),
         *([str(levels.get(unit.name, 0))] if levels else [])]
        for unit, one in found.units
    ]  # fmt: skip
    rows.append(["sum", "", "", *_numbers(found.total, found.total), *([str(max(levels.values()))] if levels else [])])
    return aligned([head, *rows])


def _numbers(used, total):
    """``total``: of all units, which says whether there is a column for UltraRAM."""
    found = [f"{used.lut:,.0f}", f"{used.memory_lut:,.0f}", f"{used.ff:,.0f}", f"{used.bram36:,.1f}", f"{used.dsp:,.0f}"]
    return [*found, *([f"{used.uram:,.0f}"] if total.uram else [])]


def number(value: float) -> str:
    """``value`` with a decimal only if it has one: a RAMB18 is half a block."""
    return f"{value:,.1f}".removesuffix(".0")


def share(used: float, available: float, part: Device) -> str:
    """Text: how much of the part is used, which is known for parts of the family that is synthesised for."""
    if not available:
        return "-"
    return f"{100 * used / available:.1f} %" if part.family == FAMILY else "unknown"


def usage(found: Estimate, part: Device) -> list[str]:
    """Lines: used and available for each resource of the part."""
    rows = [["", "used", "available", "share"]]
    for name in COUNTED:
        used, available = getattr(found.total, name), getattr(part, name)
        rows.append([LABELS[name], number(used), f"{available:,}", share(used, available, part)])
    most = f"{found.total.most_lut:,.0f}"
    rows.insert(2, ["  if none at a carry chain is shared", most, "", share(found.total.most_lut, part.lut, part)])
    rows.append(["clock", "unknown", "", ""])
    rows.append(["power", "unknown", "", ""])
    return aligned(rows)


def density(found: Estimate) -> str:
    """A line: LUTs for each binary multiply-accumulate of a cycle, as synthesised, and with the units in primitives."""
    count = macs(found.config)
    return (
        f"{count:,} binary MACs a cycle: {found.total.lut / count:.2f} LUT each with everything, "
        f"{found.array.lut / count:.2f} in the array; with its units in LUT6_2 and CARRY8 "
        f"{found.total_in_primitives.lut / count:.2f} and {found.primitives.lut / count:.2f} "
        f"({found.total_in_primitives.lut:,.0f} LUT, {found.total_in_primitives.ff:,.0f} FF)"
    )


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table: the first column to the left, numbers to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))] for row in rows)
    return ["  ".join(line).rstrip() for line in lines]


def levels(depth: Depth) -> dict[str, int]:
    """{unit name: most levels of logic of a path that ends in it}"""
    found = {}
    for path in depth.paths:
        found[path.unit] = max(found.get(path.unit, 0), path.levels)
    return found


def worst(depth: Depth) -> list[str]:
    """Lines: the worst paths, those from register to register once for all their bits, and how blocks are read."""
    once = {}
    for path in depth.paths:
        once.setdefault((_BIT.sub("", path.start), _BIT.sub("", path.end)), path)
    rows = [[path.start, "to", path.end, f"{path.levels} levels"] for path in list(once.values())[:10]]
    totals = Counter()
    for (_, kind, place), count in depth.blocks.items():
        totals[kind, place] += count
    where = {"inside": "registered inside", "behind": "read by registers only", "logic": "read by logic"}
    blocks = [f"outputs of {count:,} {kind}: {where[place]}" for (kind, place), count in sorted(totals.items())]
    blocks += [
        f"  read by logic in {unit}: {count:,} {kind}"
        for (unit, kind, place), count in sorted(depth.blocks.items())
        if place == "logic"
    ]
    return ["the ten worst paths between registers", *(" ".join(row) for row in rows), "", *blocks]


def compared(total: Resources, flat: Resources, shared_lut: float) -> list[str]:
    """Lines: ``total``, the sum of the units, against the same design synthesised flat. ``shared_lut``: see
    `codesign.resources.estimate.shared_lut`; how much of the difference in LUTs is about that only."""
    found = [(LABELS[name], getattr(total, name), getattr(flat, name)) for name in LIMITED]
    found.insert(1, ("  if units shared LUTs", shared_lut, flat.lut))
    rows = [["", "sum", "whole", "difference"]]
    for label, of_units, of_flat in found:
        rows.append([label, number(of_units), number(of_flat), f"{100 * (of_units - of_flat) / max(of_flat, 1):+.1f} %"])
    return aligned(rows)


def within(total: Resources, flat: Resources) -> bool:
    """Whether each resource of ``total``, the sum of the units, is that of the whole design, give or take `TOLERANCE`."""
    pairs = ((getattr(total, name), getattr(flat, name)) for name in LIMITED)
    return all(abs(of_units - of_flat) <= TOLERANCE / 100 * of_flat for of_units, of_flat in pairs)


def predicted(config: AcceleratorConfig, part: Device, model: Resources, errors: Mapping[str, Errors]) -> list[str]:
    """Lines: prediction, available and measured error for each resource."""
    rows = [["", "predicted", "available", "share", "error"]]
    for name in COUNTED:
        used, available = getattr(model, name), getattr(part, name)
        error = str(errors[name]) if name in errors else "by rule"
        rows.append([LABELS[name], number(used), f"{available:,}", share(used, available, part), error])
    return aligned(rows)


def errors(found: Mapping[str, Errors]) -> list[str]:
    """Lines: the errors of each resource. ``found``: {resource: `codesign.resources.model.Errors`}."""
    rows = [["", "median error", "worst error", "configurations"]]
    for name, error in found.items():
        rows.append([LABELS[name], f"{error.median:.1f} %", f"{error.worst:.1f} %", str(error.count)])
    return aligned(rows)


def configurations(rows: Iterable[Sample], predict: Callable[[AcceleratorConfig], Resources]) -> list[str]:
    """Lines: each `Sample`, its resources as synthesised, and by how much ``predict`` of its configuration is off."""
    lines = [["R x C x K, D, L, A, a", "", *(word for name in LIMITED for word in (LABELS[name], "error"))]]
    for sample in rows:
        c, used, model = sample.config, sample.total, predict(sample.config)
        sizes = f"{c.rows} x {c.columns} x {c.depth}, {c.drain}, {c.row_lanes}, {c.axi_bits}, {c.accumulator_bits}"
        line = [sizes, "fitted" if sample.fitted else "held out"]
        for name in LIMITED:
            actual = getattr(used, name)
            line += [number(actual), f"{100 * (getattr(model, name) - actual) / max(actual, 1):+.1f} %"]
        lines.append(line)
    return aligned(lines)
