"""QMM by counted bits against sums of products of Python integers."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.codes import Kind, plane_weights
from golden.model import Format
from golden.qmm import plane_pairs, product, qmm
from tb.golden import plain
from tb.golden.strategies import codes, formats
from tb.models import BINARY, TERNARY, random_codes

ALL = [Format(Kind.BIPOLAR, 1)] + [Format(kind, bits) for kind in (Kind.UNSIGNED, Kind.SIGNED) for bits in range(1, 9)]


def counted(left, right, left_format, right_format):
    return qmm(left, right, left_format.kind, left_format.bits, right_format.kind, right_format.bits)


def slow(left, right, left_format, right_format):
    return plain.multiply(plain.values(left, left_format.kind), plain.values(right, right_format.kind))


@pytest.mark.parametrize(("left_format", "right_format"), list(itertools.product(ALL, ALL)))
def test_every_pair_of_formats_multiplies_exactly(left_format, right_format):
    rng = np.random.default_rng([left_format.bits, right_format.bits])
    left, right = random_codes(rng, left_format, (2, 21)), random_codes(rng, right_format, (3, 21))
    assert counted(left, right, left_format, right_format).tolist() == slow(left, right, left_format, right_format)


@given(st.data(), formats, formats, st.integers(1, 9), st.integers(1, 9), st.integers(1, 70))
def test_any_shape_and_any_extreme_multiplies_exactly(data, left_format, right_format, rows, columns, depth):
    left = data.draw(codes(left_format, (rows, depth)))
    right = data.draw(codes(right_format, (columns, depth)))
    expected = slow(left, right, left_format, right_format)
    assert counted(left, right, left_format, right_format).tolist() == expected
    assert product(left, right, left_format.kind, right_format.kind).tolist() == expected


@given(st.data(), formats, st.integers(1, 70))
def test_ternary_weights_multiply_as_one_signed_or_two_bipolar_operands(data, left_format, depth):
    left = data.draw(codes(left_format, (2, depth)))
    ternary = random_codes(np.random.default_rng(depth), TERNARY, (3, depth))
    signed = counted(left, ternary, left_format, TERNARY)
    assert signed.tolist() == slow(left, ternary, left_format, TERNARY)
    first, second = (ternary >= 0).astype(int), (ternary > 0).astype(int)
    halves = [counted(left, part, left_format, BINARY) for part in (first, second)]
    assert np.array_equal(halves[0] + halves[1], 2 * signed)


@given(formats, formats)
def test_plane_pairs_cover_every_pair_once_with_the_weight_that_horner_gives_it(left_format, right_format):
    pairs = plane_pairs(*left_format, *right_format)
    assert {(p, q) for p, q, _, _ in pairs} == set(itertools.product(range(left_format.bits), range(right_format.bits)))
    assert len(pairs) == left_format.bits * right_format.bits
    left, right = plane_weights(*left_format), plane_weights(*right_format)
    doublings = sum(double for _, _, double, _ in pairs)
    for p, q, double, subtract in pairs:
        doublings -= double
        assert left[p] * right[q] == (-1 if subtract else 1) * 2**doublings
    assert doublings == 0
