"""BMT, the binarized transformer: a PyTorch encoder whose evaluation mirrors the integer pipeline.

In evaluation every number that the hardware rounds (residual, normalised value, scores, logits) is rounded to the
same grid, so that float and integer model differ by the rounding of constants only. Training leaves these grids
out: they are far finer than the codes.
"""

import math

import torch
from torch import nn

from golden import layernorm, residual
from golden.codes import Kind
from golden.model import EncoderConfig, Format, Head, Input
from golden.softmax import SCORE_FRACTION
from train.linear import QuantizedLinear, QuantizedTable
from train.precision import Precision
from train.quantizers import Quantizer, grid

EPSILON = 1e-5
NORMAL_BITS = 18
SCORE_BITS = 16
PATCH = Format(Kind.UNSIGNED, 8)


class Norm(nn.Module):
    """Residual sum and LayerNorm: the new stream, and the quantized input of what follows."""

    def __init__(self, config, code_format):
        super().__init__()
        self.fraction = config.residual_fraction
        # In units of the integer reference, where it is added to width^2 * variance.
        self.epsilon = max(1, round(EPSILON * config.width**2 * 4**self.fraction))
        self.scale = nn.Parameter(torch.ones(config.width))
        self.offset = nn.Parameter(torch.zeros(config.width))
        self.quantizer = Quantizer(code_format, config.width)

    def forward(self, stream, update):
        exact = not self.training and self.quantizer.format is not None
        total = stream + update
        if exact:
            total = grid(total, self.fraction, residual.BITS)
        epsilon = self.epsilon / (total.shape[-1] ** 2 * 4**self.fraction)
        normal = nn.functional.layer_norm(total, total.shape[-1:], eps=epsilon)
        if exact:
            normal = grid(normal, layernorm.NORMAL_FRACTION, NORMAL_BITS)
        total = normal * self.scale + self.offset
        codes = self.quantizer(total)
        return grid(total, self.fraction, residual.BITS) if exact else total, codes


class Attention(nn.Module):
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
        self.probability_quantizer = Quantizer(formats and formats.probability)
        self.context_quantizer = Quantizer(code, inner)

    def forward(self, x, mask):
        """``x`` (batch, tokens, width), ``mask`` (batch, tokens) bool or None: the update of the stream."""
        query = self._split(self.query_quantizer(self.query(x)))
        key = self._split(self.key_quantizer(self.key(x)))
        value = self._split(self.value_quantizer(self.value(x)))
        scores = (query @ key.transpose(-1, -2)).float() * (math.log2(math.e) / math.sqrt(self.head_width))
        if not self.training and self.query_quantizer.format is not None:
            scores = grid(scores, SCORE_FRACTION, SCORE_BITS)
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None, None, :], -torch.inf)
        probability = self.probability_quantizer(torch.softmax(scores * math.log(2), -1))
        context = (probability @ value).float().transpose(1, 2).flatten(2)
        return self.output(self.context_quantizer(context))

    def _split(self, x):
        return x.unflatten(-1, (self.heads, self.head_width)).transpose(1, 2)


class FeedForward(nn.Module):
    def __init__(self, config, formats):
        super().__init__()
        weight = formats and formats.weight
        self.up = QuantizedLinear(config.width, config.feed_forward, weight)
        self.down = QuantizedLinear(config.feed_forward, config.width, weight)
        self.hidden_quantizer = Quantizer(formats and formats.hidden)

    def forward(self, x):
        hidden = self.up(x)
        # Unsigned codes clip below at 0: that is the ReLU, and full precision needs it written out.
        hidden = hidden.relu() if self.hidden_quantizer.format is None else self.hidden_quantizer(hidden)
        return self.down(hidden)


class Layer(nn.Module):
    def __init__(self, config, formats, output):
        super().__init__()
        self.attention = Attention(config, formats)
        self.attention_norm = Norm(config, formats and formats.codes)
        self.feed_forward = FeedForward(config, formats)
        self.feed_forward_norm = Norm(config, output)


class Encoder(nn.Module):
    """Post-LN encoder with a mean or CLS head.

    Parameters
    ----------
    config : golden.model.EncoderConfig
        ``layers`` may be 0: embedding and head alone, the control.
    formats : Precision or None
        None for full precision.
    """

    def __init__(self, config: EncoderConfig, formats: Precision | None, dropout=0.0):
        super().__init__()
        self.config, self.formats = config, formats
        # Only while training, on the embedding and on each update of the stream.
        self.dropout = nn.Dropout(dropout)
        tokens = config.input is Input.TOKENS
        ends = formats and formats.ends
        if tokens:
            self.embedding = QuantizedTable(config.input_size, config.width, formats and formats.table)
        else:
            self.embedding = QuantizedLinear(config.input_size, config.width, ends)
        self.position = nn.Parameter(0.1 * torch.randn(config.tokens, config.width))
        code = formats and formats.codes
        self.embedding_norm = Norm(config, code if config.layers else ends)
        self.layers = nn.ModuleList(
            Layer(config, formats, ends if index == config.layers - 1 else code) for index in range(config.layers)
        )
        self.pooled_quantizer = Quantizer(ends)
        self.classifier = QuantizedLinear(config.width, config.classes, ends)

    def forward(self, inputs, lengths):
        """Logits and the streams after the embedding and after each layer.

        Parameters
        ----------
        inputs : int64 tensor, (batch, tokens) ids or (batch, tokens, input_size) patch codes
            Tokens may be cut to the longest of the batch.
        lengths : int64 tensor, (batch,)

        Returns
        -------
        logits : (batch, classes);  streams : list of (batch, tokens, width);  mask : (batch, tokens) bool or None
        """
        patches = self.config.input is Input.PATCHES
        update = self.dropout(self.embedding(inputs / PATCH.range[1] if patches else inputs))
        tokens = inputs.shape[1]
        mask = None if patches else torch.arange(tokens, device=lengths.device) < lengths[:, None]
        stream, x = self.embedding_norm(
            self._to_residual(self.position[:tokens]), self._to_residual(update)
        )
        streams = [stream]
        for layer in self.layers:
            update = self.dropout(layer.attention(x, mask))
            stream, x = layer.attention_norm(stream, self._to_residual(update))
            update = self.dropout(layer.feed_forward(x))
            stream, x = layer.feed_forward_norm(stream, self._to_residual(update))
            streams.append(stream)
        logits = self.classifier(self._pool(x, lengths, mask))
        return self._to_residual(logits), streams, mask

    def _pool(self, x, lengths, mask):
        if self.config.head is Head.CLS:
            return x[:, 0]
        total = x.sum(1) if mask is None else (x * mask[..., None]).sum(1)
        return self.pooled_quantizer(total / lengths[:, None])

    def _to_residual(self, x):
        if self.training or self.formats is None:
            return x
        return grid(x, self.config.residual_fraction, residual.BITS)
