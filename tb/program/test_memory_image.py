"""Inputs are packed as the instructions expect them, and bad ones are refused."""

from dataclasses import replace

import numpy as np
import pytest

from golden.encoder import encode
from golden.model import Head, Input
from isa.presets import PRESETS, preset
from program.memory_image import pack_batch, pack_input, unpack_output
from program.verify.interpreter import Interpreter, MachineError, run
from tb.models import random_encoder, random_inputs
from tb.program.cases import changed, compiled


@pytest.fixture(scope="module", params=list(Input))
def case(request):
    encoder = random_encoder(np.random.default_rng(4), input=request.param, head=Head.TOKEN)
    return encoder, compiled(encoder, preset("tiny"))


def test_the_input_has_the_size_the_program_says(case):
    encoder, _ = case
    for config in PRESETS.values():
        program = compiled(encoder, config)
        inputs, length = random_inputs(np.random.default_rng(0), encoder, 1)[0]
        assert len(pack_input(program, inputs, length)) == program.input.bytes


def test_a_bad_input_is_refused(case):
    encoder, program = case
    inputs, _ = random_inputs(np.random.default_rng(0), encoder, 1)[0]
    for length in (0, 9):
        with pytest.raises(ValueError, match=rf"the length must be in 1..8, not {length}"):
            pack_input(program, inputs, length)
    with pytest.raises(ValueError, match="takes inputs of shape"):
        pack_input(program, inputs[:-1], 8)
    limit = 16 if encoder.config.input is Input.TOKENS else 256
    for wrong in (-1, limit):
        bad = inputs.copy()
        bad.flat[3] = wrong
        with pytest.raises(ValueError, match=rf"must be in 0..{limit - 1}, not {wrong}"):
            pack_input(program, bad, 8)


def test_a_batch_is_its_samples_one_after_another_and_zeros_for_those_that_lack(case):
    encoder, _ = case
    program = compiled(encoder, replace(preset("tiny"), residual_depth=1024), 3)
    samples = random_inputs(np.random.default_rng(0), encoder, 2)
    inputs, lengths = zip(*samples)
    data = pack_batch(program, inputs, lengths)
    assert data == b"".join(pack_input(program, *sample) for sample in samples) + bytes(program.input.bytes)
    assert len(data) == program.input_bytes


@pytest.mark.parametrize("count", [0, 4])
def test_more_inputs_than_the_batch_are_refused_and_so_are_none(case, count):
    encoder, _ = case
    program = compiled(encoder, replace(preset("tiny"), residual_depth=1024), 3)
    inputs, length = random_inputs(np.random.default_rng(0), encoder, 1)[0]
    with pytest.raises(ValueError, match=rf"^a run of this program takes 1..3 inputs, not {count}; compile"):
        pack_batch(program, [inputs] * count, [length] * count)


def test_the_logits_of_all_tokens_are_unpacked(case):
    encoder, program = case
    inputs, length = random_inputs(np.random.default_rng(0), encoder, 2)[1]
    machine = Interpreter(program, pack_input(program, inputs, length), [length])
    for index in range(len(program.instructions)):
        machine.step(index)
    logits = unpack_output(program, machine.memories[None], length)
    assert np.array_equal(logits, encode(encoder, inputs, length)["logits"])


def test_the_interpreter_reports_what_the_hardware_would(case):
    encoder, program = case
    inputs, length = random_inputs(np.random.default_rng(0), encoder, 1)[0]
    data = pack_input(program, inputs, length)
    with pytest.raises(MachineError, match=r"instruction 0: byte .* is outside region IMAGE"):
        run(changed(program, 0, region=0, offset=1 << 24), data, [length])
    if encoder.config.input is Input.TOKENS:
        gather = next(i for i, name in enumerate(program.names) if "gathered" in name)
        with pytest.raises(MachineError, match=f"instruction {gather}: index 16 is not below 16"):
            run(program, b"\x10\0\0\0" + data[4:], [length])
