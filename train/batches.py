"""Batches: which samples, in which order, how augmented; a function of seed, epoch and number alone.

Nothing random has a state, so a run that goes on in the middle of an epoch sees what it would have seen.
"""

import math

import numpy as np
import torch
from torch.nn import functional

#: Texts are sorted by length within so many batches: little padding, still random.
SORTED_BATCHES = 50


def batches(split, size, seed, epoch):
    """Indices of the samples of each batch of an epoch, shuffled: list of int64 arrays; samples of similar length meet."""
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(split))
    if split.lengths.min() != split.lengths.max():
        piece = SORTED_BATCHES * size
        pieces = np.split(order, range(piece, len(order), piece))
        order = np.concatenate([part[np.argsort(split.lengths[part], kind="stable")] for part in pieces])
    parts = np.split(order, range(size, len(order), size))
    return [parts[i] for i in rng.permutation(len(parts))]


def batches_per_epoch(split, size):
    return math.ceil(len(split) / size)


def shards(index, count):
    """A batch in ``count`` parts whose sizes differ by at most one, in order."""
    return np.array_split(index, count)


def tensors(split, index, device="cpu"):
    """``inputs`` cut to the longest of them, ``lengths`` and ``labels`` of some samples."""
    lengths = split.lengths[index]
    inputs = split.inputs[index][:, : int(lengths.max())]
    # Patch codes are kept in a byte each; the embedding wants ids of 64 bits.
    inputs = torch.from_numpy(np.ascontiguousarray(inputs, np.int64 if inputs.ndim == 2 else inputs.dtype))
    return tuple(x.to(device) for x in (inputs, torch.from_numpy(lengths), torch.from_numpy(split.labels[index])))


def augmented(split, index, rules, rng, shift, flip):
    """Patch codes (samples, tokens, input_size) uint8 of images, each shifted and some of them mirrored.

    Parameters
    ----------
    rules : dict
        The data set's preprocessing, with ``patch`` and ``stride``.
    rng : numpy.random.Generator
    shift : int
        Pixels up, down, left or right, at most.
    flip : bool
        Whether half of them are mirrored.
    """
    images = torch.from_numpy(np.ascontiguousarray(split.images[index]))
    count, height, width = images.shape
    if flip:
        flipped = torch.from_numpy(rng.random(count) < 0.5)
        images = torch.where(flipped[:, None, None], images.flip(2), images)
    padded = functional.pad(images, (shift, shift, shift, shift))
    top, left = torch.from_numpy(rng.integers(0, 2 * shift + 1, (2, count)))
    images = padded.unfold(1, height, 1).unfold(2, width, 1)[torch.arange(count), top, left]
    patch, stride = rules["patch"], rules["stride"]
    windows = images.unfold(1, patch, stride).unfold(2, patch, stride)
    patches = windows.reshape(count, -1, patch * patch)
    return functional.pad(patches, (0, 0, rules.get("class_tokens", 0), 0))
