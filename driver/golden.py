"""Transport to the reference: the register map in front of `program.verify.interpreter`, in place of hardware."""

from dataclasses import dataclass

import numpy as np

from driver.errors import TransportError
from driver.transport import Transport
from isa.config import AcceleratorConfig
from isa.errors import Error
from isa.instruction import INSTRUCTION_BYTES, Instruction, Opcode, Region, decode
from isa.machine import Machine
from isa.registers import ADDRESS, IDENTIFICATION, LENGTHS, REGISTERS, VERSION, Control, RegisterAccess, Status
from program.verify.interpreter import MachineError, execute

_NAME = {address: name for name, address in ADDRESS.items()}
_ACCESS = {register.name: register.access for register in REGISTERS}


class GoldenTransport(Transport):
    """An accelerator of ``config`` that computes with numpy, at once when it is started.

    It knows no time: it counts instructions and saturations only, has no watchdog, and nothing to abort.

    Parameters
    ----------
    config : isa.config.AcceleratorConfig
    memory_bytes : int
    """

    counters = ("instructions", "saturations")

    def __init__(self, config: AcceleratorConfig, memory_bytes: int = 1 << 24):
        self.config, self.memory_bytes = config, memory_bytes
        self._memory = np.zeros(memory_bytes, np.uint8)
        self._registers = {register.name: 0 for register in REGISTERS}
        self._registers |= {
            "identification": IDENTIFICATION, "version": VERSION, "configuration": config.checksum,
            "shape": _logarithms(config.rows, config.columns, config.depth, config.drain),
            "lanes": _logarithms(config.row_lanes, config.axi_bits, config.ports),
        }  # fmt: skip

    def read_register(self, address: int) -> int:
        name = self._register(address)
        return 0 if name == "control" else self._registers[name]

    def write_register(self, address: int, value: int) -> None:
        name = self._register(address)
        if name == "control":
            if value >> Control.START & 1:
                self._run()
        elif name == "interrupt":
            self._registers[name] &= ~value
        elif _ACCESS[name] is RegisterAccess.WRITE:
            self._registers[name] = value

    def read_memory(self, offset: int, size: int) -> bytes:
        self.check_range(offset, size)
        return self._memory[offset : offset + size].tobytes()

    def write_memory(self, offset: int, data: bytes) -> None:
        self.check_range(offset, len(data))
        self._memory[offset : offset + len(data)] = np.frombuffer(data, np.uint8)

    def wait(self, seconds: float) -> None:
        """Nothing to wait for: a start returns when the run has ended."""

    def close(self) -> None:
        """Nothing to release."""

    @staticmethod
    def _register(address):
        if address not in _NAME:
            raise TransportError(f"there is no register at 0x{address:03X}; see docs/registers.md")
        return _NAME[address]

    def _run(self):
        registers = self._registers
        failure, done, saturated = self._execute()
        code, instruction = failure or (Error.NONE, 0)
        registers |= {
            "status": 1 << (Status.ERROR if failure else Status.DONE), "interrupt": 1,
            "error_code": int(code), "error_instruction": instruction, "error_port": 0,
            "counter_instructions": done, "counter_saturations": saturated,
        }  # fmt: skip

    def _execute(self):
        """``((code, instruction) or None, instructions completed, residual elements saturated)``."""
        image, inputs, output = (self._region(name) for name in ("image", "input", "output"))
        instructions = _Instructions(image, self._registers["program_offset"], self._registers["program_length"])
        regions = {Region.IMAGE: image.data, Region.INPUT: inputs.data}
        machine = Machine(self.config, regions, len(output), [self._registers[name] for name in LENGTHS])
        machine.memories[None] = bytearray(output)  # only what the program stores changes
        try:
            for index in range(instructions.count):
                instruction = instructions[index]
                execute(machine, index, instruction)
                if instruction.opcode is Opcode.HALT:
                    if machine.row_buffer:
                        raise MachineError(Error.LEFTOVER, index, f"{len(machine.row_buffer)} row tiles were not taken")
                    output[:] = np.frombuffer(machine.memories[None], np.uint8)
                    return None, index + 1, machine.saturated
        except MachineError as error:
            return (error.code, error.index), error.index, machine.saturated
        except _IllegalOpcode as error:
            return (Error.ILLEGAL_OPCODE, error.index), error.index, machine.saturated
        return (Error.NO_HALT, instructions.count), instructions.count, machine.saturated

    def _region(self, name):
        """The memory from a region's base to the end, (bytes,) uint8; nothing if the base is outside."""
        base = self._registers[f"{name}_base_low"] | self._registers[f"{name}_base_high"] << 32
        return self._memory[min(base, self.memory_bytes) :]


class _IllegalOpcode(Exception):
    def __init__(self, index):
        super().__init__(index)
        self.index = index


@dataclass(frozen=True)
class _Instructions:
    """Instructions, decoded from the image when they are executed, as the hardware does."""

    image: np.ndarray
    offset: int
    count: int

    def __getitem__(self, index: int) -> Instruction:
        start = self.offset + index * INSTRUCTION_BYTES
        data = self.image[start : start + INSTRUCTION_BYTES].tobytes()
        if len(data) < INSTRUCTION_BYTES:
            raise MachineError(Error.AXI_READ, index, "it lies outside the memory")
        try:
            return decode(data)
        except ValueError:
            raise _IllegalOpcode(index) from None


def _logarithms(*numbers):
    return sum((number.bit_length() - 1) << 8 * place for place, number in enumerate(numbers))
