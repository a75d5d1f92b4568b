"""The cycle model: instruction by instruction as the RTL, and with its latencies."""

from dataclasses import replace

import numpy as np
import pytest

from codesign.cycles.events import Port
from codesign.cycles.model import predict
from driver.accelerator import Accelerator
from isa.memory_timing import MemoryTiming
from isa.presets import preset
from program.compiler.compiler import compile_encoder
from sim.simulation import Simulation
from sim.timeline import spans
from tb.models import random_encoder, random_inputs

CONFIG = preset("tiny")
#: Elements of four column tiles, and half a tile a cycle.
WIDE = replace(CONFIG, row_lanes=16, drain=16)


#: Two beats of a LOAD are written together.
JOINED = replace(CONFIG, depth=32, drain=16)


@pytest.fixture(scope="module", params=[CONFIG, WIDE, JOINED], ids=["tiny", "wide", "joined"])
def model(request):
    rng = np.random.default_rng(70)
    encoder = random_encoder(rng, width=20, heads=2, head_width=9, feed_forward=33, tokens=7, input_size=9)
    return compile_encoder(encoder, request.param), *random_inputs(rng, encoder)[0]


@pytest.mark.parametrize(
    ("latency", "bandwidth", "shorter", "slack"),
    [(1, 256, 0, 0), (40, 256, 0, 0), (200, 256, 0, 8), (40, 60, 0, 8), (40, 256, 3, 0), (200, 256, 6, 0)],
)
def test_instructions_start_and_end_as_in_the_rtl(model, latency, bandwidth, shorter, slack):
    """With slack where a row unit and the drain take turns at a write port: how often is known, not to whom it matters."""
    program, inputs, length = model
    length, timing = length - shorter, MemoryTiming(latency, bandwidth)
    with Accelerator(Simulation(program.config, timing=timing)) as accelerator:
        accelerator.load(program)
        accelerator.run(inputs, length)
        cycles, events = accelerator.counters()["cycles"], accelerator.transport.events
    if program.config == JOINED:  # there they meet whatever the memory
        slack = 8
    predicted = predict(program, timing, [length])
    assert predicted.cycles == cycles
    origin = min(span.start for span in predicted.spans)
    for got, rtl in zip(predicted.spans, spans(program, events), strict=True):
        assert (got.instruction, got.name) == (rtl.instruction, rtl.name)
        assert abs(got.start - origin - rtl.start) <= slack, got
        assert abs(got.end - origin - rtl.end) <= slack, got


def test_every_cycle_has_a_cause(model):
    predicted = predict(model[0])
    assert sum(predicted.breakdown.values()) == predicted.cycles
    assert all(count > 0 for count in predicted.breakdown.values())
    assert all(span.bound_by in span.bound and span.start < span.end for span in predicted.spans)


def test_a_slower_memory_takes_longer_and_is_blamed(model):
    program = model[0]
    fast, late, slow = (predict(program, MemoryTiming(*memory)) for memory in ((1,), (2000,), (1, 8)))
    assert fast.cycles < late.cycles
    assert fast.cycles < slow.cycles
    assert slow.spans[0].bound_by == "memory bandwidth"
    assert "memory latency" in {span.bound_by for span in late.spans}


def test_a_port_gives_way():
    port = Port()
    port.hold("drain", 10, 14, 4)
    port.hold("row", 20, 30, 5)
    assert port.used(("drain",), 0, 100) == 4
    assert port.used(("drain", "row"), 12, 24) == 2 + 2
    assert port.finish(("drain",), 0, 10) == 10
    assert port.finish(("drain",), 9, 2) == 15
    assert port.finish(("drain", "row"), 15, 7) == 23


def test_a_row_unit_and_a_drain_that_wants_every_cycle_take_turns_until_the_drain_has_caught_up():
    port = Port()
    port.hold("drain", 10, 20, 10)
    assert port.turns(10, 3) == 16
    port.extend("drain", 25)  # ten writes in fifteen cycles: it wants the port in every one of them
    assert port.turns(10, 12) == 30
    assert port.turns(3, 4) == 7
