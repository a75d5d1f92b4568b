"""Batches: which samples, in which order; a function of seed and epoch alone.

Nothing random has a state, so a run that goes on in the middle of an epoch sees what it would have seen.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from train.data.sets import Split

#: Texts are sorted by length within so many batches: little padding, still random.
SORTED_BATCHES = 50


def batches(split: Split, size: int, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """Indices of the samples of each batch of an epoch, shuffled: list of int64 arrays; samples of similar length meet."""
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(split))
    if split.lengths.min() != split.lengths.max():
        piece = SORTED_BATCHES * size
        pieces = np.split(order, range(piece, len(order), piece))
        order = np.concatenate([part[np.argsort(split.lengths[part], kind="stable")] for part in pieces])
    parts = np.split(order, range(size, len(order), size))
    return [parts[i] for i in rng.permutation(len(parts))]


def batches_per_epoch(split: Split, size: int) -> int:
    return math.ceil(len(split) / size)


def shards(index: NDArray[np.int64], count: int) -> list[NDArray[np.int64]]:
    """A batch in ``count`` parts whose sizes differ by at most one, in order."""
    return np.array_split(index, count)


def tensors(
    split: Split, index: NDArray[np.int64], device: torch.device | str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """``inputs`` cut to the longest of them, ``lengths`` and ``labels`` of some samples."""
    lengths = split.lengths[index]
    inputs = split.inputs[index][:, : int(lengths.max())]
    # Patch codes are kept in a byte each; the embedding wants ids of 64 bits.
    inputs = torch.from_numpy(np.ascontiguousarray(inputs, np.int64 if inputs.ndim == 2 else inputs.dtype))
    return tuple(x.to(device) for x in (inputs, torch.from_numpy(lengths), torch.from_numpy(split.labels[index])))
