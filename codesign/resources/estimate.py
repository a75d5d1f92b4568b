"""Resources of a configuration by open synthesis: each unit once, times how often it occurs."""

from collections import Counter
from dataclasses import dataclass

from codesign.resources.logic_depth import Depth, depth
from codesign.resources.synthesis import Resources, Synthesis, resources_of
from codesign.resources.units import TOP, Unit, split
from hw.emit import emit
from hw.top import Top
from isa.config import AcceleratorConfig

#: The array and what is below it: units of dot products and the registers between operands and them.
ARRAY = f"\\{TOP}.core.qmm.array"


@dataclass(frozen=True)
class Estimate:
    """``units``: (unit, resources of one); ``total`` of all; ``array``: what the dot-product array takes of it."""

    config: AcceleratorConfig
    units: list[tuple[Unit, Resources]]
    total: Resources
    array: Resources


def estimate(config: AcceleratorConfig, synthesis: Synthesis) -> Estimate:
    """`Estimate` of a configuration; only units that are not in the cache are synthesised."""
    synthesis.progress("emitting Verilog")
    verilog = emit(Top(config), TOP)
    units = split(verilog)
    found = list(zip(units, synthesis.run(units)))
    of_module = {unit.module: resources for unit, resources in found}
    array = sum((of_module[unit.module] * unit.count for unit in split(verilog, ARRAY)), Resources())
    total = sum((resources * unit.count for unit, resources in found), Resources())
    found.sort(key=lambda entry: (-entry[0].count * entry[1].lut, entry[0].name))
    return Estimate(config, found, total, array)


def shared_lut(found: Estimate, synthesis: Synthesis) -> float:
    """LUTs of an `Estimate` if small ones of different units shared LUTs too, as they may in a flat design."""
    cells = Counter()
    for unit, _ in found.units:
        for name, number in synthesis.cells(unit).items():
            cells[name] += number * unit.count
    return resources_of(cells).lut


def whole(config: AcceleratorConfig, synthesis: Synthesis) -> Resources:
    """`Resources` of a configuration that is synthesised flat, as one unit."""
    verilog = emit(Top(config), TOP)
    return synthesis.run(split(verilog, whole=True))[0]


def paths(found: Estimate, synthesis: Synthesis) -> Depth:
    """`logic_depth.Depth` of an `Estimate`."""
    netlists = {unit.module.removeprefix("\\"): (unit.name, synthesis.netlist(unit)) for unit, _ in found.units}
    return depth(netlists, TOP)
