"""One program serves every length: what it touches at each, what the checker refuses, and that it computes the same."""

from dataclasses import replace

import numpy as np
import pytest

from golden.encoder import encode
from golden.model import Attention, Head, Input
from isa.instruction import Memory, Opcode, operation
from isa.presets import preset
from isa.resolve import resolve
from program.memory_image import pack_batch, unpack_symbol
from program.program import ProgramError, sample_name
from program.verify.checker import check
from program.verify.interpreter import Interpreter
from program.verify.lengths import least_lengths
from tb.models import random_encoder, random_inputs
from tb.program.cases import any_config, any_encoder, changed, compiled, spoilt

TOKENS = 18
SHAPE = {"width": 20, "heads": 2, "head_width": 6, "feed_forward": 33, "tokens": TOKENS, "input_size": 11}
CONFIG = replace(preset("tiny"), left_depth=420, right_depth=420)
STRUCTURES = [
    (Input.PATCHES, Attention.SOFTMAX, Head.MEAN), (Input.TOKENS, Attention.SOFTMAX, Head.CLS),
    (Input.TOKENS, Attention.THRESHOLD, Head.TOKEN),
]  # fmt: skip


@pytest.fixture(scope="module", params=STRUCTURES, ids=lambda structure: "-".join(part.value for part in structure))
def case(request):
    """An encoder and its program for a batch of 2, in memories so small that space is used again."""
    kind, attention, head = request.param
    encoder = random_encoder(np.random.default_rng(5), **SHAPE, input=kind, attention=attention, head=head)
    return encoder, compiled(encoder, CONFIG, 2)


@pytest.mark.parametrize("first", range(1, TOKENS + 1))
def test_every_length_computes_every_tensor_whatever_was_in_the_memories(case, first):
    """Beside a sample of another length, or of none."""
    encoder, program = case
    rng = np.random.default_rng(first)
    samples = [(random_inputs(rng, encoder)[0][0], length) for length in (first, TOKENS + 1 - first)]
    for chosen in (samples, samples[:1]):
        inputs, lengths = zip(*chosen, strict=True)
        machine = spoilt(Interpreter(program, pack_batch(program, inputs, lengths), lengths), rng)
        expected, saturated = {}, 0
        for sample, one in enumerate(chosen):
            found = encode(encoder, *one)
            saturated += found.pop("saturated")
            expected |= {sample_name(2, sample, name): tensor for name, tensor in found.items()}
        for index in range(len(program.instructions)):
            machine.step(index)
            for name, symbol in program.symbols.items():
                if symbol.ready == index and name in expected:
                    got = unpack_symbol(program, name, machine.memories, lengths)
                    assert np.array_equal(got, expected[name]), (name, lengths)
        assert machine.saturated == saturated


@pytest.mark.parametrize("seed", range(8))
def test_the_least_lengths_are_those_at_which_the_footprint_grows(seed):
    rng = np.random.default_rng(seed)
    encoder, config = any_encoder(rng), any_config(rng)
    program, tokens = compiled(encoder, config, int(rng.integers(1, 3))), encoder.config.tokens
    for instruction in program.instructions:
        accesses = operation(instruction.opcode).footprint(instruction, config)
        least = least_lengths(instruction, accesses, config, tokens)
        for length in range(tokens + 1):
            left = resolve(instruction, [length] * 2, config)
            some = [] if left is None else operation(left.opcode).footprint(left, config)
            for place, (access, lengths) in enumerate(zip(accesses, least, strict=True)):
                if not access.padding:
                    touched = set(some[place].units.tolist()) if some else set()
                    assert touched == set(access.units[lengths <= length].tolist()), (instruction, length)


def places(program, opcode, **fields):
    return [
        index
        for index, i in enumerate(program.instructions)
        if i.opcode is opcode and all(getattr(i, name) == value for name, value in fields.items())
    ]


def assert_refused(program, words):
    with pytest.raises(ProgramError, match=words):
        check(program)


def test_reading_what_is_not_there_at_every_length_is_refused(case):
    _, program = case
    sums = places(program, Opcode.QMM, limit_words=1)
    assert sums
    for index in sums[:4]:
        longer = changed(program, index, limit_words=0)
        assert_refused(longer, rf"instruction {index} \(.*from length \d+ of sample .* on, but")
    for index in places(program, Opcode.QMM, limit_rows=1)[:6]:
        assert_refused(changed(program, index, limit_rows=0, first_token=0), f"instruction {index} .*on, but|other tokens")


def test_writing_less_than_is_read_is_refused(case):
    _, program = case
    for index in places(program, Opcode.NORM, first_token=0)[:3]:
        assert_refused(changed(program, index, first_token=1), "of other tokens")
    loads = places(program, Opcode.LOAD, limit_rows=1, memory=Memory.RESIDUAL)
    for index in loads:
        later = program.instructions[index].first_token + 1
        assert_refused(changed(program, index, first_token=later), rf"it is written from length {later + 1}")


def test_what_another_sample_may_not_have_is_refused(case):
    _, program = case
    for opcode in (Opcode.QMM, Opcode.NORM):
        index = places(program, opcode, sample=0, limit_rows=1)[0]
        assert_refused(changed(program, index, sample=1), "of sample|another sample")


def test_columns_that_the_product_leaves_out_are_not_taken(case):
    _, program = case
    for index in places(program, Opcode.SOFTMAX)[:2]:
        assert_refused(changed(program, index, limit_columns=0), "takes columns of tokens that its QMM leaves out")


@pytest.mark.parametrize(
    ("opcode", "fields", "words"),
    [
        (Opcode.NORM, {"limit_words": 1}, "has limit_words, which NORM does not know"),
        (Opcode.LOAD, {"limit_columns": 1}, "has limit_columns, which LOAD does not know"),
        (Opcode.HALT, {"limit_rows": 1}, "has limit_rows, which HALT does not know"),
        (Opcode.HALT, {"first_token": 3}, "has first_token 3, but its rows are not limited"),
    ],
)
def test_flags_that_an_instruction_does_not_know_are_refused(case, opcode, fields, words):
    _, program = case
    assert_refused(changed(program, places(program, opcode)[0], **fields), words)
