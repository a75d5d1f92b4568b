"""The checker: refuses a program that could hang, race or leave its memories, before anything runs.

It knows the instructions and the machine, nothing of the compiler. What the machine promises: instructions of one queue
start in order and complete in order; a QMM starts when the one before has read its operands, and writes after it; rows of a
row instruction enter their unit behind those of the one before, read there, and write behind them; the DMA writes in order.
So in one queue only a read after a write needs a threshold.
"""

import numpy as np
from numpy.typing import NDArray

from isa.bounds import check_instruction
from isa.instruction import (
    FLAGS,
    INSTRUCTION_BYTES,
    Illegal,
    Memory,
    Opcode,
    Queue,
    decode,
    encode,
    operation,
    queue_of,
    require,
)
from isa.memory import depth_of, units_per_word
from isa.sizes import ROW_TILES
from program.program import Program, ProgramError
from program.verify.lengths import least_lengths

#: Instructions that are sure to fit in a queue while they wait; the hardware has room for more.
QUEUE_DEPTH = 1
MAX_COUNT = (1 << 16) - 1


def check(program: Program) -> None:
    """Raise ProgramError, naming the instruction, unless ``program`` is safe to run on its configuration."""
    for part in (_check_image, _check_instructions, _check_thresholds, _check_pairs, _check_progress, _check_hazards):
        part(program)


def _fail(program, index, message):
    name = f" ({program.names[index]})" if index < len(program.names) else ""
    raise ProgramError(f"instruction {index}{name} {message}; compile the program again") from None


