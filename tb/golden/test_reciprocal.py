"""Reciprocal and reciprocal square root: exact steps, and the relative error over the whole range."""

import math
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from golden.reciprocal import RECIPROCAL_TABLE, RSQRT_TABLE, bit_length, reciprocal, reciprocal_sqrt
from tb.golden import plain

BOUND = 2.0**-14
positive = st.integers(1, 62).flatmap(lambda bits: st.integers(1 << (bits - 1), (1 << bits) - 1))


@given(st.lists(positive, min_size=1, max_size=20))
def test_both_equal_the_same_steps_in_python_integers(numbers):
    for function, slow in ((reciprocal, plain.reciprocal), (reciprocal_sqrt, plain.reciprocal_sqrt)):
        mantissas, exponents = function(np.array(numbers))
        assert list(zip(mantissas.tolist(), exponents.tolist(), strict=True)) == [slow(x) for x in numbers]


@given(st.lists(positive, min_size=1, max_size=20))
def test_bit_length_is_that_of_python(numbers):
    assert bit_length(np.array(numbers)).tolist() == [x.bit_length() for x in numbers]


def test_the_tables_are_the_rounded_midpoints():
    for i, entry in enumerate(RECIPROCAL_TABLE.tolist()):
        assert abs(entry - 2**10 / (1 + Fraction(2 * i + 1, 256))) <= Fraction(1, 2)
    for i, entry in enumerate(RSQRT_TABLE.tolist()):
        assert entry == (0 if i < 64 else round(2**11 / math.sqrt((i + 0.5) / 64)))


def extremes(bits, mantissa_bits):
    """The smallest and the largest number of each mantissa of ``mantissa_bits``, at a length of ``bits``."""
    mantissa = np.arange(1 << (mantissa_bits - 1), 1 << mantissa_bits, dtype=np.int64)
    if bits <= mantissa_bits:
        return mantissa >> (mantissa_bits - bits)
    drop = bits - mantissa_bits
    return np.concatenate([mantissa << drop, (mantissa + 1 << drop) - 1])


def test_the_reciprocal_errs_by_at_most_2_to_the_minus_14_over_the_whole_range():
    for bits in range(1, 63):
        x = extremes(bits, 17)
        y, n = reciprocal(x)
        assert y.min() >= 1 << 16
        assert y.max() < 1 << 17
        assert np.abs(y * (x / 2.0 ** (16 + n)) - 1).max() <= BOUND


def test_the_reciprocal_root_errs_by_at_most_2_to_the_minus_14_over_the_whole_range():
    for bits in range(1, 63):
        x = extremes(bits, 17 + (bits % 2 == 0))
        y, k = reciprocal_sqrt(x)
        assert y.min() >= 1 << 16
        assert y.max() < 1 << 17
        assert np.abs(y * (np.sqrt(x.astype(float)) / 2.0 ** (17 + k)) - 1).max() <= BOUND
