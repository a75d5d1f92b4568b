"""Register-to-register levels of logic of a design that was synthesised unit by unit.

The netlists of the units are walked as one: a path may leave a unit and end in another. A level is a LUT, a memory made of
LUTs that is read, or the entry into a carry chain; along a carry chain and through the wide multiplexers of a slice it
costs nothing more. Levels are exact for the netlist as synthesised; how long one takes only place and route can say.

Paths start at flip-flops, block memories, DSPs and inputs of the design, and end at those and at outputs. How many block
memories and DSPs have outputs that go through logic before they meet a register is counted besides: those are slow.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_WIDE = ("MUXF7", "MUXF8", "MUXF9")
_CARRY = ("CARRY4", "CARRY8")
_CLOCKS = ("C", "CLK", "WCLK", "CLKARDCLK", "CLKBWRCLK")


#: Cells, nets and ports of a module, as Yosys' JSON describes it.
Netlist = Mapping[str, Any]


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


class _Instance:
    """A unit in its place: its netlist, the bits of its ports in the instance around it, its instances of other units."""

    def __init__(self, name, unit, parent, outside):
        self.name, self.unit, self.parent, self.outside = name, unit, parent, outside
        self.children = {}


class _Unit:
    """A netlist, indexed: what drives each bit and what a bit is called."""

    def __init__(self, name, netlist):
        self.name, self.netlist = name, netlist
        self.cells = {key: cell for key, cell in netlist["cells"].items() if not cell["type"].startswith("$")}
        self.driver, self.called = {}, {}
        for key, cell in self.cells.items():
            for port, bits in cell["connections"].items():
                if cell["port_directions"][port] == "output":
                    self.driver.update((bit, (key, port, i)) for i, bit in enumerate(bits) if isinstance(bit, int))
        self.inputs = {
            bit: (port, i)
            for port, entry in netlist["ports"].items()
            for i, bit in enumerate(entry["bits"])
            if entry["direction"] == "input"
        }
        for net, entry in netlist["netnames"].items():
            for i, bit in enumerate(entry["bits"]):
                name = f"{net}[{i}]" if len(entry["bits"]) > 1 else net
                if isinstance(bit, int) and _rank(name) < _rank(self.called.get(bit)):
                    self.called[bit] = name


def _rank(name):
    """Names that a person gave first, then short ones."""
    return (2, 0) if name is None else (name.startswith("$") or ".$" in name, len(name))


def _bits(cell, direction):
    """Nets at all inputs, or outputs, of a cell; not the constants."""
    bits = (wires for port, wires in cell["connections"].items() if cell["port_directions"][port] == direction)
    return [bit for wires in bits for bit in wires if isinstance(bit, int)]


def _kind(cell):
    """One of logic, carry, luts (memory of LUTs), block, register or unit."""
    name = cell["type"]
    if name.startswith(("LUT", "BUFG")) or name == "INV" or name in _WIDE:
        return "logic"
    if name in _CARRY:
        return "carry"
    if name.startswith(("RAMB", "DSP48", "URAM")):
        return "block"
    if name.startswith(("RAM", "SRL")):
        return "luts"
    return "register" if name.startswith("FD") else "unit"


def _arcs(cell, port, i):
    """Bits on which output bit ``i`` of ``port`` depends within the cycle, with the levels between."""
    kind, wires = _kind(cell), cell["connections"]
    if kind == "logic":
        cost = 0 if cell["type"] in _WIDE or cell["type"].startswith("BUFG") else 1
        if cell["type"] == "LUT6_2":
            return [(wires[f"I{k}"][0], 1) for k in range(6) if _depends(cell, port, k)]
        return [(bit, cost) for bit in _bits(cell, "input")]
    if kind == "carry":
        # A sum bit does not pass through its own carry multiplexer.
        entries = [(bit, 1) for bit in wires["S"][: i + 1] + wires["DI"][: i + (port != "O")]]
        return entries + [(bit, 0) for name in ("CI", "CYINIT", "CI_TOP") for bit in wires.get(name, [])]
    if kind == "luts":
        return [(bit, 1) for bit in _read_address(cell, port)]
    return []


def _depends(cell, port, k):
    """Whether an output of a LUT6_2, which is two LUTs over the same inputs, is a function of input ``k``."""
    if port == "O5" and k == 5:
        return False
    table = int(cell["parameters"]["INIT"], 2)
    rows = range(32 if port == "O5" else 64)
    constant = {i: bit for i in range(6) if (bit := cell["connections"][f"I{i}"][0]) in ("0", "1")}
    reached = [row for row in rows if all(str(row >> i & 1) == bit for i, bit in constant.items() if i < 5 or port == "O6")]
    return any((table >> row ^ table >> (row ^ 1 << k)) & 1 for row in reached)


def _read_address(cell, port):
    wires, name = cell["connections"], cell["type"]
    if port in ("DPO", "SPO"):
        return wires.get("DPRA" if port == "DPO" else "A") or [
            bits[0] for key, bits in wires.items() if key.startswith("DPRA" if port == "DPO" else "A") and key[-1].isdigit()
        ]
    if name.startswith("SRL"):
        fixed = port in ("Q15", "Q31")
        return [] if fixed else wires.get("A") or [wires[f"A{i}"][0] for i in range(4)]
    if port.startswith("DO"):
        return wires[f"ADDR{port[2:]}"]
    return [bit for key, bits in wires.items() if key.startswith("A") for bit in bits]


class _Walk:
    def __init__(self, units, top):
        self.units = units
        self.level, self.before = {}, {}
        self.instances = []
        self._place("", top, None, {})

    def _place(self, name, unit, parent, outside):
        instance = _Instance(name, self.units[unit], parent, outside)
        self.instances.append(instance)
        for key, cell in instance.unit.cells.items():
            if _kind(cell) == "unit":
                inner = f"{name}.{key}" if name else key
                instance.children[key] = self._place(inner, cell["type"], instance, cell["connections"])
        return instance

    def _sources(self, node):
        """(node, levels) on which a node depends; [] for where a path starts."""
        instance, bit = node
        if not isinstance(bit, int):
            return []
        driver = instance.unit.driver.get(bit)
        if driver is None:
            port = instance.unit.inputs.get(bit)
            if port is None or instance.parent is None or port[0] not in instance.outside:
                return []
            return [((instance.parent, instance.outside[port[0]][port[1]]), 0)]
        key, port, i = driver
        if child := instance.children.get(key):
            return [((child, child.unit.netlist["ports"][port]["bits"][i]), 0)]
        arcs = _arcs(instance.unit.cells[key], port, i)
        return [((instance, source), cost) for source, cost in arcs if isinstance(source, int)]

    def levels_to(self, node):
        """Most levels from any start to the node."""
        level, before = self.level, self.before
        stack = [(node, None)]
        while stack:
            node, sources = stack.pop()
            if sources is None:
                if node not in level:
                    sources = self._sources(node)
                    level[node] = 0  # what a loop of logic, if there were one, would see
                    stack.append((node, sources))
                    stack.extend((source, None) for source, _ in sources if source not in level)
            elif sources:
                reached = ((level[source] + cost, source) for source, cost in sources)
                level[node], before[node] = max(reached, key=lambda pair: pair[0])
        return level[node]

    def origin(self, node):
        """The node without the boundaries of units before it."""
        while (sources := self._sources(node)) and self._leaves(node):
            node = sources[0][0]
        return node

    def _leaves(self, node):
        driver = node[0].unit.driver.get(node[1])
        return driver is None or driver[0] in node[0].children

    def called(self, node):
        instance, bit = node
        name = instance.unit.called.get(bit, str(bit))
        return f"{instance.name}.{name}" if instance.name else name

    def start_of(self, node):
        while self.before.get(node) is not None:
            node = self.before[node]
        return node


def _ends(instance):
    """(node, name of the register or pin) of each place in an instance where paths end."""
    for key, cell in instance.unit.cells.items():
        kind = _kind(cell)
        if kind not in ("register", "block", "luts"):
            continue
        named = next((instance.unit.called[bit] for bit in _bits(cell, "output") if bit in instance.unit.called), key)
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "input" and port not in _CLOCKS:
                yield from (((instance, bit), f"{named} ({cell['type']}.{port})") for bit in bits if isinstance(bit, int))
    if instance.parent is None:
        for port, entry in instance.unit.netlist["ports"].items():
            if entry["direction"] == "output":
                yield from (((instance, bit), f"{port} (output)") for bit in entry["bits"])


def depth(units: Mapping[str, tuple[str, Netlist]], top: str) -> Depth:
    """`Depth` of a design. ``units``: {module name: (unit name, netlist)}, ``top``: the module that holds the others."""
    indexed = {module: _Unit(name, netlist) for module, (name, netlist) in units.items()}
    walk = _Walk(indexed, top)
    worst = {}
    for instance in walk.instances:
        for node, name in _ends(instance):
            levels = walk.levels_to(node)
            end = f"{instance.name}.{name}" if instance.name else name
            if levels is not None and levels > worst.get(end, (-1,))[0]:
                worst[end] = (levels, node, instance.unit.name)
    paths = [Path(levels, walk.called(walk.start_of(node)), end, unit) for end, (levels, node, unit) in worst.items()]
    return Depth(sorted(paths, key=lambda path: (-path.levels, path.end)), _blocks(walk))


def _blocks(walk):
    logic = {
        walk.origin((instance, bit))
        for instance in walk.instances
        for cell in instance.unit.cells.values()
        if _kind(cell) in ("logic", "carry", "luts")
        for bit in _bits(cell, "input")
    }
    found = Counter()
    for instance in walk.instances:
        for cell in instance.unit.cells.values():
            if _kind(cell) == "block":
                inside = any(int(cell["parameters"].get(name, "0"), 2) for name in ("DOA_REG", "DOB_REG", "PREG"))
                behind = not any((instance, bit) in logic for bit in _bits(cell, "output"))
                found[instance.unit.name, cell["type"], "inside" if inside else "behind" if behind else "logic"] += 1
    return dict(found)
