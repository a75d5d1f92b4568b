"""Linear layers and tables with binary or few-bit weights."""

import torch
from torch import nn
from torch.nn import functional

from golden.codes import Kind
from train.quantizers import pass_inside, sign


def quantize_weight(weight, weight_format, axis=None):
    """Values of the codes and their scale: ``weight ~ values * scale``.

    Bipolar: ``mean|W| * sign(W - mean W)``, where the mean only decides the sign; signed: the largest
    magnitude becomes the largest code. ``axis=0`` takes the statistics per column.
    """
    if weight_format.kind is Kind.BIPOLAR:
        mean, scale = _mean(weight, axis), _mean(weight.abs(), axis)
        return sign(weight - mean), scale
    high = weight_format.range[1]
    scale = weight.abs().max().clamp(min=1e-8) / high
    return torch.floor(weight / scale + 0.5).clamp(-high, high), scale


def _mean(x, axis):
    return x.mean() if axis is None else x.mean(axis)


class _Substitute(torch.autograd.Function):
    """``quantized`` forward; the gradient goes to ``weight`` where it lies in -1..1."""

    @staticmethod
    def forward(ctx, weight, quantized):
        ctx.save_for_backward(weight)
        return quantized

    @staticmethod
    def backward(ctx, gradient):
        (weight,) = ctx.saved_tensors
        return pass_inside(gradient, weight, -1.0, 1.0), None


class QuantizedLinear(nn.Linear):
    """``x @ W^T + bias`` with W quantized, or in full precision where ``weight_format`` is None."""

    def __init__(self, inputs, outputs, weight_format):
        super().__init__(inputs, outputs)
        self.format = weight_format
        nn.init.normal_(self.weight, std=inputs**-0.5)
        nn.init.zeros_(self.bias)

    def forward(self, x):
        # Under autocast (training only) the product is in bfloat16; what follows is not.
        return functional.linear(x, self._quantized()).float() + self.bias

    def _quantized(self):
        if self.format is None:
            return self.weight
        with torch.no_grad():
            codes, scale = quantize_weight(self.weight, self.format)
            quantized = codes * scale
        return _Substitute.apply(self.weight, quantized)


class QuantizedTable(nn.Embedding):
    """Rows of a table with one scale and one offset per column; full precision where ``weight_format`` is None."""

    def __init__(self, rows, width, weight_format):
        super().__init__(rows, width)
        self.format = weight_format
        self.bias = nn.Parameter(torch.zeros(width))
        nn.init.normal_(self.weight, std=0.5)

    def forward(self, ids):
        table = self.weight
        if self.format is not None:
            with torch.no_grad():
                codes, scale = quantize_weight(self.weight, self.format, axis=0)
                quantized = codes * scale
            table = _Substitute.apply(table, quantized)
        return functional.embedding(ids, table) + self.bias
