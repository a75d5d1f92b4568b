"""STORE: rows to external memory, 16 bit an element."""

from typing import ClassVar

from isa.bounds import Bounds, check_external
from isa.instruction import Instruction, Limit, Region, require
from isa.instructions.load import EXTERNAL
from isa.machine import Machine
from isa.row_operation import ROWS, RowOperation


class Store(RowOperation):
    """Rows one after another, padding included."""

    colour = "#bc4749"
    fields = (*ROWS, *EXTERNAL)

    limits: ClassVar = {"rows": Limit("limit_rows", "")}

    def check(self, i: Instruction, bounds: Bounds) -> None:
        super().check(i, bounds)
        require(i.region == Region.OUTPUT, f"writes region {i.region}, not OUTPUT")
        check_external(bounds, i.region, i.offset, i.rows * i.groups * bounds.config.row_lanes * 2)

    def execute(self, i: Instruction, machine: Machine) -> None:
        machine.store(i.offset, self.take_rows(i, machine).astype("<i2").tobytes())


OPERATION = Store
