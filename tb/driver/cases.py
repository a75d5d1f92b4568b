"""What the tests of drivers run: one small random encoder on preset `tiny`, its samples and their logits."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from golden.encoder import encode
from golden.model import Encoder, Input
from isa.instruction import INSTRUCTION_BYTES
from isa.instruction import encode as encode_instruction
from isa.presets import preset
from program.compiler.compiler import compile_encoder
from program.program import Program
from tb.models import random_encoder, random_inputs

CONFIG = preset("tiny")


@dataclass(frozen=True)
class Case:
    """``inputs`` (samples, tokens, input_size), ``lengths`` (samples,), ``logits`` (samples, classes) of the reference."""

    encoder: Encoder
    program: Program
    inputs: np.ndarray
    lengths: np.ndarray
    logits: np.ndarray


@cache
def case(kind=Input.PATCHES, samples=5, batch=1):
    """Random encoder of one layer and its samples, of different lengths, by a program for ``batch`` of them; the same in
    every test."""
    rng = np.random.default_rng(90)
    sizes = dict(width=20, heads=2, head_width=9, feed_forward=33, tokens=7, input_size=9)
    encoder = random_encoder(rng, input=kind, **sizes)
    inputs, lengths = (np.stack(part) for part in zip(*random_inputs(rng, encoder, samples)))
    logits = np.stack([encode(encoder, x, n)["logits"] for x, n in zip(inputs, lengths)])
    assert len(np.unique(logits, axis=0)) == samples, "samples must be told apart by their logits"
    return Case(encoder, compile_encoder(encoder, CONFIG, batch), inputs, lengths, logits)


def patched(program, index, **fields):
    """``program`` with fields of one instruction changed in its image, unchecked."""
    instruction = replace(program.instructions[index], fields=program.instructions[index].fields | fields)
    image, start = bytearray(program.image), program.program_offset + index * INSTRUCTION_BYTES
    image[start : start + INSTRUCTION_BYTES] = encode_instruction(instruction)
    return replace(program, image=bytes(image))
