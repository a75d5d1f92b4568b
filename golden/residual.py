"""Residual: the 16-bit stream between blocks, one power-of-two scale per model."""

import numpy as np
from numpy.typing import NDArray

BITS = 16
LOW, HIGH = -(1 << (BITS - 1)), (1 << (BITS - 1)) - 1


def add_residual(residual: NDArray[np.integer], update: NDArray[np.integer]) -> tuple[NDArray[np.int64], int]:
    """Saturating sum, and how many elements saturated.

    Parameters
    ----------
    residual, update : int array, (tokens, width), signed 16 bit

    Returns
    -------
    total : int64 array, (tokens, width), signed 16 bit;  saturated : int
    """
    total = np.asarray(residual, np.int64) + update
    clipped = np.clip(total, LOW, HIGH)
    return clipped, int(np.count_nonzero(clipped != total))
