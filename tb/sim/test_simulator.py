"""The native harness: whole models on the RTL, corrupted images caught and named, errors reported and survived."""

import json
import os
import signal
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from cli.main import main
from formats import bundle as bundle_file
from formats.files import ROOT
from golden.encoder import encode
from isa.config import preset
from isa.instruction import INSTRUCTION_BYTES, Instruction, Memory, Opcode, Queue
from isa.instruction import encode as encode_instruction
from isa.registers import COUNTERS, Error
from program.compiler.compiler import compile_encoder
from sim.compare import Comparison
from sim.simulator import CHUNK, Interrupted, RtlSimulator, RunError
from sim.timeline import spans, write_picture, write_trace
from tb.models import random_encoder, random_inputs

CONFIG = preset("tiny")
BUNDLES = sorted((ROOT / "bundles").glob("*.bundle"))


@pytest.fixture(scope="module")
def simulator():
    with RtlSimulator(CONFIG, memory_bytes=1 << 20, watchdog=5000) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(70)
    encoder = random_encoder(rng, width=20, heads=2, head_width=9, feed_forward=33, tokens=7, input_size=9)
    program = compile_encoder(encoder, CONFIG)
    ((inputs, length),) = random_inputs(rng, encoder, 1)
    return encoder, program, inputs, length


def run(simulator, model, image=None):
    """One inference with its comparison."""
    encoder, program, inputs, length = model
    simulator.load(program, image)
    comparison = Comparison(simulator, encode(encoder, inputs, length))
    result = simulator.run(inputs, length, comparison.completed)
    comparison.finished(result.logits)
    return result, comparison


def piece(program, name):
    return next(piece for piece in program.pieces if piece.name == name)


def test_every_tensor_of_a_random_encoder_is_equal(simulator, model):
    result, comparison = run(simulator, model)
    assert comparison.first is None
    assert comparison.count > len(model[1].symbols)
    assert set(result.counters) == {name for name, _ in COUNTERS}
    assert result.counters["instructions"] == len(model[1].instructions)
    assert 0 < result.counters["qmm_busy"] < result.cycles


