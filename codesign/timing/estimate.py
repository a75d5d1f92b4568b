"""The clock of a design that was synthesised: its netlist with the delays of its family, and wires as a placer lays them."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from codesign.netlist.family import Cell, Corner, Driver, Kind, Loads
from codesign.netlist.walk import Design, Edge, End, Node, is_clock
from codesign.timing.wires import Routing

#: Picoseconds of a cycle that skew and jitter of the clock take at each corner: a judgement.
CLOCK = (0.0, 50.0, 100.0)
_BIT = re.compile(r"\[\d+\]")


@dataclass(frozen=True)
class TimedPath:
    """From the clock edge at register ``start`` to the one at ``end``, in the unit ``unit``: picoseconds in cells, set-up
    and launch included, in wires, and of the clock."""

    start: str
    end: str
    unit: str
    levels: int
    cells: float
    wires: float
    clock: float

    @property
    def period(self) -> float:
        return self.cells + self.wires + self.clock

    @property
    def mhz(self) -> float:
        return 1e6 / self.period


@dataclass(frozen=True)
class WideNet:
    """A net with many inputs. ``registered``: a register drives it."""

    name: str
    loads: int
    registered: bool


@dataclass(frozen=True)
class Timing:
    """What the netlist says.

    ``worst``: the slowest path of each unit at each `Corner`; ``slow``: the slowest of all in the middle. ``periods``: how
    many ends there are of each unit and period in the middle, in steps of 10 ps; ``levels``: and behind how many levels.
    ``limits``: {unit: (MHz, cell type)} of blocks that allow no more; ``clock_tree``: MHz. ``nets``: widest first.
    ``control_sets``: different clock, enable and reset of registers. ``mean_fanout``: of all nets.
    """

    worst: dict[Corner, dict[str, TimedPath]]
    slow: list[TimedPath]
    periods: Counter[tuple[str, int]]
    levels: Counter[tuple[str, int]]
    limits: dict[str, tuple[float, str]]
    nets: list[WideNet]
    control_sets: int
    mean_fanout: float
    clock_tree: float

    def mhz(self, corner: Corner) -> float:
        """The clock at a corner: the slowest unit's, or what a block allows."""
        paths = min(path.mhz for path in self.worst[corner].values())
        return min([paths, self.clock_tree, *(limit for limit, _ in self.limits.values())])

    def slower(self, mhz: float) -> dict[str, int]:
        """{unit: ends that the middle has later than a clock of ``mhz`` allows}, without those that have none."""
        found: Counter[str] = Counter()
        for (unit, period), count in self.periods.items():
            if period * 10 > 1e6 / mhz:
                found[unit] += count
        return dict(found)

    def deeper(self, levels: int) -> dict[str, int]:
        """{unit: ends behind more levels of logic}, without those that have none."""
        found: Counter[str] = Counter()
        for (unit, deep), count in self.levels.items():
            if deep > levels:
                found[unit] += count
        return dict(found)


@dataclass
class _Delays:
    """Delays of a design's edges and ends at all corners."""

    design: Design
    routing: Routing
    loads: Mapping[Node, Loads]
    drivers: dict[Node, Driver | None] = field(default_factory=dict)
    routed: dict[tuple[Corner, int], float] = field(default_factory=dict)
    known: dict[tuple[object, ...], list[float]] = field(default_factory=dict)

    def launch(self, node: Node) -> tuple[float, ...]:
        """Picoseconds at which a root starts, at each corner, and no levels."""
        driver = self.driver(node)
        family = self.design.family
        found = family.outside_launch if driver is None else family.launch(driver.cell, driver.port, driver.place)
        return (*((found or 0.0,) * len(Corner)), 0.0)

    def driver(self, node: Node) -> Driver | None:
        if node not in self.drivers:
            self.drivers[node] = self.design.driver(node)
        return self.drivers[node]

    def wire(self, source: Node, cell: Cell | None, port: str, index: int) -> tuple[list[float], list[float]]:
        """Picoseconds of a net into an input, at each corner: of the cell's own, and through general routing."""
        loads = self.loads[source]
        if cell is None:
            return [0.0] * 3, [self.through(corner, loads.count) for corner in Corner]
        entry = self.design.family.entry(self.driver(source), loads, cell, port, index)
        routed = [self.through(corner, loads.count) if entry.routed else 0.0 for corner in Corner]
        return list(entry.ps), routed

    def through(self, corner: Corner, fanout: int) -> float:
        key = (corner, fanout)
        if key not in self.routed:
            self.routed[key] = self.routing.delay(corner, fanout)
        return self.routed[key]

    def of(self, edge: Edge) -> list[float]:
        """Picoseconds of an edge at each corner, and its levels. Instances of a module share its cells and arcs, so most
        edges are equal."""
        loads, driver = self.loads[edge.source], self.driver(edge.source)
        key = (id(edge.arc), loads.count, loads.data, None if driver is None else (id(driver.cell), driver.port))
        if key not in self.known:
            own, routed = self.wire(edge.source, edge.cell, edge.arc.port, edge.arc.place)
            self.known[key] = [*(sum(parts) for parts in zip(own, routed, edge.arc.ps)), float(edge.arc.levels)]
        return self.known[key]

    def setup(self, end: End) -> float:
        family = self.design.family
        found = family.outside_setup if end.cell is None else family.setup(end.cell, end.port)
        return found or 0.0


