"""Codes: the b-bit numbers that operands are made of, and their bit planes."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

MAX_BITS = 8


class Kind(IntEnum):
    """What a code ``u`` of ``bits`` bits stands for."""

    BIPOLAR = 0  #: 1 bit, value ``2u - 1``
    UNSIGNED = 1  #: value ``u``
    SIGNED = 2  #: two's complement


def check_kind(kind: Kind, bits: int) -> None:
    """Raise ValueError unless ``bits`` is legal for ``kind``."""
    if not 1 <= bits <= MAX_BITS:
        raise ValueError(f"a code has 1..{MAX_BITS} bits, not {bits}")
    if kind is Kind.BIPOLAR and bits != 1:
        raise ValueError(f"a bipolar code has 1 bit, not {bits}")


def code_range(kind: Kind, bits: int) -> tuple[int, int]:
    """Lowest and highest number that a rescale may produce for this kind: ``(low, high)``.

    A bipolar code is produced as 0 or 1, the others as their value.
    """
    check_kind(kind, bits)
    if kind is Kind.SIGNED:
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1


def values(codes: NDArray[np.integer], kind: Kind) -> NDArray[np.int64]:
    """Integer values of an array of codes, any shape, as int64.

    Signed codes are given as values (-2^(b-1) .. 2^(b-1)-1), as `code_range` says.
    """
    wide = np.asarray(codes, np.int64)
    return 2 * wide - 1 if kind is Kind.BIPOLAR else wide


def planes(codes: NDArray[np.integer], bits: int) -> NDArray[np.uint8]:
    """Bit planes of ``codes`` (..., any shape), least significant first: ``(bits, ...)`` uint8 of 0 and 1."""
    codes = np.asarray(codes, np.int64)
    return np.stack([(codes >> p & 1).astype(np.uint8) for p in range(bits)])


def from_planes(bit_planes: NDArray[np.integer], kind: Kind) -> NDArray[np.int64]:
    """Inverse of `planes`: codes as int64, signed ones sign-extended."""
    bit_planes = np.asarray(bit_planes, np.int64)
    bits = len(bit_planes)
    check_kind(kind, bits)
    weights = plane_weights(kind, bits)
    return np.tensordot(weights, bit_planes, axes=1)


def plane_weights(kind: Kind, bits: int) -> NDArray[np.int64]:
    """Weight of each plane in the counted sum: ``2^p``, negative for the sign plane. ``(bits,)`` int64."""
    weights = 1 << np.arange(bits, dtype=np.int64)
    if kind is Kind.SIGNED:
        weights[-1] = -weights[-1]
    return weights


def pack_words(bit_matrix: NDArray[np.integer], word_bits: int) -> NDArray[np.uint8]:
    """Pack rows of bits into words along the last axis, zero-padded: the operand memory's layout.

    Parameters
    ----------
    bit_matrix : array of 0 and 1, (..., depth)
    word_bits : int
        Bits per word, a multiple of 8. Element k of a row is bit ``k % word_bits`` of word ``k // word_bits``.

    Returns
    -------
    uint8 array, (..., words, word_bits / 8)
        Little-endian bytes of each word.
    """
    bit_matrix = np.asarray(bit_matrix, np.uint8)
    depth = bit_matrix.shape[-1]
    words = -(-depth // word_bits)
    padding = [(0, 0)] * (bit_matrix.ndim - 1) + [(0, words * word_bits - depth)]
    packed = np.packbits(np.pad(bit_matrix, padding), axis=-1, bitorder="little")
    return packed.reshape(*bit_matrix.shape[:-1], words, word_bits // 8)


def unpack_words(words: NDArray[np.uint8], depth: int) -> NDArray[np.uint8]:
    """Inverse of `pack_words`: ``(..., words, bytes) uint8 -> (..., depth) uint8`` bits."""
    words = np.asarray(words, np.uint8)
    flat = words.reshape(*words.shape[:-2], -1)
    return np.unpackbits(flat, axis=-1, bitorder="little")[..., :depth]
