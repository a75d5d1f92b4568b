"""Head of an encoder: which tokens are classified, their mean, pooler and classifier."""

import torch
from torch import nn

from golden import model
from train.model.activation.kinds import TRAINED_ACTIVATIONS
from train.model.linear import QuantizedLinear
from train.model.quantizers import Quantizer
from train.model.structure import Pooler


class PoolerLayer(nn.Module):
    """A square linear layer and the activation that a `train.model.structure.Pooler` names."""

    def __init__(self, width: int, pooler: Pooler, ends: model.Format | None):
        super().__init__()
        self.activation = TRAINED_ACTIVATIONS[pooler]
        self.linear = QuantizedLinear(width, width, ends)
        self.quantizer = self.activation.quantizer(ends, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.activation.results(self.linear(x), self.quantizer)


def pool(
    x: torch.Tensor, lengths: torch.Tensor, mask: torch.Tensor | None, head: model.Head, quantizer: Quantizer
) -> torch.Tensor:
    """What is classified of ``x`` (batch, tokens, width): (batch, width), or all of it for a head per token."""
    if head is model.Head.CLS:
        return x[:, 0]
    if head is model.Head.TOKEN:
        return x
    total = x.sum(1) if mask is None else (x * mask[..., None]).sum(1)
    return quantizer(total / lengths[:, None])
