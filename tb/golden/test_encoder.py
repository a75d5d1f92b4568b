"""The whole integer encoder against the plain one, for every structure it can have."""

import itertools

import numpy as np
import pytest

from golden.codes import Kind
from golden.encoder import encode
from golden.model import Attention, Format, Head, Input, Order
from tb.golden import plain
from tb.models import BINARY, TERNARY, random_encoder, random_inputs

SHAPE = {"layers": 1, "width": 10, "heads": 2, "head_width": 3, "feed_forward": 13, "tokens": 5, "input_size": 7}
STRUCTURES = list(itertools.product(Input, Order, Attention, Head))


def signed(bits):
    return BINARY if bits == 1 else Format(Kind.SIGNED, bits)


def assert_equal(encoder, inputs, length):
    trace, expected = encode(encoder, inputs, length), plain.encode(encoder, inputs.tolist(), length)
    assert list(trace) == [*expected, "saturated"]
    tokens = encoder.config.tokens
    for name, tensor in expected.items():
        # The plain one computes all tokens, and masks.
        rows = list(tensor[:length]) if len(np.shape(tensor)) == 2 else tensor
        if "probability" in name:
            rows = [row[:length] for row in rows]
        elif name == "logits" and encoder.config.head is Head.TOKEN:
            rows += [[0] * len(rows[0])] * (tokens - length)
        assert trace[name].tolist() == rows, name


@pytest.mark.parametrize(("input", "order", "attention", "head"), STRUCTURES)
def test_every_structure_computes_the_same_tensors_as_plain_integers(input, order, attention, head):
    index = STRUCTURES.index((input, order, attention, head))
    rng = np.random.default_rng(index)
    bits = 1 + index % 4
    encoder = random_encoder(
        rng, **SHAPE, input=input, order=order, attention=attention, head=head, pooler=index % 2 == 0,
        rms=index % 3 == 0, weight=TERNARY if index % 5 == 0 else BINARY, codes=signed(bits), query=signed(bits),
        key=signed(1 + index % 3), value=signed(bits), context=signed(bits), hidden=Format(Kind.UNSIGNED, bits),
        probability=Format(Kind.UNSIGNED, 1 if attention is Attention.THRESHOLD else bits),
    )  # fmt: skip
    for inputs, length in random_inputs(rng, encoder, 3):
        assert_equal(encoder, inputs, length)


@pytest.mark.parametrize("seed", range(6))
def test_each_tensor_may_have_a_format_of_its_own(seed):
    rng = np.random.default_rng(seed)

    def any_format(*kinds):
        kind = kinds[rng.integers(len(kinds))]
        return Format(kind, 1 if kind is Kind.BIPOLAR else int(rng.integers(1, 9)))

    names = ("weight", "codes", "feed", "last", "query", "key", "value", "context", "hidden", "patch", "ends")
    formats = {name: any_format(*Kind) for name in names}
    encoder = random_encoder(rng, **SHAPE | {"layers": 2}, **formats, probability=any_format(Kind.UNSIGNED))
    for inputs, length in random_inputs(rng, encoder, 2):
        assert_equal(encoder, inputs, length)


def test_padding_tokens_change_nothing_that_is_read():
    rng = np.random.default_rng(1)
    encoder = random_encoder(rng, **SHAPE, input=Input.TOKENS, head=Head.MEAN)
    (inputs, _), *_ = random_inputs(rng, encoder)
    padded = inputs.copy()
    padded[3:] = (padded[3:] + 1) % SHAPE["input_size"]
    assert np.array_equal(encode(encoder, inputs, 3)["logits"], encode(encoder, padded, 3)["logits"])


def test_saturated_elements_of_the_residual_are_counted():
    rng = np.random.default_rng(2)
    calm = random_encoder(rng, **SHAPE)
    wild = random_encoder(rng, **SHAPE, residual_fraction=14)
    inputs, length = random_inputs(rng, calm)[0]
    assert encode(calm, inputs, length)["saturated"] == 0
    assert encode(wild, inputs, length)["saturated"] > 0


def test_tokens_that_are_not_there_saturate_nothing():
    encoder = random_encoder(np.random.default_rng(2), **SHAPE, residual_fraction=14)
    inputs, tokens = random_inputs(np.random.default_rng(3), encoder)[0]
    counts = [encode(encoder, inputs, length)["saturated"] for length in range(1, tokens + 1)]
    assert counts[0] < counts[-1]
    changed = inputs.copy()
    changed[3:] = changed[3:][:, ::-1]
    assert encode(encoder, changed, 3)["saturated"] == counts[2]


def test_codes_of_random_encoders_are_well_spread():
    rng = np.random.default_rng(3)
    four = signed(4)
    encoder = random_encoder(rng, tokens=16, codes=four, query=four, key=four, value=four, context=four)
    trace = encode(encoder, *random_inputs(rng, encoder)[0])
    for name in ("embedding.codes", "layer0.attention.query", "layer0.attention.context", "layer0.feed_forward.codes"):
        assert len(np.unique(trace[name])) == 16, name
        assert np.mean((trace[name] > -8) & (trace[name] < 7)) > 0.5, name


@pytest.mark.parametrize(
    ("shape", "length", "message"),
    [((4, 7), 4, r"shape \(5, 7\), not \(4, 7\)"), ((5, 7), 0, r"1\.\.5, not 0"), ((5, 7), 6, r"1\.\.5, not 6")],
)
def test_an_input_of_wrong_shape_or_length_is_named(shape, length, message):
    encoder = random_encoder(np.random.default_rng(4), **SHAPE)
    with pytest.raises(ValueError, match=message):
        encode(encoder, np.zeros(shape, np.int64), length)


@pytest.mark.parametrize("wrong", [-1, 7])
def test_a_token_outside_the_vocabulary_is_named(wrong):
    encoder = random_encoder(np.random.default_rng(5), **SHAPE, input=Input.TOKENS)
    with pytest.raises(ValueError, match=rf"0\.\.6, not {wrong}"):
        encode(encoder, np.array([0, 1, 2, 3, wrong]), 5)


@pytest.mark.parametrize("wrong", [-1, 256])
def test_a_patch_code_out_of_range_is_named(wrong):
    encoder = random_encoder(np.random.default_rng(6), **SHAPE)
    with pytest.raises(ValueError, match=rf"0\.\.255, but go from .*{wrong}"):
        encode(encoder, np.array([[wrong] + [0] * 6] * 5), 5)
