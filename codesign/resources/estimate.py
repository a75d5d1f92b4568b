"""Resources of a configuration by open synthesis: each unit once, times how often it occurs."""

import dataclasses
from collections import Counter
from dataclasses import dataclass, fields

from codesign.resources.logic_depth import depth
from codesign.resources.synthesis import Resources, resources_of
from codesign.resources.units import TOP, split
from formats.errors import UsageError
from hw.emit import emit
from hw.top import Accelerator
from isa.config import AcceleratorConfig, preset

#: The array and what is below it: units of dot products and the registers between operands and them.
ARRAY = f"\\{TOP}.core.qmm.array"


@dataclass(frozen=True)
class Estimate:
    """``units``: (unit, resources of one); ``total`` of all; ``array``: what the dot-product array takes of it."""

    config: AcceleratorConfig
    units: list
    total: Resources
    array: Resources


def configuration(name, changes):
    """Preset ``name`` with parameters changed, from texts like ``rows=16``. Raises UsageError."""
    try:
        config = preset(name)
    except ValueError as error:
        raise UsageError(str(error)) from None
    names = [field.name for field in fields(AcceleratorConfig)]
    values = {}
    for change in changes:
        key, _, value = change.partition("=")
        if key not in names or not value.isdigit():
            raise UsageError(f"--set takes PARAMETER=NUMBER with a parameter of {', '.join(names)}, not {change!r}")
        values[key] = int(value)
    try:
        return dataclasses.replace(config, **values)
    except ValueError as error:
        raise UsageError(f"this accelerator cannot be built: {error}") from None


def estimate(config, synthesis):
    """`Estimate` of a configuration; only units that are not in the cache are synthesised."""
    synthesis.progress("emitting Verilog")
    verilog = emit(Accelerator(config), TOP)
    units = split(verilog)
    found = list(zip(units, synthesis.run(units)))
    of_module = {unit.module: resources for unit, resources in found}
    array = sum((of_module[unit.module] * unit.count for unit in split(verilog, ARRAY)), Resources())
    total = sum((resources * unit.count for unit, resources in found), Resources())
    found.sort(key=lambda entry: (-entry[0].count * entry[1].lut, entry[0].name))
    return Estimate(config, found, total, array)


def shared_lut(found, synthesis):
    """LUTs of an `Estimate` if small ones of different units shared LUTs too, as they may in a flat design."""
    cells = Counter()
    for unit, _ in found.units:
        for name, number in synthesis.cells(unit).items():
            cells[name] += number * unit.count
    return resources_of(cells).lut


def whole(config, synthesis):
    """`Resources` of a configuration that is synthesised flat, as one unit."""
    verilog = emit(Accelerator(config), TOP)
    return synthesis.run(split(verilog, whole=True))[0]


def paths(found, synthesis):
    """`logic_depth.Depth` of an `Estimate`."""
    netlists = {unit.module.removeprefix("\\"): (unit.name, synthesis.netlist(unit)) for unit, _ in found.units}
    return depth(netlists, TOP)
