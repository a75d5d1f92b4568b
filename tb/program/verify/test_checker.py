"""The checker passes good programs, and refuses those that are bad in any of the ways a program can be bad."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from golden.model import Head, Input
from isa.instruction import Destination, Memory, Opcode, Queue, operation
from isa.memory import depth_of
from isa.presets import preset
from program.memory_image import pack_input
from program.program import ProgramError
from program.verify.checker import check, known_complete
from program.verify.interpreter import Interpreter
from tb.models import random_encoder, random_inputs
from tb.program.cases import changed, compiled, orders

SHAPE = {"width": 24, "heads": 3, "head_width": 6, "feed_forward": 40, "tokens": 9, "layers": 2}
CONFIG = replace(preset("tiny"), left_depth=120, right_depth=120)
THRESHOLDS = {Queue.DMA: "wait_dma", Queue.QMM: "wait_qmm", Queue.ROW: "wait_row"}


@pytest.fixture(scope="module", params=[Input.PATCHES, Input.TOKENS])
def case(request):
    """An encoder and its program, in memories so small that space is used again and again."""
    encoder = random_encoder(np.random.default_rng(3), **SHAPE, input=request.param, head=Head.MEAN)
    return encoder, compiled(encoder, CONFIG)


def indices(program, opcode):
    return [index for index, i in enumerate(program.instructions) if i.opcode is opcode]


def assert_refused(program, index, words):
    with pytest.raises(ProgramError, match=rf"instruction {index} \(.*{words}"):
        check(program)


def test_every_threshold_that_matters_is_needed(case):
    """Lowered by one, a threshold is refused, unless what the instruction waits for otherwise implies it.

    Checking the whole program for each is slow, so some of every opcode and queue are drawn; test_schedule.py has
    every threshold of many small programs.
    """
    _, program = case
    known = known_complete(program)
    by_kind = {}
    for index, instruction in enumerate(program.instructions[:-1]):
        for name in THRESHOLDS.values():
            if getattr(instruction, name):
                by_kind.setdefault((instruction.opcode, name), []).append(index)
    assert len(by_kind) >= 8
    rng = np.random.default_rng(0)
    tried = [(int(i), name) for (_, name), of_kind in by_kind.items() for i in rng.permutation(of_kind)[:5]]
    needed = 0
    for index, name in tried:
        lowered = changed(program, index, **{name: getattr(program.instructions[index], name) - 1})
        if np.array_equal(known_complete(lowered)[index], known[index]):
            check(lowered)
        else:
            assert_refused(lowered, index, "without waiting for instruction")
            needed += 1
    assert needed > len(tried) // 3


def test_a_threshold_beyond_what_comes_before_is_refused(case):
    _, program = case
    for index, instruction in list(enumerate(program.instructions))[::11]:
        for queue, name in THRESHOLDS.items():
            before = sum(program.instructions[i].opcode in _opcodes(queue) for i in range(index))
            assert_refused(changed(program, index, **{name: before + 1}), index, "waits for")
            assert getattr(instruction, name) <= before


def _opcodes(queue):
    return {
        Queue.DMA: (Opcode.LOAD, Opcode.GATHER), Queue.QMM: (Opcode.QMM,),
        Queue.ROW: (Opcode.SOFTMAX, Opcode.NORM, Opcode.STORE),
    }[queue]  # fmt: skip


def test_a_row_instruction_that_waits_for_the_qmm_it_empties_is_a_deadlock(case):
    _, program = case
    for index in indices(program, Opcode.SOFTMAX):
        count = sum(i.opcode is Opcode.QMM for i in program.instructions[:index])
        assert program.instructions[index - 1].row_tiles > 2
        assert_refused(changed(program, index, wait_qmm=count), index - 1, "never completes")


@pytest.mark.parametrize(
    ("opcode", "field", "memory"),
    [
        (Opcode.QMM, "left_base", Memory.LEFT), (Opcode.QMM, "right_base", Memory.RIGHT),
        (Opcode.QMM, "constant_base", Memory.CONSTANT), (Opcode.QMM, "left_tile", Memory.LEFT),
        (Opcode.SOFTMAX, "left_base", Memory.LEFT), (Opcode.NORM, "left_base", Memory.LEFT),
        (Opcode.NORM, "residual_base", Memory.RESIDUAL), (Opcode.NORM, "constant_base", Memory.NORM),
        (Opcode.NORM, "left_tile", Memory.LEFT),
    ],
)  # fmt: skip
def test_an_address_outside_its_memory_is_refused(case, opcode, field, memory):
    _, program = case
    depth, _ = depth_of(program.config, memory)
    for index in indices(program, opcode)[::3]:
        instruction = program.instructions[index]
        if field == "left_tile" and instruction.fields.get("row_tiles", instruction.fields.get("first_row", 9)) < 2:
            continue  # of one tile only, the first
        assert_refused(changed(program, index, **{field: depth}), index, f"word .* of the {memory.name} memory")


def test_a_load_outside_memory_or_image_is_refused(case):
    _, program = case
    for index in indices(program, Opcode.LOAD)[::9]:
        instruction = program.instructions[index]
        depth, _ = depth_of(program.config, Memory(instruction.memory))
        name = Memory(instruction.memory).name
        assert_refused(changed(program, index, address=depth), index, f"writes word .* of the {name} memory")
        assert_refused(changed(program, index, offset=1 << 20), index, "of region")
        assert_refused(changed(program, index, offset=instruction.offset + 1), index, "not a multiple of the AXI width")
        assert_refused(changed(program, index, beats=0), index, "has beats 0")
        assert_refused(changed(program, index, memory=5), index, "memory 5, but there are only 0 \\(LEFT\\)")
        assert_refused(changed(program, index, region=3), index, "region 3, but there are only 0 \\(IMAGE\\)")
        assert_refused(changed(program, index, region=2), index, "reads region OUTPUT")


def test_a_destination_outside_its_memory_is_refused(case):
    _, program = case
    for index in indices(program, Opcode.QMM)[::4]:
        if program.instructions[index].destination != Destination.ROWS:
            assert_refused(changed(program, index, destination_base=CONFIG.left_depth), index, "writes word")
            assert_refused(changed(program, index, destination_column=1), index, "not a multiple of 4")


@pytest.mark.parametrize(
    ("opcode", "fields", "words"),
    [
        (Opcode.QMM, {"words": 0}, "words 0"), (Opcode.QMM, {"row_tiles": 0}, "row_tiles 0"),
        (Opcode.QMM, {"left_bits": 9}, "9"), (Opcode.QMM, {"left_bits": 0}, "0"),
        (Opcode.QMM, {"right_kind": 3}, "right_kind 3"), (Opcode.QMM, {"destination": 3}, "destination 3"),
        (Opcode.QMM, {"columns": 0}, "0 columns"), (Opcode.QMM, {"low": 1, "high": 0}, "clips to 1..0"),
        (Opcode.SOFTMAX, {"step": 5}, "step 5"), (Opcode.SOFTMAX, {"bits": 9}, "9"),
        (Opcode.SOFTMAX, {"groups": 100}, "row_columns"), (Opcode.NORM, {"epsilon": 0}, "epsilon 0"),
        (Opcode.NORM, {"width_reciprocal": 1}, "width_reciprocal 1"), (Opcode.NORM, {"columns": 0}, "columns 0"),
        (Opcode.SOFTMAX, {"rows": 1}, "takes 1 row tiles, but its QMM gives 3"),
        (Opcode.STORE, {"region": 0}, "region 0, not OUTPUT"), (Opcode.STORE, {"offset": 1 << 16}, "of region OUTPUT"),
        (Opcode.STORE, {"columns": 4}, "takes 4 columns, but its QMM gives 3"),
        (Opcode.SOFTMAX, {"groups": 4}, "takes rows of 16 columns, but its QMM gives 12"),
    ],
)  # fmt: skip
def test_a_field_that_makes_no_sense_is_refused(case, opcode, fields, words):
    _, program = case
    index = indices(program, opcode)[0]
    assert_refused(changed(program, index, **fields), index, words)


def test_reading_what_nothing_has_written_is_refused(case):
    encoder, _ = case
    program = compiled(encoder, preset("tiny"))
    middle = program.config.left_depth // 2
    for index in indices(program, Opcode.QMM)[::9]:
        assert_refused(changed(program, index, left_base=middle), index, "which nothing has written before")


def test_a_program_must_end_with_its_only_halt(case):
    _, program = case
    with pytest.raises(ProgramError, match="does not end with HALT"):
        check(replace(program, instructions=program.instructions[:-1]))
    halt = program.instructions[-1]
    with pytest.raises(ProgramError, match="is a HALT before the end"):
        check(replace(program, instructions=(halt, *program.instructions[1:])))


def test_an_image_that_is_not_the_program_is_refused(case):
    _, program = case
    image = bytearray(program.image)
    image[program.program_offset + 9] ^= 1
    with pytest.raises(ProgramError, match=r"instruction 0 .*not what the image holds"):
        check(replace(program, image=bytes(image)))
    with pytest.raises(ProgramError, match="not inside its image"):
        check(replace(program, image=program.image[: program.program_offset]))


@pytest.mark.parametrize("seed", range(3))
def test_a_changed_program_that_passes_still_computes_the_same_in_every_order(case, seed):
    """What the checker is for: whatever a field is changed to, either it refuses or no race and no error is left."""
    encoder, program = case
    rng = np.random.default_rng(seed)
    inputs, length = random_inputs(rng, encoder, 1)[0]
    passed = 0
    while passed < 8:
        index = int(rng.integers(len(program.instructions) - 1))
        instruction = program.instructions[index]
        # Indices are the input's: the checker cannot know them.
        left_out = ("opcode", "reserved", "limit", "index_offset")
        fields = [field for field in operation(instruction.opcode).layout if field.name not in left_out]
        field = fields[rng.integers(len(fields))]
        low = -(1 << (field.bits - 1)) if field.signed else 0
        value = int(np.clip(getattr(instruction, field.name) + rng.integers(-8, 9), low, low + (1 << field.bits) - 1))
        mutant = changed(program, index, **{field.name: value})
        try:
            check(mutant)
        except ProgramError:
            continue
        passed += 1
        outcomes = set()
        for prefer in list(permutations(Queue))[::2]:
            machine = Interpreter(mutant, pack_input(mutant, inputs, length), [length])
            for step in orders(mutant, prefer):
                machine.step(step)
            outcomes.add(bytes(machine.memories[None]))
        assert len(outcomes) == 1, f"instruction {index} ({program.names[index]}): {field.name} = {value}"
