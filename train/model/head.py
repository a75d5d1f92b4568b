"""Head of an encoder: which tokens are classified, their mean, pooler and classifier."""

import torch
from torch import nn
from torch.nn import functional

from golden import model
from golden.codes import Kind
from golden.model import Format
from train.model.linear import QuantizedLinear
from train.model.quantizers import Quantizer
from train.model.structure import Pooler


def pooler_format(ends, pooler):
    """Format of the pooler's codes: signed as ``ends`` for a tanh, unsigned for a ReLU."""
    return ends if pooler is Pooler.TANH else Format(Kind.UNSIGNED, ends.bits)


class PoolerLayer(nn.Module):
    """A square linear layer with tanh or ReLU; on bits its codes clip at the tanh's -1 and 1 to begin with, or at 0."""

    def __init__(self, width, pooler, ends):
        super().__init__()
        self.pooler = pooler
        self.linear = QuantizedLinear(width, width, ends)
        self.quantizer = Quantizer(ends and pooler_format(ends, pooler), width)
        if ends and pooler is Pooler.TANH:
            self.quantizer.alpha.data.fill_(1 / ends.range[1])
            self.quantizer.calibrated.fill_(True)

    def forward(self, x):
        x = self.linear(x)
        if self.quantizer.format is not None:
            return self.quantizer(x)
        return torch.tanh(x) if self.pooler is Pooler.TANH else functional.relu(x)


def pool(x, lengths, mask, head, quantizer):
    """What is classified of ``x`` (batch, tokens, width): (batch, width), or all of it for a head per token."""
    if head is model.Head.CLS:
        return x[:, 0]
    if head is model.Head.TOKEN:
        return x
    total = x.sum(1) if mask is None else (x * mask[..., None]).sum(1)
    return quantizer(total / lengths[:, None])
