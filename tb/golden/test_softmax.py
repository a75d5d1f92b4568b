"""Integer softmax: exact steps, masks, and its distance from the real function."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.softmax import EXPONENTIAL_TABLE, exponentials, quantize_step, softmax
from tb.golden import plain
from tb.golden.strategies import seeds

steps = st.floats(2.0**-12, 2.0)


@st.composite
def score_rows(draw):
    """``(scores, length)``: wide or narrow rows, ties, one key far above, the ends of 16 bits."""
    keys, rows = draw(st.integers(1, 70)), 3
    rng = np.random.default_rng(draw(seeds))
    spread = draw(st.sampled_from([0, 5, 64, 300, 1500, 20000]))
    scores = np.rint(rng.normal(0, spread, (rows, keys))).astype(np.int64)
    match draw(st.sampled_from(["plain", "peak", "ends"])):
        case "peak":
            scores[:, rng.integers(0, keys)] += draw(st.integers(0, 4000))
        case "ends":
            scores = rng.choice(np.array([-32768, 32767, 0, 32767 - 63, 32767 - 65]), (rows, keys))
    return np.clip(scores, -32768, 32767), draw(st.integers(1, keys))


@given(score_rows(), steps, st.integers(1, 8))
def test_softmax_equals_the_same_steps_in_python_integers(drawn, alpha, bits):
    scores, length = drawn
    step, step_shift = quantize_step(alpha)
    expected = [plain.softmax_row(row, length, step, step_shift, bits) for row in scores.tolist()]
    assert softmax(scores, length, step, step_shift, bits).tolist() == expected


@given(score_rows(), steps, st.integers(1, 8))
def test_masked_keys_get_0_and_change_nothing(drawn, alpha, bits):
    scores, length = drawn
    step, step_shift = quantize_step(alpha)
    codes = softmax(scores, length, step, step_shift, bits)
    assert not codes[:, length:].any()
    other = scores.copy()
    other[:, length:] = 32767
    assert np.array_equal(softmax(other, length, step, step_shift, bits), codes)
    alone = softmax(scores[:, :length], length, step, step_shift, bits)
    assert np.array_equal(alone, codes[:, :length])


@given(score_rows(), steps, st.integers(1, 8), st.integers(-100, 100))
def test_only_differences_of_scores_count(drawn, alpha, bits, lift):
    scores, length = drawn
    scores = np.clip(scores, -32668, 32667)
    step, step_shift = quantize_step(alpha)
    codes = softmax(scores, length, step, step_shift, bits)
    assert np.array_equal(softmax(scores + lift, length, step, step_shift, bits), codes)


def distance_bound(p, alpha, keys):
    """The bound that the docstring of `softmax` states."""
    return 0.5 + p / alpha * (2.0**-13 + keys * 2.0**-15) + 2.0**-15 / alpha


def real_softmax(scores, length):
    weights = 2.0 ** ((scores[:, :length] - scores[:, :length].max(-1, keepdims=True)) / 64)
    return weights / weights.sum(-1, keepdims=True)


def assert_close_to_real(scores, length, alpha, bits):
    p = real_softmax(scores, length)
    step, step_shift = quantize_step(alpha)
    codes = softmax(scores, length, step, step_shift, bits)[:, :length]
    error = np.abs(codes - np.minimum(p / alpha, (1 << bits) - 1))
    assert (error <= distance_bound(p, alpha, length)).all()


@given(score_rows(), st.floats(2.0**-15, 2.0), st.integers(1, 8))
def test_a_code_is_within_the_stated_distance_of_the_real_probability_over_its_step(drawn, alpha, bits):
    scores, length = drawn
    assert_close_to_real(scores, length, alpha, bits)


@pytest.mark.parametrize("keys", [1, 2, 128, 512])
def test_the_stated_distance_holds_at_every_distance_of_two_scores_and_in_long_rows(keys):
    far = np.arange(0, 1200, dtype=np.int64)
    scores = np.zeros((len(far), keys), np.int64)
    scores[:, 1:] = -far[:, None]
    for alpha in (2.0**-9, 1 / 300, 1.0):
        assert_close_to_real(scores, keys, alpha, 8)


def test_exponentials_are_powers_of_two_to_within_a_unit_and_a_half():
    distance = np.arange(0, 65536, dtype=np.int64)
    scores = np.stack([np.full_like(distance, 32767), 32767 - distance], axis=1)
    e = exponentials(scores, 2)[:, 1]
    error = e - 2.0 ** (16 - distance / 64)
    assert error.min() >= -1.5
    assert error.max() <= 0.5
    assert EXPONENTIAL_TABLE[0] == 65535


@given(st.floats(2.0**-15, 65535.0))
def test_a_quantized_step_is_exact_to_16_bits(alpha):
    step, shift = quantize_step(alpha)
    assert 1 << 15 <= step < 1 << 16
    assert 0 <= shift <= 31
    assert math.isclose(step * 2.0**-shift * alpha, 1, rel_tol=2.0**-16)


@pytest.mark.parametrize("alpha", [0.0, 2.0**-16, 2.0**16, math.inf, -1.0])
def test_a_step_out_of_range_is_named(alpha):
    with pytest.raises(ValueError, match=r"2\^-15 \.\. 2\^16"):
        quantize_step(alpha)
