"""Attention without softmax: a key counts in full where its score reaches the threshold of the head, else not at all.

In the manner of COBRA (arXiv 2504.16269).
"""

import numpy as np
import torch
from torch import nn

from golden.codes import Kind
from golden.model import Format
from train.integer.constants import reaches, real
from train.model.attention.kind import Weighting

#: Half the width of the window about the threshold in which the gradient of the step is that of a line.
WINDOW = 1.0
SMALLEST_SCALE = 2.0**-14


class _Heaviside(torch.autograd.Function):
    """1 where ``x >= 0``, else 0; the gradient is that of ``clip(x / (2 WINDOW) + 1/2, 0, 1)``."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return torch.where(x.abs() < WINDOW, gradient / (2 * WINDOW), 0.0)


class Threshold(nn.Module):
    """Scores to weights of the values: ``scale[h]`` where a score of head h is at least ``level[h]``, else 0.

    Parameters
    ----------
    heads, tokens : int
        At first the weights of ``tokens / 2`` keys add up to 1.
    """

    format = Format(Kind.UNSIGNED, 1)

    def __init__(self, heads: int, tokens: int):
        super().__init__()
        self.level = nn.Parameter(torch.zeros(heads))
        self.scale = nn.Parameter(torch.full((heads,), 2 / tokens))

    def positive_scale(self) -> torch.Tensor:
        """The scale as used, (heads,)."""
        return self.scale.clamp(min=SMALLEST_SCALE)

    @property
    def step(self) -> torch.Tensor:
        """What a code counts, (heads, 1, 1)."""
        return self.positive_scale()[:, None, None]

    def forward(self, scores: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """``scores`` (batch, heads, tokens, keys), ``mask`` (batch, keys) bool or None: weights, of the scores' shape."""
        reached = _Heaviside.apply(scores - self.level[:, None, None])
        if mask is not None:
            reached = reached * mask[:, None, None, :]
        return reached * self.step


class _Threshold(Weighting):
    member = "threshold"

    def module(self, config, code_format):
        return Threshold(config.heads, config.tokens)

    def weights(self, module, scores, mask):
        return module(scores, mask)

    def export(self, module, unit, config):
        score = reaches(np.ceil(real(module.level) / (unit / np.sqrt(config.head_width))))
        return {"score": score, "step": 0, "step_shift": 0}, np.repeat(real(module.positive_scale()), config.head_width)

    def codes(self, arithmetic, scores, keys, block):
        return scores * keys


KIND = _Threshold()
