"""Codes, bit planes and packed words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.codes import Kind, check_kind, code_range, from_planes, pack_words, plane_weights, planes, unpack_words
from golden.codes import values as code_values
from tb.golden import plain
from tb.golden.strategies import codes, formats

shapes = st.lists(st.integers(1, 7), min_size=1, max_size=3).map(tuple)


@given(st.data(), formats, shapes)
def test_planes_weighted_by_significance_give_the_codes_back(data, code_format, shape):
    x = data.draw(codes(code_format, shape))
    bit_planes = planes(x, code_format.bits)
    assert bit_planes.shape == (code_format.bits, *shape)
    assert set(np.unique(bit_planes)) <= {0, 1}
    assert np.array_equal(from_planes(bit_planes, code_format.kind), x)
    weights = plane_weights(code_format.kind, code_format.bits)
    total = sum(int(w) * p.astype(int) for w, p in zip(weights, bit_planes, strict=True))
    assert np.array_equal(total, x)


@given(st.data(), formats, shapes)
def test_values_are_what_the_kind_says(data, code_format, shape):
    x = data.draw(codes(code_format, shape))
    expected = [plain.value(code, code_format.kind) for code in x.ravel().tolist()]
    assert code_values(x, code_format.kind).ravel().tolist() == expected


@given(st.data(), st.integers(1, 100), st.sampled_from([8, 16, 64, 128]))
def test_bit_k_of_a_row_is_bit_k_of_its_little_endian_words(data, depth, word_bits):
    bits = np.array(data.draw(st.lists(st.integers(0, 1), min_size=2 * depth, max_size=2 * depth))).reshape(2, depth)
    packed = pack_words(bits, word_bits)
    assert packed.shape == (2, -(-depth // word_bits), word_bits // 8)
    for row, words in zip(bits.tolist(), packed, strict=True):
        number = int.from_bytes(words.tobytes(), "little")
        assert number == sum(bit << k for k, bit in enumerate(row))
    assert np.array_equal(unpack_words(packed, depth), bits)


@pytest.mark.parametrize(
    ("kind", "bits", "expected"),
    [
        (Kind.BIPOLAR, 1, (0, 1)),
        (Kind.UNSIGNED, 1, (0, 1)),
        (Kind.UNSIGNED, 8, (0, 255)),
        (Kind.SIGNED, 1, (-1, 0)),
        (Kind.SIGNED, 2, (-2, 1)),
        (Kind.SIGNED, 8, (-128, 127)),
    ],
)
def test_the_range_of_a_code_follows_from_kind_and_bits(kind, bits, expected):
    assert code_range(kind, bits) == expected


@pytest.mark.parametrize(("kind", "bits"), [(Kind.UNSIGNED, 0), (Kind.SIGNED, 9), (Kind.BIPOLAR, 2)])
def test_a_width_that_a_kind_cannot_have_is_named(kind, bits):
    with pytest.raises(ValueError, match=f"not {bits}"):
        check_kind(kind, bits)
