"""External memory of the simulation: whole encoders through several ports, ports that fail, the queue in both languages."""

import ctypes
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.cycles import config_of
from cli.main import main
from codesign.cycles.model import predict
from driver.accelerator import Accelerator
from driver.errors import RunError
from formats.errors import UsageError
from golden.encoder import encode
from isa.errors import Error
from isa.instruction import Opcode
from isa.memory_timing import (
    BOARD_MEMORIES,
    FULL_BANDWIDTH,
    PLAIN,
    BoardMemory,
    MemoryQueue,
    MemoryTiming,
    described,
    named_timing,
)
from isa.presets import preset
from program.compiler.compiler import compile_encoder
from sim.compare import Comparison
from sim.simulation import Simulation, _Timing
from sim.timeline import spans
from sim.watch import watch
from tb.driver.cases import patched
from tb.lib.words import naming
from tb.models import random_encoder, random_inputs

#: With 2 and with 4 ports; also what the cycle model is measured on.
CONFIGS = [config_of(56), config_of(57)]
BEHIND = {"outstanding": 8, "burst": 384}


@pytest.fixture(scope="module", params=CONFIGS, ids=lambda config: f"{config.ports} ports")
def model(request):
    rng = np.random.default_rng(70)
    encoder = random_encoder(rng, width=20, heads=2, head_width=9, feed_forward=33, tokens=7, input_size=9)
    ((inputs, length),) = random_inputs(rng, encoder, 1)
    return encoder, compile_encoder(encoder, request.param), inputs, length


def run(accelerator, model):
    """One inference; every tensor is equal."""
    encoder, program, inputs, length = model
    accelerator.load(program)
    comparison = Comparison(accelerator.transport, program, [encode(encoder, inputs, length)], [length])
    with watch(accelerator.transport, program, comparison.completed):
        logits = accelerator.run(inputs, length)
    comparison.finished(logits[None])
    assert comparison.first is None
    return accelerator.counters()


