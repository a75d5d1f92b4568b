"""STORE: rows as they are read, to external memory."""

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from codesign.cycles.row_units.passes import CHECKED, READ
from isa.instruction import Instruction
from isa.latency import SKID
from isa.memory import RESIDUAL_BITS

if TYPE_CHECKING:
    from codesign.cycles.rows import RowUnits

REQUEST = 6  #: from a STORE's request to its first data


class Store:
    def __init__(self, rows: "RowUnits"):
        self.rows = rows

    def read(self, issued: int, index: int, i: Instruction) -> Generator[Any, None, None]:
        """All of an instruction: it has no codes."""
        rows, config = self.rows, self.rows.config
        beats = config.row_lanes * RESIDUAL_BITS // config.port_bits  # through the first port
        unit, before = issued + CHECKED, rows.begun
        if before:
            while len(rows.completed) < before:
                yield rows.completed
            unit = max(unit, rows.completed[before - 1])
        reads = rows.start(issued, unit)
        last = max(unit + REQUEST, reads + 1 + READ) - 1
        bound: dict[str, int] = {}
        for row in range(i.rows):
            soonest, cause = last + 1, "store"
            if row % config.rows == 0:
                readable = yield from rows.row_tile()
                if readable + READ > soonest:
                    soonest, cause = readable + READ, "rows of the engine"
            before, last = last, soonest + i.groups * beats - 1
            bound[cause] = bound.get(cause, 0) + last - before
            if row % config.rows == config.rows - 1 or row == i.rows - 1:
                rows.release(last - READ)
        end = last + SKID + rows.latency + 3
        bound["memory latency"] = bound.get("memory latency", 0) + end - last
        rows.passes.post((index, self, (end, bound)))

    def write(self, index: int, done: Any) -> Generator[Any, None, None]:
        """Its end, in its turn."""
        yield from ()
        self.rows.complete(index, *done)


UNIT = Store
