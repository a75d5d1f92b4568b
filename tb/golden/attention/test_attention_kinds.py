"""Attention kinds: what each makes of scores, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest

from golden.attention.kinds import ATTENTION_KINDS
from golden.check import check_encoder
from golden.codes import Kind
from golden.model import Attention, Format
from tb.models import random_encoder

BIT = Format(Kind.UNSIGNED, 1)


def block_of(attention, **changes):
    encoder = random_encoder(np.random.default_rng(0), attention=attention)
    return encoder, replace(encoder.layers[0].attention, **changes)


def with_block(encoder, block):
    return replace(encoder, layers=(replace(encoder.layers[0], attention=block),))


@pytest.mark.parametrize("attention", Attention)
def test_keys_of_padding_weigh_nothing_and_change_no_other(attention):
    kind, (_, block) = ATTENTION_KINDS[attention], block_of(attention)
    rng = np.random.default_rng(1)
    low, high = (-200, 200) if kind.score_format(block) is None else block.probability.range
    scores = rng.integers(low, high + 1, (6, 9))
    codes = kind.weights(scores, 5, block)
    assert codes[:, :5].any()
    assert not codes[:, 5:].any()
    scores[:, 5:] = high
    assert np.array_equal(kind.weights(scores, 5, block), codes)


@pytest.mark.parametrize(
    ("attention", "changes", "message"),
    [
        (Attention.SOFTMAX, {"step": 1 << 16}, r"layers\.0\.attention\.step must be in 2\^15\.\.2\^16-1, not 65536"),
        (Attention.SOFTMAX, {"step_shift": 32}, r"layers\.0\.attention\.step_shift must be in 0\.\.31, not 32"),
        (Attention.THRESHOLD, {"probability": Format(Kind.UNSIGNED, 2)}, r"probability must have 1 bit, not 2"),
        (Attention.SOFTMAX, {"probability": Format(Kind.SIGNED, 2)}, "probability must be unsigned, not SIGNED"),
    ],
)
def test_a_parameter_or_format_that_a_kind_cannot_have_is_named(attention, changes, message):
    encoder, block = block_of(attention, **changes)
    with pytest.raises(ValueError, match=message):
        check_encoder(with_block(encoder, block))


def test_thresholds_need_no_step():
    encoder, block = block_of(Attention.THRESHOLD, step=0, step_shift=0)
    check_encoder(with_block(encoder, block))