def timings(config):
    """Memories of all kinds, those with a ceiling at half and at all of what the ports give."""
    most = config.axi_bits // 8 * 256
    return [
        PLAIN, MemoryTiming(1), MemoryTiming(200), MemoryTiming(40, 60), MemoryTiming(100, outstanding=4),
        MemoryTiming(40, ceiling=most // 2, **BEHIND), MemoryTiming(60, ceiling=most, **BEHIND),
    ]  # fmt: skip


def test_every_tensor_is_equal_and_every_instruction_near_its_predicted_cycle(model):
    """As in tb/codesign/cycles/test_cycles.py: two cycles where the drain and another writer take turns at a port."""
    program = model[1]
    for timing in timings(program.config):
        with Accelerator(Simulation(program.config, timing=timing)) as accelerator:
            cycles, events = run(accelerator, model)["cycles"], accelerator.transport.events
        predicted = predict(program, timing)
        assert abs(predicted.cycles - cycles) <= 1, timing
        origin = min(span.start for span in predicted.spans)
        slack = 2 if timing.bandwidth == FULL_BANDWIDTH else 8
        for got, rtl in zip(predicted.spans, spans(program, events), strict=True):
            assert abs(got.start - origin - rtl.start) <= slack, (timing, got)
            assert abs(got.end - origin - rtl.end) <= slack, (timing, got)


def test_a_refresh_takes_its_share_and_the_model_knows_it(model):
    program = model[1]
    plain = MemoryTiming(40, ceiling=program.config.axi_bits // 8 * 256, **BEHIND)
    refreshing = replace(plain, refresh_every=200, refresh=60)
    counted = []
    for timing in (plain, refreshing):
        with Accelerator(Simulation(program.config, timing=timing)) as accelerator:
            counted.append(run(accelerator, model)["cycles"])
    assert counted[0] < counted[1]
    # Where in its interval a refresh is when a run begins is not told.
    assert predict(program, refreshing).cycles == pytest.approx(counted[1], abs=60 + 0.02 * counted[1])


def test_read_beats_count_what_all_ports_bring(model):
    with Accelerator(Simulation(model[1].config)) as several:
        beats = run(several, model)["read_beats"]
    loads = sum(i.beats for i in model[1].instructions if i.opcode is Opcode.LOAD)
    assert loads < beats < loads + 2 * len(model[1].instructions) * 512 // model[1].config.axi_bits


def test_a_port_that_never_answers_is_named_and_the_next_run_works(model):
    _, program, inputs, length = model
    with Accelerator(Simulation(program.config), watchdog=3000) as accelerator:
        accelerator.load(program)
        for port in range(program.config.ports):
            accelerator.transport.silence(port)
            with pytest.raises(RunError, match=f"WATCHDOG on memory port {port} at instruction") as caught:
                accelerator.run(inputs, length)
            assert (caught.value.code, caught.value.port) == (Error.WATCHDOG, port)
            accelerator.transport.silence(None)
            run(accelerator, model)


def test_a_port_that_answers_with_an_error_is_named_and_the_next_run_works(model):
    _, program, inputs, length = model
    index = next(i for i, instruction in enumerate(program.instructions) if instruction.opcode is Opcode.LOAD)
    piece = 16 * program.config.port_bits // 8
    with Accelerator(Simulation(program.config, memory_bytes=1 << 20), watchdog=3000) as accelerator:
        for port in range(program.config.ports):
            accelerator.load(patched(program, index, offset=(1 << 24) + port * piece))
            with pytest.raises(RunError) as caught:
                accelerator.run(inputs, length)
            assert (caught.value.code, caught.value.instruction) == (Error.AXI_READ, index)
            assert caught.value.port == (accelerator.placement.image // piece + port) % program.config.ports
            run(accelerator, model)
        store = next(i for i, instruction in enumerate(program.instructions) if instruction.opcode is Opcode.STORE)
        accelerator.load(patched(program, store, offset=1 << 24))
        with pytest.raises(RunError, match="AXI_WRITE on memory port 0") as caught:
            accelerator.run(inputs, length)
        run(accelerator, model)


bursts = st.lists(st.tuples(st.integers(0, 200), st.sampled_from([16, 64, 256, 1024])), min_size=1, max_size=60)
limited = st.builds(
    MemoryTiming, ceiling=st.integers(1, 40_000), burst=st.integers(0, 4000), refresh_every=st.just(500),
    refresh=st.integers(0, 400),
)  # fmt: skip


@pytest.fixture(scope="module")
def library():
    with Simulation(CONFIGS[0]) as simulation:
        yield simulation.library


@settings(deadline=None)
@given(bursts=bursts, timing=limited | st.just(PLAIN))
def test_the_queue_is_the_same_in_both_languages(library, bursts, timing):
    ours, theirs = MemoryQueue(timing), library.bittern_queue_new(ctypes.byref(_Timing.of(timing)))
    cycle, before = 0, 0
    try:
        for gap, size in bursts:
            cycle += gap
            begun = ours.begin(cycle, size)
            assert begun == library.bittern_queue_begin(theirs, cycle, size)
            assert begun >= max(cycle, before)
            assert not timing.ceiling or not timing.refresh or begun % 500 >= timing.refresh
            before = begun
    finally:
        library.bittern_queue_delete(theirs)


def test_a_ceiling_is_what_is_sustained():
    timing = MemoryTiming(ceiling=48 * 256, refresh_every=1560, refresh=70)
    queue = MemoryQueue(timing)
    last = [queue.begin(0, 256) for _ in range(20_000)][-1]
    assert 20_000 * 256 / last == pytest.approx(timing.bytes_per_cycle(512), rel=0.01)
    assert timing.bytes_per_cycle(512) == pytest.approx(48 * (1 - 70 / 1560))
    assert timing.bytes_per_cycle(128) == 16


@pytest.mark.parametrize(("mhz", "most"), [(150, 64), (200, 64), (300, 42.7)])
def test_the_zcu102_gives_what_its_ports_and_its_ddr_give(mhz, most):
    timing = BOARD_MEMORIES["zcu102"].timing(mhz)
    assert timing.bytes_per_cycle(512) == pytest.approx(most, rel=0.002)
    assert timing.bytes_per_cycle(512) * mhz * 1e6 <= 0.8 * BOARD_MEMORIES["zcu102"].ddr.peak
    assert timing.bytes_per_cycle(128) == 16
    assert described(preset("zcu102"), timing).startswith("4 ports of 128 bits, ")


@pytest.mark.parametrize(("name", "config", "words"), [
    ("zcu103", preset("small"), ("'zcu103'", "plain", "zcu102")),
    ("zcu102", replace(preset("zcu102"), ports=1), ("zcu102", "at most 128 bits", "512", "ports=4")),
    ("zcu102", replace(preset("zcu102"), axi_bits=256, ports=1), ("at most 128 bits", "256", "ports=2")),
])  # fmt: skip
def test_a_memory_that_is_none_or_lacks_the_ports_is_refused(name, config, words):
    with pytest.raises(UsageError, match=naming(*words)):
        named_timing(name, 200, config)


def test_more_ports_than_a_board_has_are_refused():
    two = BoardMemory(ports=2, port_bits=128, outstanding=8, latency_ns=200)
    with pytest.raises(UsageError, match=naming("the board has 2 memory ports", 4, "ports=2")):
        two.check("the board", preset("zcu102"))
    two.check("the board", replace(preset("zcu102"), axi_bits=256, ports=2))


@pytest.mark.parametrize(("arguments", "words"), [
    (["--memory", "other"], ("'other'", "plain", "zcu102")), (["--clock", "0"], ("--clock", "1..1000 MHz", "0")),
    (["--set", "ports=3"], ("ports must be 1, 2 or 4", "3")), (["--set", "ports=8"], ("ports must be 1, 2 or 4", "8")),
    (["--preset", "tiny", "--set", "ports=4"], ("at least 32", "16")),
])  # fmt: skip
def test_what_the_command_does_not_understand_is_one_sentence_and_status_2(arguments, words, capsys):
    assert main(["sim", *arguments]) == 2
    printed = capsys.readouterr().err
    assert re.search(naming(*words), printed)
    assert printed.count("\n") == 1
