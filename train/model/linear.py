"""Linear layers and tables with binary, ternary, split or few-bit weights."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from golden.codes import Kind
from golden.model import Format
from train.model import weights
from train.model.precision import BINARY, TERNARY, Weights, WeightScheme
from train.model.quantizers import pass_inside
from train.model.split_weight import SplitWeight


@dataclass(frozen=True)
class WeightOperand:
    """A matrix as the hardware holds it: the value of row (of a table: column) i is ``scale[i]`` times that of its codes.

    ``codes`` (outputs, inputs) int64, 0 and 1 if bipolar; ``scale`` (outputs,) float64, above 0.
    """

    codes: np.ndarray
    format: Format
    scale: np.ndarray


def _operand(values, code_format, scale, channels):
    codes = values.detach().cpu().numpy().astype(np.int64)
    if code_format.kind is Kind.BIPOLAR:
        codes = (codes > 0).astype(np.int64)
    scale = scale.detach().cpu().double().numpy().reshape(-1)
    return WeightOperand(codes, code_format, np.broadcast_to(scale, (channels,)).copy())


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
    """``x @ W^T + bias`` with W quantized.

    Parameters
    ----------
    inputs, outputs : int
    scheme : WeightScheme or Format or None
        A signed format is that of the first and last matrices: codes up to the largest magnitude. None: full precision.

    Members
    -------
    halves : SplitWeight
        Only of a split matrix, which has no ``weight``.
    importance : (outputs, inputs)
        Only of a weighted scheme that is not split: how often each weight counts, all ones at first.
    """

    def __init__(self, inputs: int, outputs: int, scheme: WeightScheme | Format | None):
        super().__init__(inputs, outputs)
        if isinstance(scheme, WeightScheme) and scheme.method is Weights.REAL:
            scheme = None
        self.scheme = scheme
        self.weight: nn.Parameter | None
        nn.init.normal_(self.weight, std=inputs**-0.5)
        nn.init.zeros_(self.bias)
        self.halves = None
        if isinstance(scheme, WeightScheme):
            self.axis = 1 if scheme.per_channel else None
            if scheme.method is Weights.SPLIT:
                self.halves = SplitWeight(outputs, inputs, scheme)
                self.halves.split_from(self.weight.detach())
                self.weight = None
            elif scheme.weighted:
                self.register_buffer("importance", torch.ones(outputs, inputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # Under autocast (training only) the product is in few bits; what follows is not.
        return functional.linear(x, self.quantized()).float() + self.bias

    def quantized(self) -> torch.Tensor:
        """The weights as used, (outputs, inputs)."""
        if self.halves is not None:
            return self.halves()
        if self.scheme is None:
            return self.weight
        with torch.no_grad():
            values, scale, _ = self._values()
            quantized = values * scale
        return _Substitute.apply(self.weight, quantized)

    def _values(self):
        if isinstance(self.scheme, Format):
            return *weights.integer(self.weight, self.scheme.bits), self.scheme
        assert self.scheme is not None, "in full precision there are no codes"
        if self.scheme.method is Weights.BINARY:
            return *weights.binary(self.weight, self.axis), BINARY
        return *weights.ternary(self.weight, self.axis, getattr(self, "importance", None)), TERNARY

    @torch.no_grad()
    def operand(self) -> WeightOperand:
        """What the hardware multiplies by, of the weights as they are: `WeightOperand`. There must be a scheme."""
        if self.halves is not None:
            values, code_format, scale = self.halves.operand()
        else:
            values, scale, code_format = self._values()
        return _operand(values, code_format, scale, self.out_features)


class QuantizedTable(nn.Embedding):
    """Rows of a table with one scale and one offset per column; full precision where ``code_format`` is None.

    A bipolar table has mean-centred signs in each column; a signed one of several bits has one scale for all.
    """

    def __init__(self, rows: int, width: int, code_format: Format | None):
        super().__init__(rows, width)
        self.format = code_format
        self.bias = nn.Parameter(torch.zeros(width))
        nn.init.normal_(self.weight, std=0.5)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        rows = functional.embedding(ids, self.weight)
        if self.format is not None:
            # Only what a batch looks up: of a vocabulary, that is a small part.
            with torch.no_grad():
                values, scale = self._values(rows)
                quantized = values * scale
            rows = _Substitute.apply(rows, quantized)
        return rows + self.bias

    def _values(self, rows):
        assert self.format is not None, "in full precision there are no codes"
        if self.format.kind is Kind.BIPOLAR:
            return weights.binary(self.weight, 0, part=rows)
        return weights.integer(self.weight, self.format.bits, rows)

    @torch.no_grad()
    def operand(self) -> WeightOperand:
        """Codes (rows, width), and the scale of each column: `WeightOperand`."""
        values, scale = self._values(self.weight)
        return _operand(values, self.format, scale, self.embedding_dim)
