"""Order and dependencies: operations and loads as one list of instructions, with the thresholds each waits for."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from isa.config import AcceleratorConfig
from isa.instruction import Instruction, Memory, Opcode, Queue, operation
from isa.instruction import encode as encode_instruction
from isa.memory import depth_of
from program.compiler.graph import At, Buffer, Draft, Op
from program.program import CompileError

#: Of a queue: thresholds count so far.
MOST_INSTRUCTIONS = (1 << 16) - 1


def order(ops: Iterable[Op], issued: Iterable[Iterable[Buffer]]) -> list[Draft]:
    """All steps in program order: the loads issued before each operation, then the operation; HALT ends it.

    A row instruction directly follows the QMM that feeds it, so that no load can come between and hold it up.
    """
    steps = []
    for op, buffers in zip(ops, issued, strict=True):
        steps += [step for buffer in buffers for step in buffer.fetches]
        steps += op.steps
    return [*steps, Draft("halt", Opcode.HALT, {})]


class _Users:
    """For every word and queue, how many instructions of the queue must complete until its last use is over."""

    def __init__(self, config):
        self.counts = {memory: np.zeros((len(Queue), depth_of(config, memory)[0]), np.int64) for memory in Memory}

    def waits(self, use):
        """``(queues,)``: how many of each queue to wait for."""
        return self.counts[use.buffer.memory][:, use.addresses()].max(axis=1)

    def add(self, use, queue, count):
        self.counts[use.buffer.memory][queue, use.addresses()] = count


def thresholds(steps: Sequence[Draft], config: AcceleratorConfig) -> NDArray[np.int64]:
    """For each step, how many instructions of each queue it waits for: ``(steps, queues)`` int64.

    A step waits for the writers of what it reads, and for the readers and writers of what it writes. Those in its own
    queue have read, and do write, before it does: a QMM starts when the one before has read its operands, rows enter their
    unit behind those before.

    Raises CompileError for more instructions than can be counted.
    """
    readers, writers = _Users(config), _Users(config)
    waits = np.zeros((len(steps), len(Queue)), np.int64)
    issued = np.zeros(len(Queue), np.int64)
    for index, step in enumerate(steps):
        if step.opcode is Opcode.HALT:
            waits[index] = issued
            continue
        queue = operation(step.opcode).queue
        for use in step.reads:
            waits[index] = np.maximum(waits[index], writers.waits(use))
        for use in step.writes:
            others = np.maximum(readers.waits(use), writers.waits(use))
            others[queue] = 0
            waits[index] = np.maximum(waits[index], others)
        issued[queue] += 1
        for use in step.reads:
            readers.add(use, queue, issued[queue])
        for use in step.writes:
            writers.add(use, queue, issued[queue])
    most = int(issued.max())
    if most > MOST_INSTRUCTIONS:
        raise CompileError(
            f"the program has {most} instructions for queue {Queue(int(issued.argmax())).name}, and {MOST_INSTRUCTIONS} can "
            "be counted; make the batch or the model smaller"
        )
    return waits


def emit(steps: Iterable[Draft], waits: NDArray[np.int64]) -> list[Instruction]:
    """Instructions of placed steps. Raises CompileError for a number that does not fit its field."""
    instructions = []
    for step, (dma, qmm, row) in zip(steps, waits.tolist(), strict=True):
        fields = {name: resolve(value) for name, value in step.fields.items()}
        header = {"wait_dma": dma, "wait_qmm": qmm, "wait_row": row, "sample": step.sample}
        instruction = Instruction(step.opcode, header | fields)
        try:
            encode_instruction(instruction)
        except ValueError as error:
            raise CompileError(f"{step.name} does not fit its instruction: {error}; make the model smaller") from None
        instructions.append(instruction)
    return instructions


def resolve(value: int | np.integer | At) -> int:
    """A field as a number, once buffers are placed."""
    return value.address if isinstance(value, At) else int(value)
