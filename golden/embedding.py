"""Embedding: rows of a binarized table, gathered by token id."""

import numpy as np
from numpy.typing import NDArray


def gather(table: NDArray[np.integer], ids: NDArray[np.integer]) -> NDArray[np.integer]:
    """Rows of ``table`` (vocabulary, width) for ``ids`` (tokens,): ``(tokens, width)`` codes.

    Raises ValueError for an id outside the table.
    """
    ids = np.asarray(ids, np.int64)
    if ids.size and not 0 <= ids.min() <= ids.max() < len(table):
        wrong = ids[(ids < 0) | (ids >= len(table))][0]
        raise ValueError(f"token ids must be in 0..{len(table) - 1}, not {wrong}")
    return np.asarray(table)[ids]
