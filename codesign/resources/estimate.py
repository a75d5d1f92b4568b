"""Resources of a configuration by open synthesis: each unit once, times how often it occurs."""

from collections import Counter
from dataclasses import dataclass

from codesign.resources.logic_depth import Depth, depth
from codesign.resources.synthesis import Resources, Synthesis, resources_of
from codesign.resources.units import TOP, Unit, split
from hw.emit import emit
from hw.engine.dpu import Border, Dpu, unit_module
from hw.engine.dpu_ultrascale import Ultrascale
from hw.top import Top
from isa.config import AcceleratorConfig

#: The array and what is below it: units of dot products and the registers between operands and them.
ARRAY = f"\\{TOP}.core.qmm.array"


@dataclass(frozen=True)
class Estimate:
    """``units``: (unit, resources of one); ``total`` of all; ``array``: what the dot-product array takes of it;
    ``primitives``: what it takes with its units in LUT6_2 and CARRY8, as with ``bittern verilog --mapping ultrascale``."""

    config: AcceleratorConfig
    units: list[tuple[Unit, Resources]]
    total: Resources
    array: Resources
    primitives: Resources

    @property
    def total_in_primitives(self) -> Resources:
        """Of all, with the array's units in primitives."""
        return self.total + self.array * -1 + self.primitives


def estimate(config: AcceleratorConfig, synthesis: Synthesis) -> Estimate:
    """`Estimate` of a configuration; only units that are not in the cache are synthesised."""
    synthesis.progress("emitting Verilog")
    verilog = emit(Top(config), TOP)
    units = split(verilog)
    others = _in_primitives(config)
    resources = synthesis.run([*units, *others.values()])
    found = list(zip(units, resources))
    of_module = {unit.module: one for unit, one in found}
    of_array = split(verilog, ARRAY)
    array = sum((of_module[unit.module] * unit.count for unit in of_array), Resources())
    of_module |= dict(zip(others, resources[len(units) :]))
    primitives = sum((of_module[unit.module] * unit.count for unit in of_array), Resources())
    total = sum((resources * unit.count for unit, resources in found), Resources())
    found.sort(key=lambda entry: (-entry[0].count * entry[1].lut, entry[0].name))
    return Estimate(config, found, total, array, primitives)


def _in_primitives(config):
    """The units of the array in primitives, by the names of the modules that they stand for."""
    found = {}
    for component in (Dpu, Border):
        module = unit_module(component, config.depth, config.accumulator_bits)
        text = emit(component(config.depth, config.accumulator_bits, Ultrascale), module + Ultrascale.suffix)
        (found[module],) = split(text, module + Ultrascale.suffix)
    return found


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
