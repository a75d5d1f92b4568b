"""What a family of parts makes of a netlist's cells: which input an output depends on, and how long that takes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any, NamedTuple, Protocol

#: A cell, or the netlist of a module (cells, nets, ports), as Yosys' JSON describes it.
Cell = Mapping[str, Any]
Netlist = Mapping[str, Any]
#: A net within a module, or a constant: "0", "1", "x".
Bit = int | str


class Kind(Enum):
    """What a cell is for a path that meets it."""

    LOGIC = "logic"
    CARRY = "carry"
    #: Memory made of LUTs, shift registers too.
    LUTS = "luts"
    #: Block memory or multiplier.
    BLOCK = "block"
    REGISTER = "register"
    #: An instance of another module.
    UNIT = "unit"


class Corner(IntEnum):
    """How kindly what only place and route can know is judged. An index into delays."""

    OPTIMISTIC = 0
    MIDDLE = 1
    PESSIMISTIC = 2


#: Picoseconds at each `Corner`.
Delays = Sequence[float]


def always(ps: float) -> Delays:
    """The same delay at each corner."""
    return (ps, ps, ps)


class Arc(NamedTuple):
    """That an output depends on input ``place`` of ``port``, where net ``bit`` is: so many levels and picoseconds."""

    bit: Bit
    port: str
    place: int
    levels: int
    ps: Delays


class Driver(NamedTuple):
    """Output ``place`` of ``port`` of a cell, from which a net comes."""

    cell: Cell
    port: str
    place: int


@dataclass
class Loads:
    """How many inputs a net has: in all, and those at data inputs of registers."""

    count: int = 0
    data: int = 0


class Entry(NamedTuple):
    """How a net enters a cell: picoseconds at each corner, and whether it comes through general routing, whose delay
    comes on top, or by a wire of its own."""

    ps: Delays
    routed: bool


class Family(Protocol):
    """Cells of one family. Delays are picoseconds; None says that there is no such thing."""

    def kind(self, cell: Cell) -> Kind: ...

    def arcs(self, cell: Cell, port: str, index: int) -> Iterable[Arc]:
        """What output ``index`` of ``port`` depends on within a cycle."""
        ...

    def launch(self, cell: Cell, port: str, index: int) -> float | None:
        """From the clock to an output, where that is one at which paths start."""
        ...

    def setup(self, cell: Cell, port: str) -> float | None:
        """How long before the clock an input must be there, if paths end at it."""
        ...

    def entry(self, driver: Driver | None, loads: Loads, cell: Cell, port: str, index: int) -> Entry:
        """How a net of ``driver`` (None: an input of the design) enters input ``index`` of ``port``."""
        ...

    def is_data(self, cell: Cell, port: str) -> bool:
        """Whether an input is the data input of a register."""
        ...

    def limit(self, cell: Cell) -> float | None:
        """MHz that a block allows at most, as it is set, beyond what its paths say."""
        ...

    #: An input of the design, as if a register outside drove it; an output, as if one took it.
    outside_launch: float
    outside_setup: float
    #: MHz that the clock tree allows.
    clock_tree: float


def bits(cell: Cell, direction: str) -> list[int]:
    """Nets at all inputs, or outputs, of a cell; not the constants."""
    wires = (wires for port, wires in cell["connections"].items() if cell["port_directions"][port] == direction)
    return [bit for bits in wires for bit in bits if isinstance(bit, int)]


def inputs(cell: Cell, ports: Iterable[str]) -> Iterable[tuple[Bit, str, int]]:
    """(net, port, index) of the named inputs that a cell has."""
    for port in ports:
        for index, bit in enumerate(cell["connections"].get(port, ())):
            yield bit, port, index


def number(cell: Cell, name: str) -> int:
    """A parameter that Yosys writes as a binary number; 0 where the cell lacks it."""
    return int(cell["parameters"].get(name, "0"), 2)
