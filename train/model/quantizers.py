"""Elastic quantizers (BiT, arXiv 2205.13016): a learned step, straight-through inside the range."""

import math

import torch
from torch import nn

from golden.codes import Kind
from golden.model import Format


def _round(x):
    """Half up, as the hardware rounds."""
    return (x + 0.5).floor_()


class _Elastic(torch.autograd.Function):
    """``alpha * clip(round(x / alpha), low, high)`` with the LSQ gradient for alpha."""

    @staticmethod
    def forward(ctx, x, alpha, low, high, alpha_gradient):
        scaled = x / alpha
        codes = _round(scaled).clamp_(low, high)
        ctx.save_for_backward(scaled, codes)
        ctx.bounds = low, high, alpha_gradient
        return codes * alpha

    @staticmethod
    def backward(ctx, gradient):
        scaled, codes = ctx.saved_tensors
        low, high, alpha_gradient = ctx.bounds
        passed = pass_inside(gradient, scaled, low, high)
        to_alpha = (_dot(gradient, codes) - _dot(passed, scaled)) * alpha_gradient
        return passed, to_alpha, None, None, None


class _Sign(torch.autograd.Function):
    """``alpha * sign(x)``, straight-through for |x| < alpha."""

    @staticmethod
    def forward(ctx, x, alpha, alpha_gradient):
        signs = sign(x)
        ctx.save_for_backward(x, signs, alpha)
        ctx.alpha_gradient = alpha_gradient
        return signs * alpha

    @staticmethod
    def backward(ctx, gradient):
        x, signs, alpha = ctx.saved_tensors
        to_alpha = _dot(gradient, signs) * ctx.alpha_gradient
        # In units of alpha: a bound that is a number would have to be fetched from the device.
        return pass_inside(gradient, x / alpha, -1.0, 1.0), to_alpha, None


def sign(x: torch.Tensor) -> torch.Tensor:
    """1 where ``x >= 0``, else -1."""
    # Adding 0 makes a positive zero of a negative one; torch.where is ten times slower.
    return torch.copysign(x.new_ones(()), x + 0.0)


def pass_inside(gradient: torch.Tensor, x: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """``gradient`` where ``low < x < high``, else 0."""
    return torch.ops.aten.hardtanh_backward(gradient, x, low, high)


def _dot(a, b):
    return torch.dot(a.reshape(-1), b.reshape(-1))


class Quantizer(nn.Module):
    """Activations to the values of b-bit codes.

    Parameters
    ----------
    code_format : golden.model.Format or None
        None leaves the values as they are (full precision), and there is no bias.
    channels : int
        Size of the learned bias that is added before quantization; 0 for none.

    Members
    -------
    shards : int
        How many such inputs make up a batch, whose gradients are averaged: processes times accumulated batches.
    """

    def __init__(self, code_format: Format | None, channels: int = 0):
        super().__init__()
        self.format = code_format
        self.shards = 1
        self.bias = nn.Parameter(torch.zeros(channels)) if channels and code_format else None
        #: What `calibrated` says, without asking the device for it.
        self._ready = False
        if code_format:
            self.alpha = nn.Parameter(torch.ones(()))
            self.register_buffer("calibrated", torch.zeros((), dtype=torch.bool))

    @property
    def codes(self) -> Format:
        """``format`` of a quantizer that has one."""
        assert self.format is not None, "in full precision there are no codes"
        return self.format

    @property
    def step(self) -> float:
        """The step as used, a float; 1 in full precision."""
        return self._positive_alpha().item() if self.format else 1.0

    def _positive_alpha(self):
        return self.alpha.clamp(min=2.0**-14)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.format is None:
            return x
        if self.bias is not None:
            x = x + self.bias
        low, high = self.format.range
        largest = 1 if self.format.kind is Kind.BIPOLAR else max(high, 1)
        if not self._ready:
            if not self.calibrated:
                self._calibrate(x, largest)
            self._ready = True
        alpha_gradient = 1 / math.sqrt(x.numel() * self.shards * largest)
        if self.format.kind is Kind.BIPOLAR:
            return _Sign.apply(x, self._positive_alpha(), alpha_gradient)
        return _Elastic.apply(x, self._positive_alpha(), low, high, alpha_gradient)

    def _load_from_state_dict(self, *arguments):
        super()._load_from_state_dict(*arguments)
        self._ready = False

    @torch.no_grad()
    def _calibrate(self, x, largest):
        if self.codes.kind is Kind.UNSIGNED:
            x = x.clamp(min=0)
        factor = 1.0 if self.codes.kind is Kind.BIPOLAR else 2 / math.sqrt(largest)
        self.alpha.copy_((factor * x.abs().mean()).clamp(min=2.0**-10))
        self.calibrated.fill_(True)


class _Grid(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, fraction, bits):
        unit = 2.0**fraction
        limit = 1 << (bits - 1)
        return _round(x * unit).clamp_(-limit, limit - 1) / unit

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None, None


def grid(x: torch.Tensor, fraction: int, bits: int) -> torch.Tensor:
    """``x`` rounded to multiples of 2^-fraction and clipped to signed ``bits``, as the hardware holds it."""
    return _Grid.apply(x, fraction, bits)
