"""Ternary weight splitting: a ternary matrix as the sum of two binary ones (docs/weight-splitting.md).

In the manner of BinaryBERT (arXiv 2012.15701), with every mean taken over importance as well.
"""

from typing import NamedTuple

import torch

from train.model.weights import mean, ternary

#: How far the share of a weight that its first half gets stays from 0 and 1, where a half would lose its sign.
MARGIN = 0.01


class Halves(NamedTuple):
    """``first + second`` is the weight; ``scale * (sign(first) + sign(second))`` is its ternary value."""

    first: torch.Tensor
    second: torch.Tensor
    scale: torch.Tensor


def split(weight: torch.Tensor, axis: int | None = None, importance: torch.Tensor | None = None) -> Halves:
    """Split ``weight`` (outputs, inputs) so that both halves have the scale ``alpha / 2`` of its ternary value.

    With I the weights whose ternary value is not 0, J the others above 0, K the others, and sums over weights that count
    each h times (``importance``; once by default): S_X the sum of |w| over X, H_X the sum of 1, H that over everything,

        a = (S_I + S_K - S_J) / (2 S_I)        b = (H S_I / H_I - S_I - S_J - S_K) / (2 (H_J + H_K))
        first = a w on I, w + b on J, b on K   second = w - first

    The mean magnitude of either half is then ``alpha / 2``. Where more than half of S_I would have to go to one half,
    a is clipped: first and second keep their signs and their sum, and their mean magnitudes differ.

    Parameters
    ----------
    axis : None or 1
        One threshold and scale for the matrix, or for each row.
    importance : tensor like weight, above 0, optional
    """
    values, alpha = ternary(weight, axis, importance)
    h = torch.ones_like(weight) if importance is None else importance
    axes = tuple(range(weight.ndim)) if axis is None else axis

    def total(chosen, x):
        return (chosen * h * x).sum(axes, keepdim=axis is not None)

    magnitude = weight.abs()
    nonzero, above = values != 0, (values == 0) & (weight > 0)
    below = ~nonzero & ~above
    s_i, s_j, s_k = (total(part, magnitude) for part in (nonzero, above, below))
    zeros = total(~nonzero, 1.0)
    a = ((s_i + s_k - s_j) / (2 * s_i)).nan_to_num(0.5).clamp(MARGIN, 1 - MARGIN)
    b = (alpha * (zeros + total(nonzero, 1.0)) - s_i - s_j - s_k) / (2 * zeros).clamp(min=1e-30)
    first = torch.where(nonzero, a * weight, torch.where(above, weight + b, b))
    return Halves(first, weight - first, alpha / 2)


def scale_of(
    first: torch.Tensor, second: torch.Tensor, axis: int | None = None, importance: torch.Tensor | None = None
) -> torch.Tensor:
    """The common scale of two halves: half the mean of ``|first| + |second|``. It is ``alpha / 2`` after a split."""
    return mean(first.abs() + second.abs(), axis, importance) / 2
