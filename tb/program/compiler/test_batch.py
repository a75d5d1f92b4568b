"""Programs for several samples: weights once for all of them, places of their own, and what cannot be refused."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from formats import bundle as bundle_file
from formats.files import ROOT
from golden.codes import Kind
from golden.model import Format, Head, Input
from isa.instruction import SAMPLES, Memory, Opcode, Region, operation
from isa.presets import preset
from program.compiler.compiler import compile_encoder
from program.program import CompileError, sample_name
from tb.models import random_encoder
from tb.program.cases import assert_right, compiled

ROOMY = replace(preset("tiny"), residual_depth=4096, left_depth=2048, right_depth=2048)


def encoder_of(**sizes):
    return random_encoder(np.random.default_rng(4), **dict(layers=2, tokens=10) | sizes)


def loads(program):
    """How often weights and constants are loaded, by name."""
    return Counter(
        name for name, i in zip(program.names, program.instructions)
        if i.opcode is Opcode.LOAD and i.region == Region.IMAGE and not i.index_shift and i.memory != Memory.RESIDUAL
    )  # fmt: skip


def computing(program, prefix=""):
    """How often each product and each row instruction occurs, of those whose name begins with ``prefix``."""
    named = zip(program.names, program.instructions)
    return Counter(
        name.removeprefix(prefix) for name, i in named if operation(i.opcode).queue and name.startswith(prefix)
    )


@pytest.mark.parametrize("head", list(Head))
@pytest.mark.parametrize("kind", list(Input))
def test_weights_and_constants_are_loaded_once_for_all_samples(kind, head):
    encoder = encoder_of(input=kind, head=head, pooler=True)
    alone, together = (compiled(encoder, ROOMY, batch) for batch in (1, 4))
    assert set(loads(together).values()) == {1}
    assert loads(together) == loads(alone)
    assert_right(together, encoder, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("sizes", "name", "part"),
    [
        ({"feed_forward": 200}, "constant_depth", "layer0.feed_forward.hidden.part1"),
        ({"width": 16, "heads": 1, "head_width": 100}, "right_depth", "layer0.attention.key.part1"),
        ({"width": 16, "heads": 1, "head_width": 100}, "left_depth", "layer0.attention.value.part1"),
    ],
)
def test_weights_in_parts_are_loaded_once_for_all_samples_too(sizes, name, part):
    """In the smallest memory that does."""
    encoder = encoder_of(**sizes, weight=Format(Kind.SIGNED, 4))
    program = compiled(encoder, replace(ROOMY, **{name: fitting(encoder, name, 3)}), 3)
    assert f"sample2.{part}" in program.names
    assert set(loads(program).values()) == {1}
    assert_right(program, encoder, np.random.default_rng(0))


def test_every_tensor_has_a_name_for_each_sample_and_all_but_loads_belong_to_one():
    encoder = encoder_of()
    alone, together = (compiled(encoder, ROOMY, batch) for batch in (1, 3))
    assert set(together.symbols) == {sample_name(3, sample, name) for sample in range(3) for name in alone.symbols}
    own = [computing(together, f"sample{sample}.") for sample in range(3)]
    assert own[0] == own[1] == own[2]
    assert own[0].keys() == computing(alone).keys()
    assert sum(map(len, (computing(together), *own))) == 2 * len(computing(together))


def test_inputs_and_outputs_of_samples_lie_one_after_another():
    program = compiled(encoder_of(input=Input.TOKENS), ROOMY, 3)
    gathers = [i.index_offset for i in program.instructions if i.opcode is Opcode.GATHER]
    stores = [i.offset for i in program.instructions if i.opcode is Opcode.STORE]
    assert gathers == [0, program.input.bytes, 2 * program.input.bytes]
    assert stores == [0, program.output.bytes, 2 * program.output.bytes]
    assert (program.input_bytes, program.output_bytes) == (3 * program.input.bytes, 3 * program.output.bytes)


def test_the_scores_of_the_next_sample_come_before_the_context_of_a_sample_and_the_next_head_after_all():
    names = compiled(encoder_of(layers=1, heads=2), ROOMY, 3).names
    units = [(name.split(".")[-1], name.split(".")[0]) for name in names if ".attention.scores" in name]
    assert units == [(f"scores{head}", f"sample{sample}") for head in range(2) for sample in range(3)]
    assert names.index("sample1.layer0.attention.scores0") < names.index("sample0.layer0.attention.context0")


@pytest.mark.parametrize(("name", "memory"), [("residual_depth", "residual"), ("left_depth", "left")])
def test_a_batch_that_does_not_fit_is_refused_with_what_lacks_and_the_largest_that_fits(name, memory):
    encoder, fits = encoder_of(tokens=8), 3
    smaller = replace(ROOMY, **{name: fitting(encoder, name, fits)})
    with pytest.raises(CompileError, match=rf"{memory} memory.* lacking; raise {name}.* a batch of {fits}, which fits$"):
        compile_encoder(encoder, smaller, fits + 1)
    compiled(encoder, smaller, fits)


def fitting(encoder, name, batch):
    """The smallest depth of a memory that a batch fits."""
    low, high = 1, getattr(ROOMY, name)
    while low < high:
        middle = (low + high) // 2
        try:
            compile_encoder(encoder, replace(ROOMY, **{name: middle}), batch)
            high = middle
        except CompileError:
            low = middle + 1
    return low


def told():
    """``(bundle, preset, largest batch)`` of the table in docs/programs.md."""
    page = (ROOT / "docs" / "programs.md").read_text()
    lines = [line.strip("| ").split(" | ") for line in page[page.index("| bundle | ") :].split("\n\n")[0].splitlines()]
    presets = [name.strip("`") for name in lines[0][1:]]
    return [(line[0], name, int(most)) for line in lines[2:] for name, most in zip(presets, line[1:], strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize(("bundle", "name", "most"), told())
def test_the_page_tells_the_largest_batches(bundle, name, most):
    encoder = bundle_file.load(ROOT / "bundles" / f"{bundle}.bundle").encoder
    assert compile_encoder(encoder, preset(name), most).batch == most
    with pytest.raises(CompileError, match=f"a batch of {most}, which fits|a batch has 1 to {most} samples"):
        compile_encoder(encoder, preset(name), most + 1)


def test_where_no_batch_fits_none_is_offered():
    with pytest.raises(CompileError, match="residual memory") as caught:
        compile_encoder(encoder_of(), replace(ROOMY, residual_depth=16), 2)
    assert "a batch of" not in str(caught.value)


@pytest.mark.parametrize("batch", [0, -1, SAMPLES + 1])
def test_a_batch_that_no_accelerator_takes_is_refused(batch):
    with pytest.raises(CompileError, match=rf"^a batch has 1 to {SAMPLES} samples, not {batch};"):
        compile_encoder(encoder_of(), ROOMY, batch)


def test_more_instructions_than_can_be_counted_are_refused(monkeypatch):
    monkeypatch.setattr("program.compiler.schedule.MOST_INSTRUCTIONS", 100)
    compile_encoder(encoder_of(layers=1), ROOMY)
    with pytest.raises(CompileError, match=r"instructions for queue QMM, and 100 can be counted; make the batch or the"):
        compile_encoder(encoder_of(), ROOMY, 4)
