"""Self-attention on quantized queries, keys, values, probabilities and context."""

import math

import torch
from torch import nn

from golden.model import EncoderConfig
from train.model.attention.kinds import WEIGHTINGS
from train.model.linear import QuantizedLinear
from train.model.precision import Precision
from train.model.quantizers import Quantizer


class Attention(nn.Module):
    """Multi-head attention of any kind."""

    def __init__(self, config: EncoderConfig, formats: Precision | None):
        super().__init__()
        self.heads, self.head_width = config.heads, config.head_width
        inner = config.heads * config.head_width
        weight = formats and formats.weight
        self.query = QuantizedLinear(config.width, inner, weight)
        self.key = QuantizedLinear(config.width, inner, weight)
        self.value = QuantizedLinear(config.width, inner, weight)
        self.output = QuantizedLinear(inner, config.width, weight)
        code = formats and formats.attention
        self.query_quantizer, self.key_quantizer, self.value_quantizer = (Quantizer(code) for _ in range(3))
        self.kind = WEIGHTINGS[config.attention]
        setattr(self, self.kind.member, self.kind.module(config, formats and formats.probability))
        self.context_quantizer = Quantizer(code, inner)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """``x`` (batch, tokens, width), ``mask`` (batch, tokens) bool or None: the update of the stream."""
        query = self._split(self.query_quantizer(self.query(x)))
        key = self._split(self.key_quantizer(self.key(x)))
        value = self._split(self.value_quantizer(self.value(x)))
        scores = (query @ key.transpose(-1, -2)).float() / math.sqrt(self.head_width)
        context = (self.kind.weights(self.weigher, scores, mask) @ value).float().transpose(1, 2).flatten(2)
        return self.output(self.context_quantizer(context))

    @property
    def weigher(self) -> nn.Module:
        """The module that makes codes of the weights, see `train.model.attention.kind.Weighting.module`."""
        return getattr(self, self.kind.member)

    def _split(self, x):
        return x.unflatten(-1, (self.heads, self.head_width)).transpose(1, 2)
