"""The native harness: whole models on the RTL, corrupted images caught and named, errors reported and survived."""

import json
import math
import os
import re
import signal
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from cli.main import main
from codesign.cycles.model import predict
from driver.accelerator import Accelerator
from driver.errors import RunError, RunTimeout
from formats import bundle as bundle_file
from formats.errors import UsageError
from formats.files import ROOT
from golden.encoder import encode
from isa.config import Uram
from isa.errors import Error
from isa.instruction import INSTRUCTION_BYTES, Instruction, Memory, Opcode, Queue
from isa.instruction import encode as encode_instruction
from isa.memory_timing import MemoryTiming
from isa.presets import preset
from program.compiler.compiler import compile_encoder
from sim.compare import Comparison
from sim.simulation import CHUNK, CLOCK_HZ, Observer, Simulation
from sim.timeline import spans, write_picture, write_trace
from sim.watch import Interrupted, watch
from tb.driver.cases import patched
from tb.lib.words import naming
from tb.models import random_encoder, random_inputs

CONFIG = preset("tiny")
BUNDLES = sorted((ROOT / "bundles").glob("*.bundle"))


@pytest.fixture(scope="module")
def accelerator():
    with Accelerator(Simulation(CONFIG), watchdog=5000) as accelerator:
        yield accelerator


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(70)
    encoder = random_encoder(rng, width=20, heads=2, head_width=9, feed_forward=33, tokens=7, input_size=9)
    program = compile_encoder(encoder, CONFIG)
    ((inputs, length),) = random_inputs(rng, encoder, 1)
    return encoder, program, inputs, length


def run(accelerator, model, image=None):
    """One inference compared; ``image`` is loaded in place of the program's."""
    encoder, program, inputs, length = model
    accelerator.load(program if image is None else replace(program, image=image))
    comparison = Comparison(accelerator.transport, program, [encode(encoder, inputs, length)], [length])
    with watch(accelerator.transport, program, comparison.completed):
        logits = accelerator.run(inputs, length)
    comparison.finished(logits[None])
    return comparison


def piece(program, name):
    return next(piece for piece in program.pieces if piece.name == name)


def test_every_tensor_of_a_random_encoder_is_equal(accelerator, model):
    comparison = run(accelerator, model)
    assert comparison.first is None
    assert comparison.count > len(model[1].symbols)


@pytest.mark.slow
def test_memories_of_ultraram_change_neither_a_tensor_nor_a_cycle(model):
    encoder, _, inputs, length = model
    blocks = replace(CONFIG, columns=8)
    ultra = replace(blocks, uram=Uram.LEFT | Uram.RIGHT | Uram.RESIDUAL | Uram.ROW_BUFFER)
    program = compile_encoder(encoder, ultra)
    with Accelerator(Simulation(ultra), watchdog=5000) as accelerator:
        comparison = run(accelerator, (encoder, program, inputs, length))
        cycles = accelerator.counters()["cycles"]
    assert comparison.first is None
    assert cycles == predict(program).cycles == predict(compile_encoder(encoder, blocks)).cycles


