"""Self-attention on quantized queries, keys, values, probabilities and context."""

import math

import torch
from torch import nn

from golden import model
from train.model.linear import QuantizedLinear
from train.model.quantizers import Quantizer
from train.model.threshold import Threshold


class Attention(nn.Module):
    """Multi-head attention with softmax, or with a threshold for each head.

    Members
    -------
    probability_quantizer : Quantizer
        With softmax: unsigned codes of a learned step.
    threshold : Threshold
        Without.
    """

    def __init__(self, config, formats):
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
        if config.attention is model.Attention.SOFTMAX:
            self.probability_quantizer = Quantizer(formats and formats.probability)
        else:
            self.threshold = Threshold(config.heads, config.tokens)
        self.context_quantizer = Quantizer(code, inner)

    def forward(self, x, mask):
        """``x`` (batch, tokens, width), ``mask`` (batch, tokens) bool or None: the update of the stream."""
        query = self._split(self.query_quantizer(self.query(x)))
        key = self._split(self.key_quantizer(self.key(x)))
        value = self._split(self.value_quantizer(self.value(x)))
        scores = (query @ key.transpose(-1, -2)).float() / math.sqrt(self.head_width)
        probability = self._probability(scores, mask)
        context = (probability @ value).float().transpose(1, 2).flatten(2)
        return self.output(self.context_quantizer(context))

    def _probability(self, scores, mask):
        if hasattr(self, "threshold"):
            return self.threshold(scores, mask)
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None, None, :], -torch.inf)
        return self.probability_quantizer(torch.softmax(scores, -1))

    def _split(self, x):
        return x.unflatten(-1, (self.heads, self.head_width)).transpose(1, 2)
