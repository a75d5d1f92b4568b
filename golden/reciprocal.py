"""Reciprocal and reciprocal square root of integers: normalise, look up, one Newton step.

Both return a mantissa of 17 fraction bits in (1/2, 1) and an exponent; every step is integer and truncates, so
hardware and reference agree bit for bit. Relative error: at most 2^-14 (tested over the whole range).
"""

import numpy as np
from numpy.typing import NDArray

FRACTION = 17
MANTISSA_MAX = (1 << FRACTION) - 1

RECIPROCAL_INDEX_BITS = 7
RECIPROCAL_ENTRY_BITS = 11
_midpoints = 1 + (np.arange(1 << RECIPROCAL_INDEX_BITS) + 0.5) / (1 << RECIPROCAL_INDEX_BITS)
#: y0 = 1/m in units of 2^-10, for m in [1, 2) by its top 7 fraction bits. 128 entries.
RECIPROCAL_TABLE = np.rint((1 << 10) / _midpoints).astype(np.int64)

RSQRT_ENTRY_BITS = 12
_midpoints = (np.arange(256) + 0.5) / 64
#: y0 = 1/sqrt(m) in units of 2^-11, for m in [1, 4) by m // 2^-6. 256 entries, those below 64 (m < 1) unused and 0.
RSQRT_TABLE = np.where(np.arange(256) < 64, 0, np.rint((1 << 11) / np.sqrt(_midpoints))).astype(np.int64)


def bit_length(x: NDArray[np.integer]) -> NDArray[np.int64]:
    """Number of bits of each positive integer, exact for int64. Shape of ``x``, int64."""
    x = np.asarray(x, np.int64).copy()
    length = np.zeros_like(x)
    for step in (32, 16, 8, 4, 2, 1):
        large = x >> step > 0
        length += np.where(large, step, 0)
        x = np.where(large, x >> step, x)
    return length + (x > 0)


def _scaled(x, amount):
    """``x * 2^amount``, truncating where ``amount`` is negative."""
    return np.where(amount >= 0, x << np.maximum(amount, 0), x >> np.maximum(-amount, 0))


def reciprocal(x: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Mantissa ``y`` and bit length ``n`` with ``1/x ~ y * 2^-(16 + n)``.

    Parameters
    ----------
    x : int array, 1 .. 2^62

    Returns
    -------
    y : int64, shape of x, in 2^16 .. 2^17 - 1;  n : int64, bit length of x
    """
    x = np.asarray(x, np.int64)
    n = bit_length(x)
    m = _scaled(x, 17 - n)  # [1, 2) with 16 fraction bits
    y0 = RECIPROCAL_TABLE[m >> 9 & 127]
    error = ((1 << 27) - m * y0) >> 4  # 2 - m*y0, 22 fraction bits
    return np.minimum(y0 * error >> 15, MANTISSA_MAX), n


def reciprocal_sqrt(x: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Mantissa ``y`` and exponent ``k`` with ``1/sqrt(x) ~ y * 2^-(17 + k)``.

    Parameters
    ----------
    x : int array, 1 .. 2^62

    Returns
    -------
    y : int64, shape of x, in 2^16 .. 2^17 - 1;  k : int64, (bit length - 1) // 2
    """
    x = np.asarray(x, np.int64)
    k = (bit_length(x) - 1) // 2
    m = _scaled(x, 16 - 2 * k)  # [1, 4) with 16 fraction bits
    y0 = RSQRT_TABLE[m >> 10]
    square = y0 * y0 >> 6  # 16 fraction bits
    error = (3 * (1 << 32) - m * square) >> 12  # 3 - m*y0^2, 20 fraction bits
    return np.minimum(y0 * error >> 15, MANTISSA_MAX), k
