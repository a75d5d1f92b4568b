"""Register-to-register levels of logic of a design that was synthesised unit by unit.

A level is a LUT, a memory made of LUTs that is read, the entry into a carry chain, or a multiplier without registers;
along a carry chain and through the wide multiplexers of a slice it costs nothing more. Levels are exact for the netlist
as synthesised; how long they take, `codesign.timing` estimates.

Paths start at flip-flops, block memories, DSPs and inputs of the design, and end at those and at outputs. How many block
memories and DSPs have outputs that go through logic before they meet a register is counted besides: those are slow.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from codesign.netlist.family import Kind, Netlist, bits, number
from codesign.netlist.ultrascale_plus import UltrascalePlus
from codesign.netlist.walk import Design


@dataclass(frozen=True)
class Path:
    """``levels`` of logic from register ``start`` to register ``end``, which lies in the unit ``unit``."""

    levels: int
    start: str
    end: str
    unit: str


@dataclass(frozen=True)
class Depth:
    """``paths``: the worst one of each end register, worst first. ``blocks`` counts block memories and DSPs by unit, type
    and where their outputs are registered, "inside", "behind" (nothing but registers reads them) or "logic" (not at once):
    {("bank", "RAMB36E2", "behind"): 48}."""

    paths: list[Path]
    blocks: dict[tuple[str, str, str], int]


def depth(units: Mapping[str, tuple[str, Netlist]], top: str) -> Depth:
    """`Depth` of a design. ``units``: {module name: (unit name, netlist)}, ``top``: the module that holds the others."""
    return depth_of(Design(units, top, UltrascalePlus()))


def depth_of(design: Design) -> Depth:
    """`Depth` of a `Design`."""
    ends = list(design.ends())
    levels, before = design.longest(design.order(ends), lambda node: (0,), lambda edge: (edge.arc.levels,))
    worst = {}
    for end in ends:
        name = f"{end.instance.name}.{end.name}" if end.instance.name else end.name
        if levels[end.source][0] > worst.get(name, (-1,))[0]:
            worst[name] = (levels[end.source][0], end.source, end.instance.module.name)

    def start_of(node):
        while edge := before[node][0]:
            node = edge.source
        return node

    paths = [Path(int(found), design.called(start_of(node)), end, unit) for end, (found, node, unit) in worst.items()]
    return Depth(sorted(paths, key=lambda path: (-path.levels, path.end)), _blocks(design))


def _blocks(design):
    kind = design.family.kind
    logic = {
        design.root((instance, bit))
        for instance in design.instances
        for cell in instance.module.cells.values()
        if kind(cell) in (Kind.LOGIC, Kind.CARRY, Kind.LUTS)
        for bit in bits(cell, "input")
    }
    found = Counter()
    for instance in design.instances:
        for cell in instance.module.cells.values():
            if kind(cell) is Kind.BLOCK:
                inside = any(number(cell, name) for name in ("DOA_REG", "DOB_REG", "PREG"))
                behind = not any((instance, bit) in logic for bit in bits(cell, "output"))
                found[instance.module.name, cell["type"], "inside" if inside else "behind" if behind else "logic"] += 1
    return dict(found)
