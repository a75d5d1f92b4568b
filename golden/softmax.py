"""Softmax over rows of integer scores, base 2, to unsigned codes."""

import numpy as np
from numpy.typing import NDArray

from golden.reciprocal import reciprocal

#: Fraction bits of a score: score s stands for an exponent of s / 64 in base 2.
SCORE_FRACTION = 6
EXPONENTIAL_BITS = 16
#: 2^-(i/64) in units of 2^-16, clipped to 16 bits. 64 entries.
EXPONENTIAL_TABLE = np.minimum(
    np.rint(2.0 ** (EXPONENTIAL_BITS - np.arange(1 << SCORE_FRACTION) / (1 << SCORE_FRACTION))),
    (1 << EXPONENTIAL_BITS) - 1,
).astype(np.int64)
STEP_BITS = 16


def exponentials(scores: NDArray[np.integer], length: int) -> NDArray[np.int64]:
    """``2^((score - row maximum) / 64)`` in units of 2^-16; 0 for masked keys.

    Parameters
    ----------
    scores : int array, (rows, keys), signed 16 bit
    length : int, 1..keys
        Keys at and beyond it are masked: no part in maximum or sum, code 0.

    Returns
    -------
    int64 array, (rows, keys), 0 .. 65535
    """
    scores = np.asarray(scores, np.int64)
    maximum = scores[:, :length].max(-1, keepdims=True)
    distance = np.maximum(maximum - scores, 0)
    whole = np.minimum(distance >> SCORE_FRACTION, EXPONENTIAL_BITS)
    e = EXPONENTIAL_TABLE[distance & ((1 << SCORE_FRACTION) - 1)] >> whole
    e[:, length:] = 0
    return e


def softmax(scores: NDArray[np.integer], length: int, step: int, step_shift: int, bits: int) -> NDArray[np.int64]:
    """Quantized softmax: ``round(p / alpha)`` clipped to ``bits`` unsigned bits.

    Parameters
    ----------
    scores : int array, (rows, keys), signed 16 bit, in units of 1/64 in base 2
    length : int, 1..keys
        Number of keys that are not padding.
    step, step_shift : int
        ``1/alpha = step * 2^-step_shift``; ``step`` in 2^15 .. 2^16 - 1, ``step_shift`` 0..31 (see `quantize_step`).
    bits : int, 1..8

    Returns
    -------
    int64 array, (rows, keys), 0 .. 2^bits - 1

    With p the real softmax of the same scores and n the length, a code differs from ``min(p / alpha, 2^bits - 1)`` by
    at most ``1/2 + p/alpha * (2^-13 + n * 2^-15) + 2^-15 / alpha``: rounding, reciprocal and truncated exponentials.
    """
    e = exponentials(scores, length)
    y, n = reciprocal(e.sum(-1, keepdims=True))
    gain = y * step >> 16
    shift = n + step_shift
    return np.minimum((e * gain + ((1 << shift) >> 1)) >> shift, (1 << bits) - 1)


def quantize_step(alpha: float) -> tuple[int, int]:
    """``(step, step_shift)`` for a quantizer step ``alpha`` of the probabilities, 2^-15 <= alpha < 2^16.

    Raises ValueError outside that range.
    """
    if not 2.0**-15 <= alpha < 2.0**16:
        raise ValueError(f"the step of attention probabilities must be in 2^-15 .. 2^16, not {alpha}")
    mantissa, exponent = np.frexp(1 / alpha)
    step = int(np.rint(mantissa * (1 << STEP_BITS)))
    shift = STEP_BITS - int(exponent)
    if step == 1 << STEP_BITS:
        step, shift = step >> 1, shift - 1
    return step, shift