def _check_image(program):
    """The instructions are where the hardware will fetch them, and end with the only HALT."""
    count = len(program.instructions)
    if not count or program.instructions[-1].opcode is not Opcode.HALT:
        raise ProgramError("the program does not end with HALT; compile it again")
    beat = max(INSTRUCTION_BYTES, program.config.axi_bits // 8)
    if program.program_offset % beat or program.program_offset + count * INSTRUCTION_BYTES > len(program.image):
        raise ProgramError(f"the program at byte {program.program_offset} is not inside its image; compile it again")
    for index, instruction in enumerate(program.instructions):
        if instruction.opcode is Opcode.HALT and index + 1 < count:
            _fail(program, index, "is a HALT before the end")


def _check_instructions(program):
    for index, instruction in enumerate(program.instructions):
        start = program.program_offset + index * INSTRUCTION_BYTES
        try:
            check_instruction(instruction, program.bounds)
            stored = program.image[start : start + INSTRUCTION_BYTES]
            require(encode(instruction) == stored, "is not what the image holds at its place")
            decode(stored)
        except Illegal as broken:
            _fail(program, index, str(broken))


def _waits(instruction):
    return np.array([instruction.wait_dma, instruction.wait_qmm, instruction.wait_row], np.int64)


def _check_thresholds(program):
    """A threshold counts instructions that come earlier, so it is reached."""
    issued = np.zeros(len(Queue), np.int64)
    for index, instruction in enumerate(program.instructions):
        for queue in Queue:
            wanted = int(_waits(instruction)[queue])
            if wanted > issued[queue]:
                _fail(program, index, f"waits for {wanted} instructions of queue {queue.name}, but only "
                      f"{issued[queue]} come before it")  # fmt: skip
        if queue_of(instruction) is not None:
            issued[queue_of(instruction)] += 1
    if issued.max() > MAX_COUNT:
        raise ProgramError(f"a queue has {issued.max()} instructions, more than the {MAX_COUNT} that can be counted")


def _row_tiles(instruction, config):
    """Row tiles that an instruction puts into the row buffer, or takes from it."""
    return operation(instruction.opcode).row_tiles(instruction, config)


def _check_pairs(program):
    """Every QMM to the row buffer has its row instruction, for as many row tiles and no more columns."""
    config = program.config
    waiting = []
    for index, instruction in enumerate(program.instructions):
        if queue_of(instruction) is Queue.QMM and _row_tiles(instruction, config):
            waiting.append(index)
        elif queue_of(instruction) is Queue.ROW:
            if not waiting:
                _fail(program, index, "takes rows that no QMM before it gives")
            source = program.instructions[waiting.pop(0)]
            given, taken = source.row_tiles, _row_tiles(instruction, config)
            if given != taken:
                _fail(program, index, f"takes {taken} row tiles, but its QMM gives {given}")
            if _counted(instruction) != _counted(source):
                _fail(program, index, "takes rows of other tokens, or of another sample, than its QMM gives")
            if source.limit_columns and not instruction.limit_columns:
                _fail(program, index, "takes columns of tokens that its QMM leaves out where they are absent")
            if instruction.columns > source.columns:
                _fail(program, index, f"takes {instruction.columns} columns, but its QMM gives {source.columns}")
            # What lies behind the last column tile is 0 up to the end of an element, and beyond that anything.
            given, taken = (count * width for count, width in (
                (source.column_tiles, config.columns), (instruction.groups, config.row_lanes)))  # fmt: skip
            if taken >= given + config.row_lanes:
                _fail(program, index, f"takes rows of {taken} columns, but its QMM gives {given}")
    if waiting:
        _fail(program, waiting[0], "gives rows that no instruction takes")


def _counted(instruction):
    """Of which sample an instruction is and which tokens its rows are, if it matters."""
    if not any(getattr(instruction, flag) for flag in FLAGS):
        return None
    return instruction.sample, instruction.limit_rows, instruction.first_token


class _Machine:
    """The program's progress alone: what is dispatched, started and completed, without time or data.

    An event that may happen next stays possible whatever else happens first, so one order of events shows whether the
    program comes to its end in all of them.
    """

    def __init__(self, program):
        self.program = program
        self.completed = np.zeros(len(Queue), np.int64)
        self.queues = {queue: [] for queue in Queue}
        self.running = dict.fromkeys(Queue)
        self.left = dict.fromkeys(Queue, 0)  # row tiles still to give or take
        self.buffered = 0
        self.next = 0

    def step(self):
        """Make everything happen that can; whether anything did."""
        moved = False
        instructions = self.program.instructions
        while self.next < len(instructions) - 1:
            queue = queue_of(instructions[self.next])
            assert queue is not None, "HALT is the last instruction"
            if len(self.queues[queue]) >= QUEUE_DEPTH:
                break
            self.queues[queue].append(self.next)
            self.next += 1
            moved = True
        for queue in Queue:
            if self.running[queue] is None and self.queues[queue]:
                instruction = instructions[self.queues[queue][0]]
                if (self.completed >= _waits(instruction)).all():
                    self.running[queue] = self.queues[queue].pop(0)
                    self.left[queue] = _row_tiles(instruction, self.program.config)
                    moved = True
            if self.running[queue] is not None:
                moved |= self._work(queue)
        return moved

    def _work(self, queue):
        if queue is Queue.QMM:
            amount = min(self.left[queue], ROW_TILES - self.buffered)
            self.buffered += amount
        else:
            amount = min(self.left[queue], self.buffered)
            self.buffered -= amount
        self.left[queue] -= amount
        if self.left[queue] == 0:
            self.running[queue] = None
            self.completed[queue] += 1
            return True
        return amount > 0


def _check_progress(program):
    """The program comes to its end however long anything takes."""
    machine = _Machine(program)
    while machine.step():
        pass
    stuck = [index for index in machine.running.values() if index is not None]
    stuck += [index for waiting in machine.queues.values() for index in waiting]
    if machine.next < len(program.instructions) - 1:
        stuck.append(machine.next)
    if stuck:
        _fail(program, min(stuck), "never completes: what it waits for is behind it")


def known_complete(program: Program) -> NDArray[np.int64]:
    """For each instruction, how many of each queue have certainly completed when it starts: (instructions, queues).

    What an instruction waited for is complete, and so is what that had waited for, and what came before in its queue.
    """
    starts = np.zeros((len(program.instructions), len(Queue)), np.int64)
    ends = {queue: [np.zeros(len(Queue), np.int64)] for queue in Queue}
    last_start = {queue: np.zeros(len(Queue), np.int64) for queue in Queue}
    for index, instruction in enumerate(program.instructions):
        queue = queue_of(instruction)
        start = np.zeros(len(Queue), np.int64) if queue is None else last_start[queue].copy()
        for other, wanted in zip(Queue, _waits(instruction)):
            start = np.maximum(start, ends[other][wanted])
        starts[index] = start
        if queue is not None:
            last_start[queue] = start
            end = np.maximum(start, ends[queue][-1])
            end[queue] = len(ends[queue])
            ends[queue].append(end)
    return starts


class _Contents:
    """From which length on, and of which sample, each of so many units holds what was written to it last.

    Rows that are written to different banks one after the other belong together: the first of them is there first.
    """

    def __init__(self, units):
        self.least, self.sample = np.zeros(units, np.int64), np.zeros(units, np.int64)
        self.banks = np.zeros(units, np.uint64)

    def write(self, access, lengths, sample):
        units = access.units
        if access.banks is None:
            self.least[units], self.banks[units] = lengths, np.uint64(0)
        else:
            before = self.banks[units]
            joins = (before != 0) & (before & access.banks == 0) & (self.sample[units] == sample)
            self.least[units] = np.where(joins, np.minimum(self.least[units], lengths), lengths)
            self.banks[units] = np.where(joins, before, np.uint64(0)) | access.banks
        self.sample[units] = sample


def _check_lengths(program, index, access, lengths, contents):
    """What an instruction reads at a length has been written at that length."""
    sample = program.instructions[index].sample
    least, whose = contents.least[access.units], contents.sample[access.units]
    wrong = (least > lengths) | ((least > 0) & (whose != sample))
    if wrong.any():
        at = int(np.argmax(wrong))
        word = int(access.units[at]) // units_per_word(program.config, access.memory)
        _fail(program, index, f"reads word {word} of the {access.memory.name} memory from length {lengths[at]} of sample "
              f"{sample} on, but it is written from length {least[at]} of sample {whose[at]} on")  # fmt: skip


def _check_hazards(program):
    """Instructions that touch the same words, one of them writing, run one after the other; reads have been written, at
    every length."""
    config = program.config
    shape = {m: (len(Queue), depth_of(config, m)[0] * units_per_word(config, m)) for m in Memory}
    # Per unit and queue the last instruction to read or write it, as a count in the queue.
    readers = {memory: np.zeros(size, np.int64) for memory, size in shape.items()}
    writers = {memory: np.zeros(size, np.int64) for memory, size in shape.items()}
    contents = {memory: _Contents(size) for memory, (_, size) in shape.items()}
    numbers = {queue: [] for queue in Queue}
    starts = known_complete(program)
    for index, instruction in enumerate(program.instructions):
        queue = queue_of(instruction)
        if queue is None:
            continue
        accesses = operation(instruction.opcode).footprint(instruction, config)
        least = least_lengths(instruction, accesses, config, program.input.tokens)
        for access, lengths in zip(accesses, least, strict=True):
            if not access.write and not access.padding:
                _check_lengths(program, index, access, lengths, contents[access.memory])
            written = writers[access.memory][:, access.units]
            if not access.write and not access.padding and not written.any(axis=0).all():
                unit = int(access.units[~written.any(axis=0)][0])
                word = unit // units_per_word(config, access.memory)
                _fail(program, index, f"reads word {word} of the {access.memory.name} memory, which nothing has "
                      "written before")  # fmt: skip
            last = written.max(axis=1, initial=0)
            if access.write:
                last = np.maximum(last, readers[access.memory][:, access.units].max(axis=1, initial=0))
                last[queue] = 0
            for other in Queue:
                if last[other] > starts[index][other]:
                    culprit = numbers[other][last[other] - 1]
                    verb = "writes" if access.write else "reads"
                    _fail(program, index, f"{verb} words of the {access.memory.name} memory without waiting for "
                          f"instruction {culprit} ({program.names[culprit]}), which uses them")  # fmt: skip
        numbers[queue].append(index)
        for access, lengths in zip(accesses, least, strict=True):
            if access.write:
                contents[access.memory].write(access, lengths, instruction.sample)
            users = writers if access.write else readers
            users[access.memory][queue, access.units] = len(numbers[queue])
