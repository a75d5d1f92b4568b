"""An inference compared as a whole: what is equal, what differs, what the accelerator reports, and nothing left over."""

import numpy as np
import pytest
from rich.console import Console

from golden.encoder import encode
from isa.instruction import Opcode
from isa.memory_timing import PLAIN, MemoryTiming
from isa.registers import COUNTERS
from sim.inference import compared, simulated_accelerator
from sim.progress import RunProgress
from tb.driver.cases import case, patched


@pytest.fixture(scope="module")
def accelerator():
    with simulated_accelerator(case().program, PLAIN) as accelerator:
        yield accelerator


def infer(accelerator, index=0, loaded=None, **other):
    """Sample ``index`` compared; ``other`` is expected in place of the reference's."""
    sample = case()
    accelerator.load(loaded or sample.program)
    inputs, length = sample.inputs[index], int(sample.lengths[index])
    expected = encode(sample.encoder, inputs, length) | other
    progress = RunProgress(Console(quiet=True), 1, "runs")
    return compared(accelerator, sample.program, inputs[None], [length], [expected], progress)


def first(opcode):
    return next(index for index, x in enumerate(case().program.instructions) if x.opcode is opcode)


def test_an_equal_inference_has_no_problem_and_tells_what_it_took(accelerator):
    run = infer(accelerator)
    assert run.problem is None
    assert np.array_equal(run.logits, case().logits[:1])
    assert run.tensors > len(case().program.symbols)
    assert list(run.counters) == [name for name, _ in COUNTERS]
    assert 0 < run.counters["qmm_busy"] < run.cycles < run.simulated
    assert run.seconds > 0
    assert len(run.events) == 2 * (len(case().program.instructions) - 1)


@pytest.mark.parametrize("count", [3, 2])
def test_all_samples_of_a_batch_are_compared_with_lengths_of_their_own_and_none_that_lacks(count):
    sample = case(batch=3)
    expected = [encode(sample.encoder, *one) for one in zip(sample.inputs[:count], sample.lengths)]
    assert len(set(sample.lengths[:count].tolist())) > 1
    with simulated_accelerator(sample.program, MemoryTiming()) as accelerator:
        accelerator.load(sample.program)
        arguments = sample.program, sample.inputs[:count], sample.lengths[:count].tolist()
        run = compared(accelerator, *arguments, expected, RunProgress(Console(quiet=True), 1, "runs"))
        assert run.problem is None
        assert run.logits is not None
        assert np.array_equal(run.logits, sample.logits[:count])
        assert run.tensors > count * len(sample.program.symbols) // 3
        wrong = expected[1]["layer0.attention.codes"].copy()
        wrong[0, 0] ^= 1
        expected[1] |= {"layer0.attention.codes": wrong}
        run = compared(accelerator, *arguments, expected, RunProgress(Console(quiet=True), 1, "runs"))
        assert run.problem is not None
        assert "sample1.layer0.attention.codes[0, 0] is" in run.problem


def test_latency_and_bandwidth_are_those_of_the_memory(accelerator):
    cycles = [infer(accelerator).cycles]
    for memory in ((400, 256), (40, 40)):
        with simulated_accelerator(case().program, MemoryTiming(*memory)) as slow:
            cycles.append(infer(slow).cycles)
    assert cycles[0] < min(cycles[1:])


def test_a_wrong_tensor_is_named_before_everything_else(accelerator):
    expected = encode(case().encoder, case().inputs[0], int(case().lengths[0]))["embedding.codes"].copy()
    expected[2, 1] ^= 1
    run = infer(accelerator, **{"embedding.codes": expected, "saturated": 1 << 20})
    assert "embedding.codes[2, 1] is" in run.problem


def test_a_wrong_count_of_saturations_is_a_problem(accelerator):
    run = infer(accelerator, saturated=1 << 20)
    assert run.problem == f"{run.counters['saturations']} residual elements saturated, expected {1 << 20}"


def test_an_error_of_the_accelerator_is_the_problem_and_the_next_inference_is_equal(accelerator):
    run = infer(accelerator, loaded=patched(case().program, first(Opcode.QMM), words=0))
    assert run.logits is None
    assert run.problem.startswith(f"the accelerator stopped with SHAPE at instruction {first(Opcode.QMM)} ")
    assert infer(accelerator).problem is None


def test_logits_of_the_inference_before_do_not_count(accelerator):
    """The output is stored beside its place: there, the right logits of the inference before must not be found."""
    assert infer(accelerator).problem is None
    run = infer(accelerator, loaded=patched(case().program, first(Opcode.STORE), offset=4096))
    assert "logits[" in run.problem
    assert not run.logits.any()
