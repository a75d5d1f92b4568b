"""The interpreter: a program on modelled memories, instruction by instruction, each as `isa.instructions` says."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from isa.errors import Error
from isa.instruction import Instruction, Region, operation
from isa.machine import Fault, Machine
from isa.resolve import resolve
from program.memory_image import unpack_symbol
from program.program import Program


class MachineError(ValueError):
    """What the hardware reports as an error: its code and the index of the instruction."""

    def __init__(self, code: Error, index: int, message: str):
        super().__init__(f"instruction {index}: {message}")
        self.code, self.index = code, index


class Result(NamedTuple):
    """All tensors by the names of ``program.symbols``, and the number of saturated residual elements."""

    tensors: dict[str, np.ndarray]
    saturated: int


def run(program: Program, input_data: bytes, lengths: Sequence[int]) -> Result:
    """Run on inputs packed by `memory_image.pack_batch`, one of each length, at least 1. Raises MachineError."""
    machine = Interpreter(program, input_data, lengths)
    tensors: dict[str, np.ndarray] = {}
    ready: dict[int, list[str]] = {}
    for name, symbol in program.symbols.items():
        if symbol.sample >= len(lengths):
            continue
        ready.setdefault(symbol.ready, []).append(name)
    for index in range(len(program.instructions)):
        machine.step(index)
        tensors |= {name: unpack_symbol(program, name, machine.memories, lengths) for name in ready.get(index, ())}
    return Result(tensors, machine.saturated)


class Interpreter(Machine):
    """A machine that executes ``program`` in its order, which one without hazards cannot tell from the hardware.

    ``memories`` is as `memory_image.unpack_symbol` takes it.
    """

    def __init__(self, program: Program, input_data: bytes, lengths: Sequence[int]):
        regions = {Region.IMAGE: program.image, Region.INPUT: bytes(input_data)}
        super().__init__(program.config, regions, program.output_bytes, lengths)
        self.program = program

    def step(self, index: int) -> None:
        """Execute one instruction."""
        execute(self, index, self.program.instructions[index])


def execute(machine: Machine, index: int, instruction: Instruction) -> None:
    """Execute an instruction, the one at ``index`` of its program. Raises MachineError."""
    try:
        resolved = resolve(instruction, machine.lengths, machine.config)
        if resolved is not None:
            operation(resolved.opcode).execute(resolved, machine)
    except Fault as fault:
        raise MachineError(fault.code, index, str(fault)) from None
    except IndexError as error:
        raise MachineError(Error.ADDRESS_RANGE, index, f"an address is outside its memory ({error})") from None
