"""Weights to values: codes of few bits times a scale, each function one published formula.

All take ``weight`` (outputs, inputs) and give ``values``, of the same shape, and ``scale``, which multiplies them:
one number, or with ``axis`` one for each row (1) or column (0), with that axis kept. With ``part``, some rows of
``weight``, the values are those of these rows.
"""

import torch

from train.model.quantizers import sign

#: Threshold of a ternary weight in units of the mean magnitude (TWN, arXiv 1605.04711).
THRESHOLD = 0.7
SMALLEST = 1e-8


def binary(
    weight: torch.Tensor, axis: int | None = None, centred: bool = True, part: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """``mean|w| * sign(w - mean w)`` (BiT, arXiv 2205.13016): the mean only decides the sign, and only if ``centred``."""
    centre = mean(weight, axis) if centred else 0.0
    return sign((weight if part is None else part) - centre), mean(weight.abs(), axis).clamp(min=SMALLEST)


def ternary(
    weight: torch.Tensor, axis: int | None = None, importance: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sign of the weights beyond a threshold D, else 0 (TWN): ``D = 0.7 mean|w|``, scale = mean of the |w| beyond it.

    With ``importance`` h, of the shape of ``weight``, both means count each weight h times: of all scales for the weights
    beyond D, theirs gives the least ``sum h (w - w^)^2``.
    """
    magnitude = weight.abs()
    chosen = magnitude > THRESHOLD * mean(magnitude, axis, importance)
    scale = mean(magnitude, axis, chosen if importance is None else chosen * importance)
    return torch.sign(weight) * chosen, scale.clamp(min=SMALLEST)


def integer(weight: torch.Tensor, bits: int, part: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Signed codes of ``bits`` bits: the largest magnitude becomes the largest code."""
    high = (1 << (bits - 1)) - 1
    scale = weight.abs().max().clamp(min=SMALLEST) / high
    return torch.floor((weight if part is None else part) / scale + 0.5).clamp(-high, high), scale


def mean(x: torch.Tensor, axis: int | None = None, counts: torch.Tensor | None = None) -> torch.Tensor:
    """Mean of ``x``, over everything or along an axis that is kept; each element counts ``counts`` times."""
    if counts is None:
        return x.mean() if axis is None else x.mean(axis, keepdim=True)
    axes = tuple(range(x.ndim)) if axis is None else axis
    total = (x * counts).sum(axes, keepdim=axis is not None)
    return total / counts.sum(axes, keepdim=axis is not None).clamp(min=1e-30)
