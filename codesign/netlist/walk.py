"""A design that was synthesised unit by unit, walked as one: a path may leave a unit and end in another."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from codesign.netlist.family import Arc, Bit, Cell, Driver, Family, Kind, Loads, Netlist


class Module:
    """A netlist, indexed: what drives each net and what a net is called."""

    def __init__(self, name: str, netlist: Netlist):
        self.name, self.netlist = name, netlist
        self.cells = {key: cell for key, cell in netlist["cells"].items() if not cell["type"].startswith("$")}
        self.driver: dict[Bit, tuple[str, str, int]] = {}
        self.called: dict[Bit, str] = {}
        #: What each driven net depends on, as far as somebody asked.
        self.arcs: dict[Bit, list[Arc]] = {}
        for key, cell in self.cells.items():
            for port, wires in cell["connections"].items():
                if cell["port_directions"][port] == "output":
                    self.driver.update((bit, (key, port, i)) for i, bit in enumerate(wires) if isinstance(bit, int))
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


class Instance:
    """A module in its place: the nets at its ports in the instance around it, its instances of other modules."""

    def __init__(self, name: str, module: Module, parent: "Instance | None", outside: Mapping[str, list[Bit]]):
        self.name, self.module, self.parent, self.outside = name, module, parent, outside
        self.children: dict[str, Instance] = {}


#: A net where it is driven; a net that crosses boundaries of units is one node.
Node = tuple[Instance, Bit]
#: What is counted along paths: levels, or picoseconds at each corner.
Costs = Sequence[float]


class Edge(NamedTuple):
    """That ``cell``, by one of its arcs, depends on the net ``source``."""

    source: Node
    arc: Arc
    cell: Cell


class End(NamedTuple):
    """Where a path ends: an input of a register, or an output of the design (``cell`` is None)."""

    source: Node
    instance: Instance
    name: str
    cell: Cell | None
    port: str
    place: int


class Design:
    """``modules``: {module name: (unit name, netlist)}; ``top``: the module that holds the others."""

    def __init__(self, modules: Mapping[str, tuple[str, Netlist]], top: str, family: Family):
        self.family = family
        self._modules = {module: Module(name, netlist) for module, (name, netlist) in modules.items()}
        self.instances: list[Instance] = []
        self._roots: dict[Node, Node] = {}
        self._place("", top, None, {})

    def _place(self, name, module, parent, outside):
        instance = Instance(name, self._modules[module], parent, outside)
        self.instances.append(instance)
        for key, cell in instance.module.cells.items():
            if self.family.kind(cell) is Kind.UNIT:
                inner = f"{name}.{key}" if name else key
                instance.children[key] = self._place(inner, cell["type"], instance, cell["connections"])
        return instance

    def root(self, node: Node) -> Node:
        """The node where a net is driven: by a cell, by an input of the design, or by nothing."""
        passed = []
        while node not in self._roots:
            passed.append(node)
            instance, bit = node
            driver = instance.module.driver.get(bit)
            if driver is None:
                port = instance.module.inputs.get(bit)
                if port is None or instance.parent is None or port[0] not in instance.outside:
                    break
                node = (instance.parent, instance.outside[port[0]][port[1]])
            elif child := instance.children.get(driver[0]):
                node = (child, child.module.netlist["ports"][driver[1]]["bits"][driver[2]])
            else:
                break
        found = self._roots.get(node, node)
        self._roots.update(dict.fromkeys(passed, found))
        return found

    def driver(self, root: Node) -> Driver | None:
        """The cell that drives a root; None for an input of the design or a constant."""
        found = root[0].module.driver.get(root[1])
        return None if found is None else Driver(root[0].module.cells[found[0]], found[1], found[2])

    def edges(self, root: Node) -> list[Edge]:
        """What a root depends on; [] for where a path starts."""
        instance, bit = root
        found = instance.module.driver.get(bit)
        if found is None:
            return []
        cell = instance.module.cells[found[0]]
        if bit not in instance.module.arcs:
            arcs = self.family.arcs(cell, found[1], found[2])
            instance.module.arcs[bit] = [arc for arc in arcs if isinstance(arc.bit, int)]
        roots = self._roots
        return [
            Edge(roots.get((instance, arc.bit)) or self.root((instance, arc.bit)), arc, cell)
            for arc in instance.module.arcs[bit]
        ]

    def ends(self) -> Iterator[End]:
        """Every place where paths end."""
        for instance in self.instances:
            called = instance.module.called
            for key, cell in instance.module.cells.items():
                if self.family.kind(cell) in (Kind.UNIT, Kind.LOGIC, Kind.CARRY):
                    continue
                ports = cell["port_directions"].items()
                taken = [port for port, way in ports if way == "input" and self.family.setup(cell, port) is not None]
                outputs = (bit for port, way in ports if way == "output" for bit in cell["connections"][port])
                named = next((called[bit] for bit in outputs if bit in called), key)
                for port in taken:
                    name = f"{named} ({cell['type']}.{port})"
                    for index, bit in enumerate(cell["connections"][port]):
                        if isinstance(bit, int):
                            yield End(self.root((instance, bit)), instance, name, cell, port, index)
        top = self.instances[0]
        for port, entry in top.module.netlist["ports"].items():
            for index, bit in enumerate(entry["bits"]):
                if entry["direction"] == "output" and isinstance(bit, int):
                    yield End(self.root((top, bit)), top, f"{port} (output)", None, port, index)

    def order(self, ends: "list[End]") -> list[Node]:
        """All roots that the ends depend on, each behind what it depends on itself. A loop of logic, if there were one, is
        cut somewhere."""
        seen: set[Node] = set()
        ordered: list[Node] = []
        for end in ends:
            stack: list[tuple[Node, bool]] = [(end.source, False)]
            while stack:
                node, done = stack.pop()
                if done:
                    ordered.append(node)
                elif node not in seen:
                    seen.add(node)
                    stack.append((node, True))
                    stack.extend((edge.source, False) for edge in self.edges(node) if edge.source not in seen)
        return ordered

    def longest(
        self, ordered: list[Node], start: Callable[[Node], Costs], cost: Callable[[Edge], Costs]
    ) -> tuple[dict[Node, list[float]], dict[Node, list[Edge | None]]]:
        """The most that it takes to get to each root, and the edge by which it does, None where paths start: of each of the
        costs that are counted side by side. ``start``: what it takes at a root itself, if paths start there, else zeros;
        ``cost``: of an edge."""
        reached: dict[Node, list[float]] = {}
        before: dict[Node, list[Edge | None]] = {}
        for node in ordered:
            most = list(start(node))
            by: list[Edge | None] = [None] * len(most)
            for edge in self.edges(node):
                source = reached.get(edge.source)
                if source is None:
                    continue
                for which, (passed, now) in enumerate(zip(source, cost(edge))):
                    if passed + now >= most[which]:
                        most[which], by[which] = passed + now, edge
            reached[node], before[node] = most, by
        return reached, before

    def loads(self) -> dict[Node, Loads]:
        """Inputs of cells at each root, but for those at a clock."""
        found: dict[Node, Loads] = defaultdict(Loads)
        family = self.family
        for instance in self.instances:
            local: dict[Bit, Loads] = defaultdict(Loads)
            for cell in instance.module.cells.values():
                if family.kind(cell) is Kind.UNIT:
                    continue
                for port, way in cell["port_directions"].items():
                    if way == "input" and not is_clock(port):
                        for bit in cell["connections"][port]:
                            local[bit].count += 1
                            local[bit].data += family.is_data(cell, port)
            for bit, loads in local.items():
                if isinstance(bit, int):
                    total = found[self.root((instance, bit))]
                    total.count += loads.count
                    total.data += loads.data
        return found

    def called(self, root: Node) -> str:
        """Name of a root, with the instance that it is in."""
        instance, bit = root
        name = instance.module.called.get(bit, str(bit))
        return f"{instance.name}.{name}" if instance.name else name


_CLOCKS = ("C", "CLK", "WCLK", "CLKARDCLK", "CLKBWRCLK", "CLKA", "CLKB", "CLK0", "CLK1", "CLK2", "CLK3", "WCK")


def is_clock(port: str) -> bool:
    """Whether an input of that name is a clock's, in any family."""
    return port in _CLOCKS
