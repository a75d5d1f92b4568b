"""Integer LayerNorm and RMSNorm: exact steps, and their distance from the real functions."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.layernorm import affine, affine_to_residual, normalise, quantize_affine, width_reciprocal
from golden.model import Requantization
from tb.golden import plain
from tb.golden.strategies import integers, seeds

epsilons = st.one_of(st.just(1), st.integers(1, (1 << 32) - 1))


@st.composite
def streams(draw):
    """Rows of the residual stream: any width, any deviation, offset means, and both ends of 16 bits."""
    width = draw(st.one_of(st.integers(2, 40), st.sampled_from([64, 255, 256, 768, 4095])))
    rng = np.random.default_rng(draw(seeds))
    match draw(st.sampled_from(["normal", "constant", "one", "ends"])):
        case "normal":
            deviation = 10 ** draw(st.floats(-1, 4.5))
            x = rng.normal(draw(st.integers(-32768, 32767)), deviation, (2, width))
        case "constant":
            x = np.full((2, width), draw(st.sampled_from([-32768, -1, 0, 5, 32767])))
        case "one":
            x = np.full((2, width), draw(st.integers(-32768, 32767)))
            x[:, 0] = draw(st.integers(-32768, 32767))
        case "ends":
            x = rng.choice([-32768, 32767], (2, width))
    return np.clip(np.rint(x), -32768, 32767).astype(np.int64)


@given(streams(), epsilons, st.booleans())
def test_normalise_equals_the_same_steps_in_python_integers(x, epsilon, rms):
    assert normalise(x, epsilon, rms).tolist() == [plain.normalise(row, epsilon, rms) for row in x.tolist()]


def real_normalised(x, epsilon, rms):
    """Real normalised values, mean and deviation of each row; sums are exact, the rest is float64."""
    rows = []
    for row in x.tolist():
        width, total = len(row), 0 if rms else sum(row)
        spread = width * sum(v * v for v in row) - total * total + epsilon
        deviation = math.sqrt(spread) / width
        rows.append(([float(v - Fraction(total, width)) / deviation for v in row], total / width, deviation))
    normal, mean, deviation = zip(*rows, strict=True)
    return np.array(normal), np.array(mean)[:, None], np.array(deviation)[:, None]


def distance_bound(normal, mean, deviation, width, rms=False):
    """The bound that the docstring of `normalise` states."""
    e = 0 if rms else (2.0**-7 + np.abs(mean) * width * 2.0**-33) / deviation
    return 2.0**-12 + (np.abs(normal) + e) * 2.0**-13 + e


@given(streams(), epsilons, st.booleans())
def test_a_normalised_value_is_within_the_stated_distance_of_the_real_one(x, epsilon, rms):
    normal, mean, deviation = real_normalised(x, epsilon, rms)
    error = np.abs(normalise(x, epsilon, rms) / 2.0**11 - normal)
    assert (error <= distance_bound(normal, mean, deviation, x.shape[1], rms)).all()


@given(st.integers(2, 60), st.integers(1, 32767), epsilons)
def test_adding_the_same_to_every_element_changes_nothing_beyond_the_mean_rounding(width, lift, epsilon):
    x = np.random.default_rng(width).integers(-500, 500, (1, width))
    moved = np.clip(x + lift, -32768, 32767)
    if not np.array_equal(moved, x + lift):
        return
    normal, _, deviation = real_normalised(x, epsilon, False)
    assert np.abs(normalise(moved, epsilon) - normalise(x, epsilon)).max() <= 2**11 * 2 * distance_bound(
        np.abs(normal).max(), 32768, deviation.min(), width
    )


@given(integers(18, (3, 5)), integers(16, (5,)), integers(16, (5,)), st.integers(0, 31))
def test_affine_rounds_half_up_and_clips(normal, scale, offset, shift):
    constants = Requantization(scale, offset, shift)
    expected = [plain.affine(row, constants, -128, 127) for row in normal.tolist()]
    assert affine(normal, scale, offset, shift, -128, 127).tolist() == expected


@given(integers(18, (3, 5)), integers(16, (5,)), integers(16, (5,)), st.integers(0, 31))
def test_the_residual_output_saturates_and_counts(normal, scale, offset, shift):
    constants = Requantization(scale, offset, shift)
    total, saturated = affine_to_residual(normal, scale, offset, shift)
    wide = [plain.affine(row, constants, -(2**60), 2**60) for row in normal.tolist()]
    assert total.tolist() == [plain.affine(row, constants, -(2**15), 2**15 - 1) for row in normal.tolist()]
    assert saturated == sum(not -(2**15) <= v < 2**15 for row in wide for v in row)


@given(seeds, st.floats(1e-3, 1e5), st.floats(1e-3, 1e5))
def test_quantized_constants_keep_a_normalised_affine_to_15_bits_of_the_largest(seed, largest, lift):
    rng = np.random.default_rng(seed)
    scale, offset = largest * rng.uniform(-1, 1, 5), lift * rng.uniform(-1, 1, 5)
    m, o, shift = quantize_affine(scale, offset)
    unit = 2.0 ** (11 - shift)
    assert max(np.abs(m).max(), np.abs(o).max()) < 1 << 15
    assert np.abs(m * unit - scale).max() <= unit / 2
    assert np.abs(o * unit - offset).max() <= unit / 2


def test_constants_that_cannot_fit_are_refused():
    with pytest.raises(ValueError, match="norm constants"):
        quantize_affine(np.array([1e9]), np.array([0.0]))


@pytest.mark.parametrize("width", [1, 4096])
def test_a_width_out_of_range_is_named(width):
    with pytest.raises(ValueError, match=f"not {width}"):
        width_reciprocal(width)