@pytest.mark.parametrize("name", [
    "embedding.projection.weight", "layer0.attention.query1.weight", "layer0.attention.value0.weight",
    "layer0.attention.output.weight", "layer0.feed_forward.hidden.weight", "layer0.feed_forward.output.weight",
    "classifier.weight",
])  # fmt: skip
def test_a_flipped_weight_bit_is_caught_and_named(simulator, model, name):
    program = model[1]
    found = piece(program, name)
    rng = np.random.default_rng(71)
    for bit in rng.integers(0, 8 * found.size, 3):
        image = bytearray(program.image)
        image[found.offset + bit // 8] ^= 1 << bit % 8
        _, comparison = run(simulator, model, bytes(image))
        assert comparison.first is not None
        assert comparison.first.tensor == f"{name} (loaded bits)"
        assert program.instructions[comparison.first.instruction].opcode is Opcode.LOAD
        assert abs(comparison.first.expected - comparison.first.got) == 1
    assert run(simulator, model)[1].first is None


def test_a_wrong_constant_shows_in_the_tensor_it_makes(simulator, model):
    program = model[1]
    found = piece(program, "layer0.feed_forward.hidden.constants")
    image = bytearray(program.image)
    image[found.offset + 6] ^= 0x40  # the first column's offset, by half of its range
    _, comparison = run(simulator, model, bytes(image))
    assert comparison.first.tensor == "layer0.feed_forward.hidden"


def patched(program, index, instruction):
    image = bytearray(program.image)
    start = program.program_offset + index * INSTRUCTION_BYTES
    image[start : start + INSTRUCTION_BYTES] = (
        instruction if isinstance(instruction, bytes) else encode_instruction(instruction)
    )
    return bytes(image)


def first_of(program, opcode):
    return next(i for i, instruction in enumerate(program.instructions) if instruction.opcode is opcode)


@pytest.mark.parametrize(("opcode", "change", "code"), [
    (Opcode.LOAD, dict(address=65000), Error.ADDRESS_RANGE),
    (Opcode.LOAD, dict(beats=0), Error.SHAPE),
    (Opcode.LOAD, dict(offset=1 << 24), Error.AXI_READ),
    (Opcode.QMM, dict(left_base=60000), Error.ADDRESS_RANGE),
    (Opcode.QMM, dict(words=0), Error.SHAPE),
    (Opcode.SOFTMAX, dict(left_base=60000), Error.ADDRESS_RANGE),
    (Opcode.NORM, dict(residual_base=60000), Error.ADDRESS_RANGE),
    (Opcode.NORM, dict(rows=0), Error.SHAPE),
    (Opcode.STORE, dict(offset=1 << 24), Error.AXI_WRITE),
    (Opcode.QMM, dict(wait_row=9999), Error.WATCHDOG),
    (Opcode.HALT, None, Error.NO_HALT),
    (Opcode.NORM, b"\xee" * INSTRUCTION_BYTES, Error.ILLEGAL_OPCODE),
    (Opcode.QMM, bytes(INSTRUCTION_BYTES), Error.ILLEGAL_OPCODE),
], ids=lambda value: None if isinstance(value, bytes) else str(value))  # fmt: skip
def test_errors_are_reported_and_the_next_program_runs(simulator, model, opcode, change, code):
    program = model[1]
    index = first_of(program, opcode)
    if isinstance(change, bytes):
        image = patched(program, index, change)
    elif opcode is Opcode.HALT:
        image = patched(program, index, Instruction(Opcode.LOAD, dict(beats=1, memory=Memory.LEFT)))
    else:
        image = patched(
            program, index, replace(program.instructions[index], fields=program.instructions[index].fields | change)
        )
    with pytest.raises(RunError) as caught:
        run(simulator, model, image)
    assert caught.value.code is code
    if code is not Error.NO_HALT:
        assert caught.value.instruction == index
    assert run(simulator, model)[1].first is None


@pytest.mark.parametrize(("latency", "bandwidth"), [(1, 256), (300, 256), (80, 40)])
def test_memory_speed_changes_cycles_but_no_result(model, latency, bandwidth):
    with RtlSimulator(CONFIG, memory_bytes=1 << 20, latency=latency, bandwidth=bandwidth, watchdog=5000) as simulator:
        result, comparison = run(simulator, model)
        assert comparison.first is None
        slow = result.cycles
    with RtlSimulator(CONFIG, memory_bytes=1 << 20, latency=1, watchdog=5000) as simulator:
        assert run(simulator, model)[0].cycles <= slow


def test_a_program_too_large_for_the_memory_is_refused(model):
    with RtlSimulator(CONFIG, memory_bytes=1 << 12) as simulator, pytest.raises(ValueError, match="more memory_bytes"):
        simulator.load(model[1])


def test_a_run_can_be_interrupted_and_says_where_it_was(model):
    _, program, inputs, length = model
    seen, done = [], []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a worker of xdist ignores it

    def press_control_c(cycle, completed):
        seen.append((cycle, completed))
        if completed == 5:
            os.kill(os.getpid(), signal.SIGINT)

    with RtlSimulator(CONFIG, memory_bytes=1 << 20) as simulator:
        simulator.load(program)
        with pytest.raises(Interrupted) as caught:
            simulator.run(inputs, length, done.append, press_control_c)
    signal.signal(signal.SIGINT, before)
    cycle, completed = seen[-1]
    assert (caught.value.cycle, caught.value.completed) == (cycle, completed) == (cycle, 5)
    total, last = len(program.instructions) - 1, done[-1]
    assert caught.value.last == last
    place = f"the last of them instruction {last} ({program.names[last]})"
    assert str(caught.value) == f"at cycle {cycle}, 5 of {total} instructions completed, {place}"


def test_progress_counts_to_the_last_instruction_and_cycle(simulator, model):
    _, program, inputs, length = model
    simulator.load(program)
    seen = []
    result = simulator.run(inputs, length, on_progress=lambda *now: seen.append(now))
    assert seen == sorted(seen)
    assert seen[-1][1] == len(program.instructions) - 1
    assert 0 <= seen[-1][0] - result.cycles < 100  # the counter stops with the last instruction
    assert max(b[0] - a[0] for a, b in pairwise(seen)) <= CHUNK


def test_nothing_is_emitted_or_built_again(simulator):
    steps = []
    with RtlSimulator(CONFIG, progress=steps.append):
        assert steps == []


def test_the_timeline_has_every_instruction(simulator, model, tmp_path):
    result, _ = run(simulator, model)
    program = model[1]
    found = spans(program, result.events)
    assert [span.instruction for span in found] == list(range(len(program.instructions) - 1))
    assert all(0 <= span.start < span.end <= result.cycles for span in found)
    write_trace(program, result.events, tmp_path / "trace.json")
    records = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert sum(record["ph"] == "X" for record in records) == len(found)
    assert {record["tid"] for record in records} == {queue.value for queue in Queue}
    write_picture(program, result.events, tmp_path / "picture.png", "title")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.slow
@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.stem)
def test_shipped_bundles_run_on_the_small_preset(path):
    bundle = bundle_file.load(path)
    program = compile_encoder(bundle.encoder, preset("small"))
    with RtlSimulator(preset("small")) as simulator:
        for index in range(2):
            model = bundle.encoder, program, bundle.samples.inputs[index], int(bundle.samples.lengths[index])
            assert run(simulator, model)[1].first is None


@pytest.mark.slow
@pytest.mark.parametrize(("flip", "status"), [(None, 0), ("7000:3", 1)])
def test_the_command_passes_and_fails_as_it_should(flip, status, tmp_path, capsys):
    arguments = ["sim", "--bundle", str(BUNDLES[0]), "--samples", "1", "--output", str(tmp_path)]
    assert main(arguments + (["--flip", flip] if flip else [])) == status
    printed = capsys.readouterr().out
    assert printed.rstrip().endswith("FAIL" if status else "PASS")
    assert ("first difference" in printed) == bool(status)
    report = json.loads((tmp_path / f"{BUNDLES[0].stem}.json").read_text())
    assert report["passed"] == (not status)
    assert report["engine_utilisation"] == report["counters_per_inference"]["qmm_busy"] / report["cycles_per_inference"]
