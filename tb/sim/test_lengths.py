"""One program on the RTL at every length up to its own: all tensors equal, and in the cycles that the model says."""

from itertools import pairwise

import numpy as np
import pytest
from rich.console import Console

from codesign.cycles.model import predict
from golden.encoder import encode
from golden.model import Attention, Head, Input
from isa.instruction import INSTRUCTION_BITS
from isa.memory_timing import PLAIN
from isa.presets import preset
from isa.sizes import fetch_chunk
from program.compiler.compiler import compile_encoder
from sim.inference import compared, simulated_accelerator
from sim.progress import RunProgress
from tb.models import random_encoder, random_inputs

CONFIG = preset("tiny")
#: Beats of a fetch: whether one comes before or behind a LOAD that is offered in the same cycles, the model may miss. In a
#: program as small as these that is 2 % of its cycles.
FETCH = fetch_chunk(CONFIG.axi_bits) * INSTRUCTION_BITS // CONFIG.axi_bits
SHAPE = {"width": 20, "heads": 2, "head_width": 9, "feed_forward": 33, "input_size": 9}


@pytest.fixture(scope="module")
def run():
    """``run(program, encoder, samples)``: a `sim.inference.Inference` of ``(inputs, length)`` of samples."""

    def run(program, encoder, samples):
        inputs, lengths = zip(*samples, strict=True)
        with simulated_accelerator(program, PLAIN) as accelerator:
            accelerator.load(program)
            expected = [encode(encoder, *sample) for sample in samples]
            quiet = RunProgress(Console(quiet=True), 1, "runs")
            return compared(accelerator, program, np.stack(inputs), lengths, expected, quiet)

    return run


@pytest.mark.parametrize(
    ("tokens", "input", "attention", "head"),
    [(7, Input.PATCHES, Attention.SOFTMAX, Head.CLS), (22, Input.TOKENS, Attention.SOFTMAX, Head.MEAN),
     (13, Input.PATCHES, Attention.THRESHOLD, Head.TOKEN)],
)  # fmt: skip
def test_every_length_gives_every_tensor_and_takes_less_time_the_shorter_it_is(run, tokens, input, attention, head):
    rng = np.random.default_rng(70)
    encoder = random_encoder(rng, **SHAPE, tokens=tokens, input=input, attention=attention, head=head)
    program = compile_encoder(encoder, CONFIG)
    ((inputs, _),) = random_inputs(rng, encoder)
    cycles = []
    for length in range(tokens, 0, -1):
        found = run(program, encoder, [(inputs, length)])
        assert found.problem is None, length
        predicted = predict(program, lengths=[length]).cycles
        assert abs(predicted - found.cycles) <= 0.02 * found.cycles + FETCH, length
        cycles.append(found.cycles)
    assert cycles[-1] < 0.9 * cycles[0]
    # Now and then loads and products meet at a port a little worse than with a token more.
    assert all(later <= 1.02 * sooner for sooner, later in pairwise(cycles))


@pytest.mark.parametrize("seed", range(6))
def test_samples_of_a_batch_have_lengths_of_their_own_and_some_are_absent(run, seed):
    rng = np.random.default_rng(seed)
    kind, head = list(Input)[seed % 2], list(Head)[seed % 3]
    encoder = random_encoder(rng, **SHAPE, tokens=int(rng.integers(5, 20)), input=kind, head=head)
    program = compile_encoder(encoder, CONFIG, 3)
    samples = random_inputs(rng, encoder, 4)[1:]
    cycles = []
    for count in (3, 2, 1):
        found = run(program, encoder, samples[:count])
        assert found.problem is None
        lengths = [length for _, length in samples[:count]]
        predicted = predict(program, lengths=lengths).cycles
        assert abs(predicted - found.cycles) <= 0.02 * found.cycles + FETCH
        cycles.append(found.cycles)
    assert cycles[0] > cycles[1] > cycles[2]
