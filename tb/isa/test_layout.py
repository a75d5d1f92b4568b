"""Bytes of the memory images, against a loop over single bits and numbers."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.codes import from_planes
from isa.layout import (
    CONSTANT_BYTES,
    NORM_BYTES,
    ceil_div,
    pack_constants,
    pack_norm,
    pack_operand,
    pack_residual,
    pad_to,
    round_up,
    spread,
)
from tb.golden.strategies import codes, formats


@given(st.integers(-100, 100), st.integers(1, 17))
def test_a_quotient_is_rounded_up_and_a_size_to_the_next_multiple(value, divisor):
    assert (ceil_div(value, divisor) - 1) * divisor < value <= ceil_div(value, divisor) * divisor
    assert round_up(value, divisor) % divisor == 0
    assert value <= round_up(value, divisor) < value + divisor


@given(
    st.data(),
    formats,
    st.tuples(st.integers(1, 11), st.integers(1, 40)),
    st.sampled_from([1, 2, 4]),
    st.sampled_from([8, 32]),
)
def test_every_code_of_an_operand_comes_back_bit_by_bit_and_the_rest_is_zero(data, form, shape, banks, word_bits):
    """Plane p of element (i, k) is bit k % K of bank i % banks at word (p * tiles + i // banks) * words + k // K."""
    rows, depth = shape
    x = data.draw(codes(form, shape))
    packed = pack_operand(x, form.bits, banks, word_bits)
    tiles, words = -(-rows // banks), -(-depth // word_bits)
    assert len(packed) == form.bits * tiles * words * banks * word_bits // 8
    found = np.zeros((form.bits, rows, depth), np.int64)
    for p in range(form.bits):
        for i in range(rows):
            for k in range(depth):
                word = (p * tiles + i // banks) * words + k // word_bits
                bit = (word * banks + i % banks) * word_bits + k % word_bits
                found[p, i, k] = packed[bit // 8] >> bit % 8 & 1
    assert np.array_equal(from_planes(found, form.kind), x)
    assert sum(byte.bit_count() for byte in packed) == found.sum()


def test_unsigned_codes_wider_than_their_planes_lose_their_high_bits_only():
    """What a plane holds is one bit: nothing of a code spills into its neighbours."""
    assert pack_operand(np.array([[5, 0, 0, 0, 0, 0, 0, 1]]), 1, 1, 8) == bytes([0b10000001])


@given(st.lists(st.tuples(st.integers(-(1 << 15), (1 << 15) - 1), st.integers(-(1 << 39), (1 << 39) - 1)), min_size=1))
def test_a_rescale_constant_is_its_scale_below_its_offset_and_a_zero_byte(pairs):
    packed = pack_constants(*np.array(pairs).T)
    assert len(packed) == CONSTANT_BYTES * len(pairs)
    for index, (scale, offset) in enumerate(pairs):
        entry = packed[index * CONSTANT_BYTES : (index + 1) * CONSTANT_BYTES]
        assert int.from_bytes(entry[:2], "little", signed=True) == scale
        assert int.from_bytes(entry[2:7], "little", signed=True) == offset
        assert entry[7] == 0


@given(st.lists(st.tuples(*[st.integers(-(1 << 15), (1 << 15) - 1)] * 4), min_size=1))
def test_a_norm_constant_is_four_numbers_of_16_bit(entries):
    packed = pack_norm(*np.array(entries).T)
    assert len(packed) == NORM_BYTES * len(entries)
    assert list(struct.iter_unpack("<4h", packed)) == entries


@given(st.data(), st.integers(1, 5), st.integers(1, 9), st.integers(0, 4))
def test_a_residual_is_its_rows_each_followed_by_zeros(data, rows, width, padding):
    number = st.integers(-(1 << 15), (1 << 15) - 1)
    residual = [data.draw(st.lists(number, min_size=width, max_size=width)) for _ in range(rows)]
    packed = pack_residual(np.array(residual), width + padding)
    assert [list(row) for row in struct.iter_unpack(f"<{width + padding}h", packed)] == [
        row + [0] * padding for row in residual
    ]


@given(st.data(), st.integers(1, 4), st.integers(1, 4))
def test_a_spread_matrix_has_its_elements_at_the_positions_and_zeros_elsewhere(data, rows, columns):
    down = data.draw(st.permutations(range(rows + 2)))[:rows]
    across = data.draw(st.permutations(range(columns + 3)))[:columns]
    matrix = np.arange(1, rows * columns + 1).reshape(rows, columns)
    wide = spread(matrix, down, across, (rows + 2, columns + 3))
    assert wide.shape == (rows + 2, columns + 3)
    for i in range(rows):
        for j in range(columns):
            assert wide[down[i], across[j]] == matrix[i, j]
    assert np.count_nonzero(wide) == rows * columns


def test_padding_is_behind_what_there_is_on_every_axis():
    padded = pad_to(np.array([[1, 2], [3, 4]]), 3, 4)
    assert padded.tolist() == [[1, 2, 0, 0], [3, 4, 0, 0], [0, 0, 0, 0]]


def test_an_array_larger_than_what_it_is_to_be_padded_to_is_refused():
    with pytest.raises(ValueError, match="negative"):
        pad_to(np.zeros((2, 3)), 2, 2)


def test_the_kinds_of_code_do_not_change_the_bytes():
    """Only the planes are stored; -1 of two bits is 3."""
    signed, unsigned = np.array([[-1, 1, -2, 0]]), np.array([[3, 1, 2, 0]])
    assert pack_operand(signed, 2, 1, 8) == pack_operand(unsigned, 2, 1, 8) == bytes([0b0011, 0b0101])
