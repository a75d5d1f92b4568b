"""The bound beside each result: below the cycles of whatever runs, of any precision, and not far below."""

import json
from dataclasses import replace

import numpy as np
import pytest

from bench.cases import BENCHES, Case
from bench.report import DATA
from bench.work import bound
from codesign.cycles.model import predict
from golden.codes import Kind
from golden.model import Format, Input
from isa.config import AcceleratorConfig
from isa.memory_timing import MemoryTiming
from isa.presets import preset
from program.compiler.compiler import compile_encoder
from tb.models import random_encoder

CONFIGS = {
    "tiny": preset("tiny"),
    # A word of codes takes many lanes' elements, or the elements of one cycle alone; a group is a tile, or a row of it.
    "narrow lanes": replace(preset("small"), row_lanes=2, axi_bits=32),
    "words as wide as lanes": AcceleratorConfig(
        rows=4, columns=16, depth=16, drain=64, row_lanes=16, axi_bits=64, left_depth=512, right_depth=512,
        constant_depth=64, norm_depth=64, residual_depth=512, row_columns=64,
    ),
    "a row at a time": replace(preset("tiny"), rows=16, drain=4),
}  # fmt: skip
#: Whose ports are slow, whose ports share what is slower than they, and one that is in nobody's way.
MEMORIES = (
    MemoryTiming(1), MemoryTiming(1, 60), MemoryTiming(1, ceiling=600, burst=900, refresh_every=500, refresh=60),
)  # fmt: skip
SHAPES_BY_NAME = {case.shape.name: case.shape for cases in BENCHES.values() for case in cases}
#: What was measured, with the configuration it was measured on.
MEASURED = [
    (row, document["config"])
    for name in BENCHES
    for document in [json.loads((DATA / f"{name}.json").read_text())]
    for row in document["rows"]
    if "cycles" in row
]


def random_program(seed, config, bits):
    """A program of a small random encoder with ``bits`` bits of every activation."""
    rng = np.random.default_rng(seed)
    signed, unsigned = Format(Kind.SIGNED, bits), Format(Kind.UNSIGNED, bits)
    formats = {} if bits == 1 else dict.fromkeys(("codes", "query", "key", "value", "context"), signed)
    formats |= {} if bits == 1 else dict.fromkeys(("probability", "hidden"), unsigned)
    heads, head_width = int(rng.integers(1, 4)), int(rng.integers(4, 17))
    encoder = random_encoder(
        rng, layers=int(rng.integers(1, 3)), heads=heads, head_width=head_width, width=int(rng.integers(8, 49)),
        feed_forward=int(rng.integers(8, 65)), tokens=int(rng.integers(2, 25)), calibration=1,
        input=[Input.TOKENS, Input.PATCHES][int(rng.integers(2))], **formats,
    )  # fmt: skip
    return compile_encoder(encoder, config)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("name", CONFIGS)
def test_no_random_encoder_takes_fewer_cycles_than_its_bound(name, bits):
    for seed in range(3):
        program = random_program(seed, CONFIGS[name], bits)
        for memory in MEMORIES:
            assert max(bound(program, memory).values()) < predict(program, memory).cycles, (seed, memory)


def test_a_slower_memory_changes_the_bound_of_the_memory_alone():
    program = random_program(0, CONFIGS["tiny"], 1)
    fast, slow = (bound(program, MemoryTiming(1, bandwidth)) for bandwidth in (256, 64))
    assert slow == fast | {"memory": 4 * fast["memory"] - 8}


def test_a_memory_that_all_wait_for_takes_its_bound_and_little_more():
    program = random_program(0, CONFIGS["tiny"], 1)
    memory = MemoryTiming(1, 2)
    least = bound(program, memory)["memory"]
    assert least < predict(program, memory).cycles < 1.01 * least


@pytest.mark.slow
@pytest.mark.parametrize(("row", "sizes"), MEASURED, ids=[row["case"] for row, _ in MEASURED])
def test_no_measured_run_took_fewer_cycles_than_its_bound_or_far_more(row, sizes):
    case = Case(SHAPES_BY_NAME[row["model"]], row["tokens"], row["activation_bits"])
    encoder = random_encoder(np.random.default_rng(1), **case.encoder())
    memory = MemoryTiming(**row.get("memory_timing", {"latency": row["latency_cycles"]}))
    least = max(bound(compile_encoder(encoder, AcceleratorConfig(**sizes), row.get("batch", 1)), memory).values())
    assert least < row["cycles"] < 2.1 * least
