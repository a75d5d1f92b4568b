"""NORM: rows added to the residual stream and normalised, `golden.residual` and `golden.layernorm`."""

from typing import ClassVar

import numpy as np

from golden.layernorm import affine, affine_to_residual, normalise
from golden.residual import add_residual
from isa.bounds import Bounds
from isa.config import AcceleratorConfig
from isa.footprint import Access, grid, whole
from isa.instruction import Instruction, Limit, Memory, require, s, u
from isa.machine import Machine
from isa.row_operation import BITS, FIRST_ROW, ROWS, CodeOperation, codes_to


class Norm(CodeOperation):
    """To the residual memory, and as codes to either operand memory or both."""

    colour = "#6a994e"
    results = (Memory.LEFT, Memory.RIGHT)
    fields = (
        *ROWS,
        FIRST_ROW,
        *codes_to("left"),
        *codes_to("right"),
        BITS,
        u("residual_base", 16, "word address of the first row taken in the residual memory; rows are groups words apart"),
        u("constant_base", 16, "word address of group 0 in the norm memory"),
        u("rms", 1, "RMSNorm: no mean"),
        u("keep_sum", 1, "the residual becomes the sum (pre-LN), not the normalised value"),
        u("width_reciprocal", 32, "round(2^32 / columns)"),
        u("epsilon", 32, "added to columns^2 * variance, at least 1"),
        u("residual_shift", 5, "shift of the affine to the residual"),
        u("code_shift", 5, "shift of the affine to codes"),
        s("low", 9, "lower clip bound of the codes"),
        s("high", 9, "upper clip bound of the codes"),
    )

    limits: ClassVar = {"rows": Limit("limit_rows", "")}

    def check(self, i: Instruction, bounds: Bounds) -> None:
        super().check(i, bounds)
        require(i.epsilon > 0, "has epsilon 0")
        require(i.low <= i.high, f"clips to {i.low}..{i.high}")
        rounded = ((1 << 32) + i.columns // 2) // i.columns
        require(i.width_reciprocal == rounded, f"has width_reciprocal {i.width_reciprocal}, not {rounded}")

    def footprint(self, i: Instruction, config: AcceleratorConfig) -> list[Access]:
        residual = grid(i.residual_base, (i.rows * i.groups, 1))
        constants = grid(i.constant_base, (i.groups, 1))
        return [
            whole(config, Memory.RESIDUAL, residual, False),
            whole(config, Memory.RESIDUAL, residual, True),
            whole(config, Memory.NORM, constants, False),
            *super().footprint(i, config),
        ]

    def execute(self, i: Instruction, machine: Machine) -> None:
        address = i.residual_base + np.arange(i.rows)[:, None] * i.groups + np.arange(i.groups)
        stream = machine.memories[Memory.RESIDUAL][address].reshape(i.rows, -1)
        constants = machine.memories[Memory.NORM][i.constant_base + np.arange(i.groups)].reshape(-1, 4)
        parts = constants[: i.columns].astype(np.int64).T
        total, saturated = add_residual(stream[:, : i.columns], self.take_rows(i, machine)[:, : i.columns])
        normal = normalise(total, i.epsilon, bool(i.rms))
        codes = affine(normal, parts[2], parts[3], i.code_shift, i.low, i.high)
        if not i.keep_sum:
            total, clipped = affine_to_residual(normal, parts[0], parts[1], i.residual_shift)
            saturated += clipped
        machine.saturated += saturated
        wide = np.zeros_like(stream)
        wide[:, : i.columns] = total
        machine.memories[Memory.RESIDUAL][address] = wide.reshape(*address.shape, -1)
        self.write_codes(i, machine, codes)


OPERATION = Norm