@pytest.mark.parametrize("name", [
    "embedding.projection.weight", "layer0.attention.query1.weight", "layer0.attention.value0.weight",
    "layer0.attention.output.weight", "layer0.feed_forward.hidden.weight", "layer0.feed_forward.output.weight",
    "classifier.weight",
])  # fmt: skip
def test_a_flipped_weight_bit_is_caught_and_named(accelerator, model, name):
    program = model[1]
    found = piece(program, name)
    rng = np.random.default_rng(71)
    for bit in rng.integers(0, 8 * found.size, 3):
        image = bytearray(program.image)
        image[found.offset + bit // 8] ^= 1 << bit % 8
        comparison = run(accelerator, model, bytes(image))
        assert comparison.first is not None
        assert comparison.first.tensor == f"{name} (loaded bits)"
        assert program.instructions[comparison.first.instruction].opcode is Opcode.LOAD
        assert abs(comparison.first.expected - comparison.first.got) == 1
    assert run(accelerator, model).first is None


def test_a_wrong_constant_shows_in_the_tensor_it_makes(accelerator, model):
    program = model[1]
    found = piece(program, "layer0.feed_forward.hidden.constants")
    image = bytearray(program.image)
    image[found.offset + 6] ^= 0x40  # the first column's offset, by half of its range
    comparison = run(accelerator, model, bytes(image))
    assert comparison.first.tensor == "layer0.feed_forward.hidden"


def overwritten(program, index, instruction):
    """The image with other bytes in the place of an instruction."""
    image = bytearray(program.image)
    start = program.program_offset + index * INSTRUCTION_BYTES
    image[start : start + INSTRUCTION_BYTES] = instruction
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
def test_errors_are_reported_and_the_next_program_runs(accelerator, model, opcode, change, code):
    program = model[1]
    index = first_of(program, opcode)
    if isinstance(change, bytes):
        image = overwritten(program, index, change)
    elif opcode is Opcode.HALT:
        image = overwritten(program, index, encode_instruction(Instruction(Opcode.LOAD, dict(beats=1, memory=Memory.LEFT))))
    else:
        image = patched(program, index, **change).image
    with pytest.raises(RunError) as caught:
        run(accelerator, model, image)
    assert caught.value.code is code
    if code is not Error.NO_HALT:
        assert caught.value.instruction == index
    assert run(accelerator, model).first is None


@pytest.mark.parametrize(("latency", "bandwidth"), [(1, 256), (300, 256), (80, 40)])
def test_memory_speed_changes_cycles_but_no_result(model, latency, bandwidth):
    cycles = []
    for memory in ((1, 256), (latency, bandwidth)):
        with Accelerator(Simulation(CONFIG, 1 << 20, 0, MemoryTiming(*memory))) as accelerator:
            assert run(accelerator, model).first is None
            cycles.append(accelerator.counters()["cycles"])
    assert cycles[0] <= cycles[1]
    assert (cycles[0] == cycles[1]) == ((latency, bandwidth) == (1, 256))


@pytest.mark.parametrize(("memory", "message"), [
    (dict(latency=0), r"latency must be in 1\.\.4294967295 cycles, not 0"),
    (dict(latency=1 << 32), r"latency must be in 1\.\.4294967295 cycles, not 4294967296"),
    (dict(bandwidth=0), r"bandwidth must be in 1\.\.256 beats per 256 cycles, not 0"),
    (dict(bandwidth=257), r"bandwidth must be in 1\.\.256 beats per 256 cycles, not 257"),
    (dict(bandwidth=(1 << 32) + 1), "not 4294967297"),
])  # fmt: skip
def test_a_memory_that_cannot_be_is_refused(memory, message):
    with pytest.raises(UsageError, match=message):
        MemoryTiming(**memory)


def test_the_largest_latency_is_not_a_small_one(model):
    """In the harness it must not wrap: nothing arrives before the watchdog gives up."""
    slow = Simulation(CONFIG, timing=MemoryTiming(latency=(1 << 32) - 1))
    with Accelerator(slow, watchdog=5000) as accelerator, pytest.raises(RunError, match="WATCHDOG"):
        run(accelerator, model)


def test_a_wait_takes_simulated_time():
    with Simulation(CONFIG) as simulation:
        before = simulation.cycle
        assert simulation.now() == before / CLOCK_HZ
        simulation.wait(25 * CHUNK / CLOCK_HZ)  # nothing runs, nothing interrupts
        assert 0 <= simulation.cycle - before - 25 * CHUNK <= CHUNK


def test_however_long_it_advances_it_often_tells_how_far_it_is():
    class Listener(Observer):
        def __init__(self):
            self.told = []

        def advanced(self, cycle, events):
            self.told.append(cycle)

    with Simulation(CONFIG) as simulation:
        simulation.observer = listener = Listener()
        before = simulation.cycle
        assert not simulation.advance(5 * CHUNK + 7)
    assert [cycle - before for cycle in listener.told] == [CHUNK, 2 * CHUNK, 3 * CHUNK, 4 * CHUNK, 5 * CHUNK, 5 * CHUNK + 7]


@pytest.mark.parametrize("timeout", [math.inf, 10])
def test_a_slow_computer_does_not_end_a_run(accelerator, model, monkeypatch, timeout):
    hours = iter(range(0, 1 << 40, 3600))
    monkeypatch.setattr("time.monotonic", lambda: float(next(hours)))
    monkeypatch.setattr(accelerator, "timeout", timeout)
    assert run(accelerator, model).first is None


def test_a_run_is_given_up_after_so_many_cycles_on_any_computer(model):
    _, program, inputs, length = model
    hangs = patched(program, first_of(program, Opcode.QMM), wait_row=9999)
    with Accelerator(Simulation(CONFIG), timeout=30 * CHUNK / CLOCK_HZ) as accelerator:
        accelerator.load(hangs)
        with pytest.raises(RunTimeout):
            accelerator.run(inputs, length)
        cycle = accelerator.transport.events[0].cycle
        assert 30 * CHUNK - 100 <= accelerator.transport.cycle - cycle <= 31 * CHUNK + 100


def test_a_run_can_be_interrupted_and_says_where_it_was_and_the_next_one_works(model):
    _, program, inputs, length = model
    seen, done = [], []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a worker of xdist ignores it

    def press_control_c(cycle, completed):
        seen.append((cycle, completed))
        if completed == 5:
            os.kill(os.getpid(), signal.SIGINT)

    with Accelerator(Simulation(CONFIG)) as accelerator:
        accelerator.load(program)
        with pytest.raises(Interrupted) as caught, watch(accelerator.transport, program, done.append, press_control_c):
            accelerator.run(inputs, length)
        signal.signal(signal.SIGINT, before)
        assert run(accelerator, model).first is None
    cycle, completed = seen[-1]
    assert (caught.value.cycle, caught.value.completed) == (cycle, completed) == (cycle, 5)
    total, last = len(program.instructions) - 1, done[-1]
    assert caught.value.last == last
    named = (f"cycle {cycle}", f"5 of {total} instructions", f"instruction {last}", program.names[last])
    assert re.search(naming(*named), str(caught.value))


def test_progress_counts_to_the_last_instruction_and_cycle(accelerator, model):
    _, program, inputs, length = model
    accelerator.load(program)
    seen = []
    with watch(accelerator.transport, program, on_progress=lambda *now: seen.append(now)):
        accelerator.run(inputs, length)
    assert seen == sorted(seen)
    assert seen[-1][1] == len(program.instructions) - 1
    assert 0 <= seen[-1][0] - accelerator.counters()["cycles"] < 100  # the counter stops with the last instruction
    assert max(b[0] - a[0] for a, b in pairwise(seen)) <= CHUNK


def test_of_a_batch_every_run_is_watched_from_its_start(accelerator, model):
    _, program, inputs, length = model
    accelerator.load(program)
    done, seen = [], []
    with watch(accelerator.transport, program, done.append, lambda *now: seen.append(now)):
        accelerator.run(np.stack([inputs] * 3), length)
    total = len(program.instructions) - 1
    assert [sorted(done[start : start + total]) for start in (0, total, 2 * total)] == [list(range(total))] * 3
    assert len(done) == 3 * total
    ends = [count for (_, count), (_, following) in pairwise([*seen, (0, 0)]) if following < count]
    assert ends == [total] * 3
    assert len(accelerator.transport.events) == 2 * total  # those of the last one


def test_who_does_not_watch_any_more_is_not_told(accelerator, model):
    _, program, inputs, length = model
    accelerator.load(program)
    done = []
    with watch(accelerator.transport, program, done.append):
        pass
    accelerator.run(inputs, length)
    assert done == []
    assert type(accelerator.transport.observer) is Observer


def test_nothing_is_emitted_or_built_again(accelerator):
    steps = []
    with Simulation(CONFIG, progress=steps.append):
        assert steps == []


def test_the_timeline_has_every_instruction(accelerator, model, tmp_path):
    run(accelerator, model)
    program, events = model[1], accelerator.transport.events
    found = spans(program, events)
    assert [span.instruction for span in found] == list(range(len(program.instructions) - 1))
    assert all(0 <= span.start < span.end <= accelerator.counters()["cycles"] for span in found)
    write_trace(program, events, tmp_path / "trace.json")
    records = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert sum(record["ph"] == "X" for record in records) == len(found)
    assert {record["tid"] for record in records} == {queue.value for queue in Queue}
    write_picture(program, events, tmp_path / "picture.png", "title")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.slow
@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.stem)
def test_shipped_bundles_run_on_the_small_preset(path):
    bundle = bundle_file.load(path)
    program = compile_encoder(bundle.encoder, preset("small"))
    with Accelerator(Simulation(preset("small"))) as accelerator:
        for index in range(2):
            model = bundle.encoder, program, bundle.samples.inputs[index], int(bundle.samples.lengths[index])
            assert run(accelerator, model).first is None


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
