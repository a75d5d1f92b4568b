"""Projection of patches: a convolution on normalised pixels as a linear layer on pixels between 0 and 1."""

import math
from collections.abc import Mapping
from typing import Any

import torch

from train.errors import CheckpointError
from train.huggingface.shape import Shape

#: Mean and deviation of a channel where no preprocessor_config.json says them.
USUAL = 0.5


def projection(
    weight: torch.Tensor, bias: torch.Tensor, preprocessor: Mapping[str, Any], grey: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight (width, inputs) and what is added, (width,): ``weight`` is (width, channels, side, side).

    Parameters
    ----------
    preprocessor : dict
        preprocessor_config.json: channels become ``(pixel - image_mean) / image_std``.
    grey : bool
        One channel in, which stands for all: weights of the channels add up. Otherwise a patch is channel by channel.
    """
    channels = weight.shape[1]
    normal = preprocessor.get("do_normalize", True)
    mean, deviation = (
        _of_channels(preprocessor.get(key, USUAL) if normal else usual, channels, key)
        for key, usual in (("image_mean", 0.0), ("image_std", 1.0))
    )
    weight = weight / deviation[:, None, None]
    added = bias - (weight * mean[:, None, None]).sum((1, 2, 3))
    return (weight.sum(1) if grey else weight).flatten(1), added


def _of_channels(value, channels, key):
    numbers = torch.tensor(value, dtype=torch.float32).reshape(-1)
    if len(numbers) not in (1, channels):
        raise CheckpointError(f"{key} in preprocessor_config.json has {len(numbers)} numbers for {channels} channels")
    return numbers.expand(channels)


def side_of(shape: Shape, config: Mapping[str, Any]) -> int:
    """Pixels on a side of the images: from config.json, or of a square. Raises CheckpointError if patches do not fill it."""
    side = config.get("image_size", math.isqrt(shape.positions) * shape.patch)
    if not isinstance(side, int) or side % shape.patch or (side // shape.patch) ** 2 != shape.positions:
        raise CheckpointError(
            f"images must be square and of {shape.positions} patches of {shape.patch} pixels, but image_size is {side}"
        )
    return side
