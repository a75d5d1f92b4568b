"""Encoders and configurations that programs are tested with, and what it means that a program is right."""

from dataclasses import replace

import numpy as np

from golden.codes import Kind
from golden.encoder import encode
from golden.model import Attention, Format, Head, Input, Order
from isa.config import AcceleratorConfig
from isa.instruction import INSTRUCTION_BYTES, Destination, Instruction, Memory, Opcode, Queue, queue_of
from isa.instruction import encode as encode_instruction
from program.compiler.compiler import compile_encoder
from program.memory_image import pack_batch, unpack_symbol
from program.program import sample_name
from program.verify.checker import check
from program.verify.interpreter import Interpreter, run
from tb.models import random_encoder, random_inputs


def pick(rng, options):
    return list(options)[rng.integers(len(list(options)))]


def any_format(rng, *kinds, most=8):
    kind = pick(rng, kinds)
    return Format(kind, 1 if kind is Kind.BIPOLAR else int(rng.integers(1, most + 1)))


def any_encoder(rng, most_bits=8):
    """An encoder of any structure and formats; its sizes are mostly no multiples of anything."""
    names = ("weight", "codes", "query", "key", "value", "context", "hidden", "patch", "ends")
    formats = {name: any_format(rng, *Kind, most=most_bits) for name in names}
    attention = pick(rng, Attention)
    probability = Format(Kind.UNSIGNED, 1)
    if attention is Attention.SOFTMAX:
        probability = any_format(rng, Kind.UNSIGNED, most=most_bits)
    return random_encoder(
        rng, layers=int(rng.integers(1, 3)), width=int(rng.integers(2, 41)), heads=int(rng.integers(1, 4)),
        head_width=int(rng.integers(1, 21)), feed_forward=int(rng.integers(1, 71)), tokens=int(rng.integers(1, 23)),
        classes=int(rng.integers(1, 13)), input_size=int(rng.integers(1, 40)), input=pick(rng, Input),
        order=pick(rng, Order), attention=attention, head=pick(rng, Head), pooler=bool(rng.integers(2)),
        rms=bool(rng.integers(2)), probability=probability, **formats,
    )  # fmt: skip


def any_config(rng, **changes):
    """A legal configuration with room for `any_encoder`: R, C, K, L and A in any proportion."""
    while True:
        rows, columns, depth = (1 << int(rng.integers(low, high)) for low, high in ((1, 5), (2, 5), (3, 7)))
        sizes = {
            "rows": rows, "columns": columns, "depth": depth, "drain": columns << int(rng.integers(3)),
            "row_lanes": 1 << int(rng.integers(1, 4)), "axi_bits": 1 << int(rng.integers(5, 10)), "left_depth": 1 << 14,
            "right_depth": 1 << 14, "constant_depth": 1 << 10, "norm_depth": 128, "residual_depth": 1 << 12,
            "row_columns": 128, "accumulator_bits": 27,
        }  # fmt: skip
        try:
            return AcceleratorConfig(**sizes | changes)
        except ValueError:
            continue


def compiled(encoder, config, batch=1):
    """The program, found safe."""
    program = compile_encoder(encoder, config, batch)
    check(program)
    return program


def packed(program, samples):
    """Content of region INPUT, and the lengths, of ``(inputs, length)`` of samples."""
    inputs, lengths = zip(*samples, strict=True)
    return pack_batch(program, inputs, lengths), lengths


def references(program, encoder, samples):
    """All tensors of the reference by the names of symbols, and the number of saturations, of ``(inputs, length)``."""
    tensors, saturated = {}, 0
    for sample, one in enumerate(samples):
        found = encode(encoder, *one)
        saturated += found.pop("saturated")
        tensors |= {sample_name(program.batch, sample, name): tensor for name, tensor in found.items()}
    return tensors, saturated


def assert_right(program, encoder, rng, samples=2):
    """The program computes every tensor of the reference, in so many runs of samples of different lengths."""
    inputs = random_inputs(rng, encoder, samples * program.batch)
    for first in range(samples):
        chosen = inputs[first::samples]
        expected, saturated = references(program, encoder, chosen)
        result = run(program, *packed(program, chosen))
        assert result.saturated == saturated
        assert result.tensors.keys() == expected.keys()
        for name, tensor in expected.items():
            assert np.array_equal(result.tensors[name], tensor), name


def spoilt(machine, rng):
    """The machine, its memories on chip full of anything."""
    for memory in Memory:
        old = machine.memories[memory]
        machine.memories[memory] = np.frombuffer(rng.bytes(old.nbytes), old.dtype).reshape(old.shape).copy()
    return machine


def assert_right_in_any_order(program, encoder, rng, prefer):
    """The same where the queues run as far apart as the thresholds let them.

    ``prefer`` is a permutation of the queues: what comes first runs ahead of the others whenever it may. Lengths are any,
    and the memories full of what was there before.
    """
    samples = random_inputs(rng, encoder, program.batch + 1)[1:]
    expected, _ = references(program, encoder, samples)
    data, lengths = packed(program, samples)
    machine = spoilt(Interpreter(program, data, lengths), rng)
    ready = {}
    for name, symbol in program.symbols.items():
        ready.setdefault(symbol.ready, []).append(name)
    for index in orders(program, prefer):
        machine.step(index)
        for name in ready.get(index, ()):
            assert np.array_equal(unpack_symbol(program, name, machine.memories, lengths), expected[name]), name


def changed(program, index, **fields):
    """The program with other values for some fields of one instruction, in the image too."""
    old = program.instructions[index]
    new = Instruction(old.opcode, old.fields | fields)
    start = program.program_offset + index * INSTRUCTION_BYTES
    image = program.image[:start] + encode_instruction(new) + program.image[start + INSTRUCTION_BYTES :]
    instructions = (*program.instructions[:index], new, *program.instructions[index + 1 :])
    return replace(program, instructions=instructions, image=image)


def orders(program, prefer):
    """Instruction indices in an order that the machine may complete them in."""
    queues = {queue: [] for queue in Queue}
    for index, instruction in enumerate(program.instructions[:-1]):
        queues[queue_of(instruction)].append(index)
    done = dict.fromkeys(Queue, 0)
    rows = 0
    while any(done[queue] < len(queues[queue]) for queue in Queue):
        for queue in prefer:
            if done[queue] == len(queues[queue]):
                continue
            instruction = program.instructions[queues[queue][done[queue]]]
            waits = (instruction.wait_dma, instruction.wait_qmm, instruction.wait_row)
            if any(done[other] < wait for other, wait in zip(Queue, waits)) or (queue is Queue.ROW and not rows):
                continue
            yield queues[queue][done[queue]]
            done[queue] += 1
            rows -= queue is Queue.ROW
            rows += instruction.opcode is Opcode.QMM and instruction.destination == Destination.ROWS
            break
        else:
            raise AssertionError("the program hangs")
