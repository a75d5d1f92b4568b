"""Rescale against exact fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.rescale import quantize_constants, rescale
from tb.golden.strategies import formats, integers, seeds


def round_half_up(number):
    return math.floor(number + Fraction(1, 2))


@given(integers(24, (3, 5)), integers(16, (5,)), integers(39, (5,)), st.integers(0, 31), formats)
def test_rescale_rounds_half_up_and_clips(t, scale, offset, shift, code_format):
    low, high = code_format.range
    expected = [
        [
            max(low, min(high, round_half_up(Fraction(x * m + o, 2**shift))))
            for x, m, o in zip(row, scale.tolist(), offset.tolist(), strict=True)
        ]
        for row in t.tolist()
    ]
    assert rescale(t, scale, offset, shift, low, high).tolist() == expected


@pytest.mark.parametrize(("t", "expected"), [(-3, -1), (-2, -1), (-1, 0), (0, 0), (1, 1), (2, 1), (3, 2)])
def test_halves_round_up_on_both_sides_of_zero(t, expected):
    assert rescale(np.array([[t]]), 1, 0, 1, -100, 100) == expected


@given(integers(20, (4, 3)), integers(16, (4,)), st.integers(0, 20))
def test_constants_by_row_are_those_by_column_of_the_transpose(t, scale, shift):
    by_row = rescale(t, scale[:, None], scale[:, None], shift, -128, 127)
    assert np.array_equal(by_row, rescale(t.T, scale, scale, shift, -128, 127).T)


@given(seeds, st.floats(1e-5, 1e3), st.floats(0, 1e4))
def test_quantized_constants_fit_at_the_largest_shift_that_holds_them(seed, largest, offset):
    rng = np.random.default_rng(seed)
    scale, offset = largest * rng.uniform(-1, 1, 6), offset * rng.uniform(-1, 1, 6)
    m, o, shift = quantize_constants(scale, offset)
    assert 0 <= shift <= 31
    assert np.abs(m).max() < 1 << 15
    assert np.abs(o).max() < 1 << 38
    assert np.all(np.abs(m - scale * 2.0**shift) <= 0.5)
    assert np.all(np.abs(o - offset * 2.0**shift) <= 0.5)
    # A shift one larger would not have fitted.
    larger = 2.0 ** (shift + 1)
    assert shift == 31 or np.abs(scale).max() * larger >= (1 << 15) - 0.5 or np.abs(offset).max() * larger >= (1 << 38) - 0.5


@pytest.mark.parametrize(("scale", "offset"), [(1e6, 0.0), (1.0, 1e13), (math.nan, 0.0), (1.0, math.inf)])
def test_constants_that_cannot_fit_are_refused(scale, offset):
    with pytest.raises(ValueError, match="rescale constants"):
        quantize_constants(np.array([scale]), np.array([offset]))
