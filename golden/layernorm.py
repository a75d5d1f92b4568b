"""LayerNorm and RMSNorm over rows of the residual stream, to residual and to codes."""

import numpy as np
from numpy.typing import NDArray

from golden.reciprocal import bit_length, reciprocal_sqrt
from golden.residual import HIGH, LOW

#: Fraction bits kept of the mean.
MEAN_FRACTION = 6
#: Fraction bits of the normalised value, a signed 18-bit number.
NORMAL_FRACTION = 11
NORMAL_HIGH = (1 << 17) - 1
#: The mean is sum * round(2^32 / width) >> 32.
WIDTH_RECIPROCAL_BITS = 32
MAX_WIDTH_BITS = 12


def width_reciprocal(width: int) -> int:
    """``round(2^32 / width)``, the constant an instruction carries; width 2 .. 4095."""
    if not 2 <= width < 1 << MAX_WIDTH_BITS:
        raise ValueError(f"a norm's width must be in 2..{(1 << MAX_WIDTH_BITS) - 1}, not {width}")
    return ((1 << WIDTH_RECIPROCAL_BITS) + width // 2) // width


def normalise(x: NDArray[np.integer], epsilon: int, rms: bool = False) -> NDArray[np.int64]:
    """``(x - mean) / sqrt(variance)`` per row, in units of 2^-11.

    Parameters
    ----------
    x : int array, (tokens, width), signed 16 bit
    epsilon : int, 1 .. 2^32 - 1
        Added to ``width^2 * variance``, in squared units of x.
    rms : bool
        RMSNorm: the mean is taken as zero.

    Returns
    -------
    int64 array, (tokens, width), signed 18 bit

    With v the real value and the deviation ``sqrt(variance + epsilon / width^2)`` in units of x, the result differs
    from v by at most ``2^-12 + (|v| + e) * 2^-13 + e``. Here e is what the rounding of the mean contributes:
    ``(2^-7 + |mean| * width * 2^-33) / deviation``, and 0 for RMSNorm.
    """
    x = np.asarray(x, np.int64)
    width = x.shape[-1]
    total = np.zeros_like(x[:, :1]) if rms else x.sum(-1, keepdims=True)
    squares = (x * x).sum(-1, keepdims=True)
    spread = width * squares - total * total + epsilon  # width^2 * variance, exact
    drop = WIDTH_RECIPROCAL_BITS - MEAN_FRACTION
    mean = (total * width_reciprocal(width) + (1 << (drop - 1))) >> drop
    y, k = reciprocal_sqrt(spread)
    # width enters as a 12-bit mantissa, so that one 18-bit factor per row reaches the lanes.
    lift = MAX_WIDTH_BITS - int(bit_length(width))
    gain = y * (width << lift) >> MAX_WIDTH_BITS
    shift = k + lift
    centred = (x << MEAN_FRACTION) - mean
    normal = (centred * gain + ((1 << shift) >> 1)) >> shift
    return np.clip(normal, -NORMAL_HIGH - 1, NORMAL_HIGH)


def affine(
    normal: NDArray[np.int64], scale: NDArray[np.integer], offset: NDArray[np.integer], shift: int, low: int, high: int
) -> NDArray[np.int64]:
    """``clip((normal * scale + offset * 2^11) >> shift)``, rounding half up.

    Parameters
    ----------
    normal : int array, (tokens, width), from `normalise`
    scale, offset : int array, (width,), signed 16 bit
        In the same unit: an offset of v adds what a scale of v adds at a normalised value of 1.
    shift : int, 0..31
    low, high : int
        Clip bounds: the residual's 16 bit, or those of the target code.

    Returns
    -------
    int64 array, (tokens, width)
    """
    total = normal * np.asarray(scale, np.int64) + (np.asarray(offset, np.int64) << NORMAL_FRACTION)
    return np.clip((total + ((1 << shift) >> 1)) >> shift, low, high)


def affine_to_residual(
    normal: NDArray[np.int64], scale: NDArray[np.integer], offset: NDArray[np.integer], shift: int
) -> tuple[NDArray[np.int64], int]:
    """`affine` to the residual's 16 bit, and how many elements saturated."""
    wide = affine(normal, scale, offset, shift, -(1 << 40), 1 << 40)
    clipped = np.clip(wide, LOW, HIGH)
    return clipped, int(np.count_nonzero(clipped != wide))


def quantize_affine(
    scale: NDArray[np.floating], offset: NDArray[np.floating]
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Integer constants ``(m, o, s)`` for `affine` from real ones, in units of the output code.

    ``scale``, ``offset``: float (width,). ``m``, ``o``: int64 (width,), signed 16 bit. ``s``: 0..31, the largest that fits.
    Raises ValueError if none fits.
    """
    scale, offset = np.asarray(scale, np.float64), np.asarray(offset, np.float64)
    largest = max(np.abs(scale).max(initial=0), np.abs(offset).max(initial=0))
    for shift in range(31, -1, -1):
        unit = 2.0 ** (shift - NORMAL_FRACTION)
        if np.rint(largest * unit) < 1 << 15:
            return np.rint(scale * unit).astype(np.int64), np.rint(offset * unit).astype(np.int64), shift
    raise ValueError(f"norm constants up to {largest:.3g} do not fit 16 bit at shift 0; scale the model's output down")
