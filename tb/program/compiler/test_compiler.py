"""Compiled programs compute every tensor of the reference, whatever the encoder and the configuration."""

from dataclasses import replace
from fractions import Fraction
from itertools import permutations, product

import numpy as np
import pytest

from golden.codes import Kind, values
from golden.model import Attention, Format, Head, Input, Order
from isa.instruction import Opcode, Queue
from isa.presets import PRESETS, preset
from program.compiler.builder import Builder
from program.compiler.compiler import compile_encoder
from program.compiler.limits import check_product
from program.program import CompileError
from tb.lib.words import naming
from tb.models import BINARY, TERNARY, random_encoder
from tb.program.cases import any_config, any_encoder, assert_right, assert_right_in_any_order, compiled

ODD = {
    "layers": 2,
    "width": 24,
    "heads": 3,
    "head_width": 6,
    "feed_forward": 41,
    "tokens": 5,
    "classes": 3,
    "input_size": 13,
}
STRUCTURES = list(product(Input, Order, Attention, Head))


@pytest.mark.parametrize(("input", "order", "attention", "head"), STRUCTURES)
def test_every_structure_computes_every_tensor(input, order, attention, head):
    """On half of the presets each, so that every kind of input, order, attention and head meets all of them."""
    index = STRUCTURES.index((input, order, attention, head))
    rng = np.random.default_rng(index)
    encoder = random_encoder(
        rng, **ODD, input=input, order=order, attention=attention, head=head, pooler=index % 2 == 0, rms=index % 3 == 0,
        weight=TERNARY if index % 5 == 0 else BINARY,
    )  # fmt: skip
    for config in list(PRESETS.values())[index // 2 % 2 :: 2]:
        assert_right(compiled(encoder, config), encoder, rng, samples=3)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("seed", range(12))
def test_any_shape_and_format_fits_any_configuration(seed, batch):
    rng = np.random.default_rng(seed)
    encoder, config = any_encoder(rng), any_config(rng)
    assert_right(compiled(encoder, config, batch), encoder, rng)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("seed", range(6))
def test_no_order_that_the_thresholds_allow_changes_a_tensor(seed, batch):
    """In memories so small that nearly all space is used again."""
    rng = np.random.default_rng(100 + seed)
    encoder = any_encoder(rng, most_bits=3)
    program = squeezed(encoder, any_config(rng), batch)
    for prefer in permutations(Queue):
        assert_right_in_any_order(program, encoder, rng, prefer)


def squeezed(encoder, config, batch):
    """The program for the smallest memories, roughly, that the encoder fits."""
    for name in ("left_depth", "right_depth", "constant_depth"):
        for share in (Fraction(1, 4), Fraction(1, 2), Fraction(3, 4)):
            while getattr(config, name) > 3:
                smaller = replace(config, **{name: int(getattr(config, name) * share)})
                try:
                    compile_encoder(encoder, smaller, batch)
                except CompileError:
                    break
                config = smaller
    return compiled(encoder, config, batch)


@pytest.mark.parametrize(
    ("shape", "name", "depth", "part"),
    [
        ({"width": 16, "heads": 1, "head_width": 100}, "left_depth", 50, "layer0.attention.value.part3"),
        ({"width": 16, "heads": 1, "head_width": 100}, "right_depth", 114, "layer0.attention.key.part1"),
        ({"feed_forward": 200}, "constant_depth", 30, "layer0.feed_forward.hidden.part1"),
        ({"feed_forward": 200}, "constant_depth", 20, "layer0.feed_forward.hidden.part3"),
    ],
)
def test_weights_that_do_not_fit_are_cut_in_parts(shape, name, depth, part):
    rng = np.random.default_rng(5)
    encoder = random_encoder(rng, **shape, weight=Format(Kind.SIGNED, 4))
    roomy = replace(preset("tiny"), left_depth=1024, right_depth=2048, constant_depth=256)
    assert part not in compiled(encoder, roomy).names
    program = compiled(encoder, replace(roomy, **{name: depth}))
    assert part in program.names
    assert_right(program, encoder, rng)


def test_loads_are_issued_ahead_of_their_use():
    encoder = random_encoder(np.random.default_rng(0), layers=2)
    program = compiled(encoder, preset("small"))
    for part in ("key1", "output"):
        load = program.names.index(f"layer0.attention.{part}.weight load")
        use = program.names.index(f"layer0.attention.{part}")
        between = [program.instructions[i].opcode for i in range(load, use)]
        assert Opcode.QMM in between


def test_scores_of_the_next_head_come_before_the_context_of_a_head():
    encoder = random_encoder(np.random.default_rng(0), heads=3)
    names = compiled(encoder, preset("small")).names
    order = [n.rsplit(".", 1)[1] for n in names if "attention.scores" in n or "attention.context" in n]
    order = [n for n in order if not n.startswith("context.")]
    assert [n for n in order if "load" not in n and n != "constants"] == [
        "scores0", "scores1", "context0", "scores2", "context1", "context2"
    ]  # fmt: skip


def test_row_tiles_behind_attention_do_not_wait_for_all_of_it():
    """On 4 row tiles: queries before the last norm, the last head in halves, the output projection between them, and the
    hidden layer two row tiles behind."""
    encoder = random_encoder(np.random.default_rng(0), heads=2, tokens=16)
    program = compiled(encoder, preset("tiny"))
    names = [n.removeprefix("layer0.") for n, i in zip(program.names, program.instructions) if i.opcode is Opcode.QMM]
    output, hidden = "attention.output", "feed_forward.hidden"
    start, end = names.index("attention.query0"), names.index("feed_forward.output")
    assert names[start : start + 4] == ["attention.query0", "attention.query1", "attention.query0", "attention.key0"]
    assert names[names.index("attention.context1") : end] == [
        "attention.context1", output, output, "attention.context1", output, hidden, output, hidden, hidden, hidden,
    ]  # fmt: skip


def test_the_same_encoder_gives_the_same_program():
    made = [compile_encoder(random_encoder(np.random.default_rng(7)), preset("small")) for _ in range(2)]
    assert made[0].image == made[1].image
    assert made[0].symbols == made[1].symbols


@pytest.mark.parametrize(
    ("encoder", "changes", "named"),
    [
        ({"width": 80}, {}, ("width of the model", 80, 64, "raise row_columns")),
        ({"tokens": 70}, {"residual_depth": 2048}, ("number of tokens", 70, 64, "raise row_columns")),
        ({"classes": 70}, {}, ("number of classes", 70, 64, "raise row_columns")),
        ({}, {"left_depth": 10}, ("layer0.feed_forward.hidden", 8, 10, "left memory", "raise left_depth")),
        ({}, {"right_depth": 20}, ("embedding.projection.weight", 64, 20, "right memory", "raise right_depth")),
        ({}, {"constant_depth": 5}, ("embedding.projection.constants", 8, 5, "constant memory", "raise constant_depth")),
        ({}, {"norm_depth": 5}, ("embedding.norm", 8, 5, "norm memory", "raise norm_depth")),
        ({}, {"residual_depth": 5}, ("embedding.position", 64, 5, "residual memory", "raise residual_depth")),
        ({"patch": Format(Kind.UNSIGNED, 8), "input_size": 60}, {"accumulator_bits": 18},
         ("embedding.projection", 60, "8 by 8 bits", 18, "raise accumulator_bits")),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name_and_value(encoder, changes, named):
    rng = np.random.default_rng(1)
    with pytest.raises(CompileError, match=naming(*named)):
        compile_encoder(random_encoder(rng, **encoder), replace(preset("tiny"), **changes))


def test_an_offset_that_is_too_large_with_what_is_folded_in_is_refused():
    Builder.check_offsets("x", np.array([-(1 << 39), (1 << 39) - 1]))
    with pytest.raises(CompileError, match=naming("x", 1 << 39, 40)):
        Builder.check_offsets("x", np.array([0, 1 << 39]))


@pytest.mark.parametrize("kinds", list(product(Kind, Kind)))
def test_a_product_is_refused_from_the_first_depth_that_could_overflow(kinds):
    """The bound is exact for weights that are not known: the worst operands reach it."""
    x, w = (Format(kind, 1 if kind is Kind.BIPOLAR else 4) for kind in kinds)
    config = replace(preset("tiny"), accumulator_bits=16)
    ends = [values(np.array(f.range), f.kind) for f in (x, w)]
    counts = [np.array(f.range) for f in (x, w)]
    fits = True
    for depth in (10, 145, 146, 511, 512, 2184, 2185, 4000, 4096, 16383, 16384, 32767, 32768, 70000):
        share = depth if kinds == (Kind.BIPOLAR, Kind.BIPOLAR) else 0
        sums = [depth * a * b for a in counts[0] for b in counts[1]]
        sums += [depth * a * b - share for a in ends[0] for b in ends[1]]
        sums += [depth * a for a in counts[0]]
        fits = all(-(1 << 15) <= s < 1 << 15 for s in sums)
        if fits:
            check_product("x", config, x, w, depth)
        else:
            with pytest.raises(CompileError, match=naming("x", depth)):
                check_product("x", config, x, w, depth)
    assert not fits
