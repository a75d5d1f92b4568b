"""Compares everything the RTL computes with the reference, at the moment it is computed."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from isa.instruction import Memory, Opcode
from isa.memory import word_bits
from isa.resolve import resolve
from program.memory_image import unpack_symbol
from program.program import Program, sample_name
from sim.simulation import Simulation


class Difference(NamedTuple):
    """The first element that differs: which instruction made it, where it is, what it should be."""

    instruction: int
    instruction_name: str
    tensor: str
    coordinates: tuple[int, ...]
    expected: int
    got: int

    def __str__(self) -> str:
        where = ", ".join(map(str, self.coordinates))
        return (
            f"instruction {self.instruction} ({self.instruction_name}): {self.tensor}[{where}] is {self.got}, "
            f"expected {self.expected}"
        )


class Comparison:
    """Looks into one run on a `sim.simulation.Simulation`; pass `completed` to `sim.watch.watch` as ``on_completed``.

    Tensors are compared when the instruction that makes them has completed, weights when they have been loaded:
    so whatever goes wrong is named where it first shows.

    Parameters
    ----------
    simulation : Simulation
    program : program.program.Program
        As it should be, whatever is loaded.
    expected : sequence of dict
        All tensors of each sample, from `golden.encoder.encode`; those of samples beyond are not compared.
    lengths : sequence of int
        Of the samples.
    """

    def __init__(
        self, simulation: Simulation, program: Program, expected: Sequence[Mapping[str, Any]], lengths: Sequence[int]
    ):
        self._simulation, self.program, self.lengths = simulation, program, lengths
        self.expected = {
            sample_name(program.batch, sample, name): tensor
            for sample, tensors in enumerate(expected)
            for name, tensor in tensors.items()
        }
        #: Tensors compared so far.
        self.count = 0
        #: The difference at the earliest instruction, or None.
        self.first: Difference | None = None
        self._ready: dict[int, list[str]] = {}
        for name, symbol in self.program.symbols.items():
            if symbol.memory is not None and name in self.expected:
                self._ready.setdefault(symbol.ready, []).append(name)

    def completed(self, index: int) -> None:
        """Look at what instruction ``index`` has written."""
        instruction = resolve(self.program.instructions[index], self.lengths, self.program.config)
        if instruction is not None and instruction.opcode is Opcode.LOAD:
            self._check_load(index, instruction)
        for name in self._ready.get(index, ()):
            symbol = self.program.symbols[name]
            memory = _Window(self._simulation, symbol.memory)
            got = unpack_symbol(self.program, name, {symbol.memory: memory}, self.lengths)
            self._check(index, name, self.expected[name], got)

    def finished(self, logits: np.ndarray) -> None:
        """Compare the outputs, (samples, ...); the index is that of the instruction that stored them."""
        for sample, got in enumerate(logits):
            name = sample_name(self.program.batch, sample, "logits")
            self._check(self.program.symbols[name].ready, name, self.expected[name], got)

    def _check_load(self, index, instruction):
        memory = Memory(instruction.memory)
        if instruction.region != 0 or memory not in (Memory.LEFT, Memory.RIGHT, Memory.RESIDUAL):
            return
        c = self.program.config
        width = word_bits(c, memory) // 8
        size = instruction.beats * c.axi_bits // 8
        words = -(-size // width)
        got = self._simulation.dump(memory, instruction.address, words).view(np.uint8).reshape(-1)[:size]
        expected = np.frombuffer(self.program.image, np.uint8, size, instruction.offset)
        bits = np.unpackbits(np.stack([expected, got]), axis=1, bitorder="little").reshape(
            2, -1, 8 * width if size % width == 0 else 8
        )
        name = self.program.names[index].removesuffix(" load")
        self._check(index, f"{name} (loaded bits)", bits[0], bits[1])

    def _check(self, index, name, expected, got):
        self.count += 1
        wrong = np.argwhere(expected != got)
        if len(wrong) and (self.first is None or index < self.first.instruction):
            at = tuple(int(i) for i in wrong[0])
            self.first = Difference(index, self.program.names[index], name, at, int(expected[at]), int(got[at]))


class _Window:
    """An on-chip memory that is read where it is indexed."""

    def __init__(self, simulation, memory):
        self._simulation, self._memory = simulation, memory
        self.shape = simulation.dump(memory, 0, 0).shape

    def __getitem__(self, key):
        address = np.asarray(key[0] if isinstance(key, tuple) else key)
        first, last = int(address.min()), int(address.max())
        words = self._simulation.dump(self._memory, first, last - first + 1)
        return words[(address - first, *key[1:])] if isinstance(key, tuple) else words[address - first]