def time(design: Design, routing: Routing) -> Timing:
    """`Timing` of a design."""
    ends = list(design.ends())
    loads = design.loads()
    delays = _Delays(design, routing, loads)
    ordered = design.order(ends)
    arrived, before = design.longest(ordered, delays.launch, delays.of)
    latest: dict[Corner, dict[str, tuple[float, End]]] = {corner: {} for corner in Corner}
    each: dict[tuple[str, str], tuple[float, End]] = {}
    periods: Counter[tuple[str, int]] = Counter()
    levels: Counter[tuple[str, int]] = Counter()
    for end in ends:
        unit = end.instance.module.name
        own, routed = delays.wire(end.source, end.cell, end.port, end.place)
        for corner in Corner:
            period = arrived[end.source][corner] + own[corner] + routed[corner] + delays.setup(end) + CLOCK[corner]
            if period > latest[corner].get(unit, (0.0,))[0]:
                latest[corner][unit] = (period, end)
            if corner is Corner.MIDDLE:
                periods[unit, -int(-period // 10)] += 1
                levels[unit, int(arrived[end.source][-1])] += 1
                name = (_BIT.sub("", design.called(end.source)), _BIT.sub("", end.name))
                if period > each.get(name, (0.0,))[0]:
                    each[name] = (period, end)
    slowest = sorted(each.values(), key=lambda found: -found[0])
    return Timing(
        worst={
            corner: {unit: _path(delays, before, end, corner) for unit, (_, end) in found.items()}
            for corner, found in latest.items()
        },
        slow=_once([_path(delays, before, end, Corner.MIDDLE) for _, end in slowest[:2000]])[:40],
        periods=periods,
        levels=levels,
        limits=_limits(design),
        nets=_widest(design, loads),
        control_sets=_control_sets(design),
        mean_fanout=sum(one.count for one in loads.values()) / max(len(loads), 1),
        clock_tree=design.family.clock_tree,
    )


def _path(delays, before, end, corner):
    own, routed = delays.wire(end.source, end.cell, end.port, end.place)
    cells, wires = own[corner] + delays.setup(end), routed[corner]
    levels, node = 0, end.source
    while edge := before[node][corner]:
        own, routed = delays.wire(edge.source, edge.cell, edge.arc.port, edge.arc.place)
        cells, wires, levels = cells + own[corner] + edge.arc.ps[corner], wires + routed[corner], levels + edge.arc.levels
        node = edge.source
    name = f"{end.instance.name}.{end.name}" if end.instance.name else end.name
    cells += delays.launch(node)[corner]
    return TimedPath(delays.design.called(node), name, end.instance.module.name, levels, cells, wires, CLOCK[corner])


def _once(paths):
    """Those from register to register once for all their bits."""
    found = {}
    for path in paths:
        found.setdefault((_BIT.sub("", path.start), _BIT.sub("", path.end)), path)
    return list(found.values())


def _limits(design):
    found: dict[str, tuple[float, str]] = {}
    for instance in design.instances:
        for cell in instance.module.cells.values():
            limit = design.family.limit(cell) if design.family.kind(cell) is Kind.BLOCK else None
            if limit is not None and limit < found.get(instance.module.name, (limit + 1,))[0]:
                found[instance.module.name] = (limit, cell["type"])
    return found


def _widest(design, loads):
    driven = ((node, one) for node, one in loads.items() if isinstance(node[1], int))
    order = sorted(driven, key=lambda entry: -entry[1].count)[:25]
    nets = []
    for node, one in order:
        driver = design.driver(node)
        registered = driver is not None and design.family.kind(driver.cell) is Kind.REGISTER
        nets.append(WideNet(design.called(node), one.count, registered))
    return nets


def _control_sets(design):
    """A slice's registers share clock, enable and reset: how many different sets there are."""
    found = set()
    for instance in design.instances:
        for cell in instance.module.cells.values():
            if design.family.kind(cell) is Kind.REGISTER:
                control = [port for port in cell["connections"] if port not in ("D", "DI", "M", "Q") and not is_clock(port)]
                nets = (cell["connections"][port][0] for port in sorted(control))
                found.add((cell["type"], *(design.root((instance, bit)) if isinstance(bit, int) else bit for bit in nets)))
    return len(found)
