"""A matrix of weights that is the sum of two binary ones, and how the hardware runs it."""

import torch
from torch import nn

from golden.codes import Kind
from golden.model import Format
from train.model.precision import BINARY, TERNARY, WeightScheme
from train.model.quantizers import pass_inside, sign
from train.model.splitting import scale_of, split
from train.model.weights import SMALLEST

#: Ratios of the two scales that codes can hold, as multiples of the two signs: with p for the first half and q for the
#: second, a code is ``(p s1 + q s2) / divisor`` in so many bits.
RATIOS = {1.0: (1, 1, 2, 2), 2.0: (2, 1, 1, 3), 0.5: (1, 2, 1, 3), 3.0: (3, 1, 2, 3), 1 / 3: (1, 3, 2, 3)}


class _Halves(torch.autograd.Function):
    """``alpha1 sign(first) + alpha2 sign(second)``, straight-through to the halves inside -1..1.

    The gradient by a scale is that of LSQ (arXiv 1902.08153), divided by the root of the number of weights that share it.
    """

    @staticmethod
    def forward(ctx, first, second, alpha1, alpha2):
        ctx.save_for_backward(first, second)
        ctx.shape = alpha1.shape
        return sign(first) * alpha1 + sign(second) * alpha2

    @staticmethod
    def backward(ctx, gradient):
        first, second = ctx.saved_tensors
        to_scales = [None, None]
        if any(ctx.needs_input_grad[2:]):
            factor = (max(1, torch.Size(ctx.shape).numel()) / first.numel()) ** 0.5
            to_scales = [(gradient * sign(half)).sum_to_size(ctx.shape) * factor for half in (first, second)]
        return *(pass_inside(gradient, half, -1.0, 1.0) for half in (first, second)), *to_scales


class SplitWeight(nn.Module):
    """Two binary matrices, ``first`` and ``second`` (outputs, inputs), that add up to one with three or four values.

    Parameters
    ----------
    outputs, inputs : int
    scheme : train.model.precision.WeightScheme
        Its ``trained_scale`` makes ``scale``, the mean of both halves' scales, a parameter; otherwise it is the mean
        magnitude of the halves. With ``free``, ``ratio`` of the two scales is a parameter too, rounded to those of `RATIOS`.
    """

    def __init__(self, outputs: int, inputs: int, scheme: WeightScheme):
        super().__init__()
        self.scheme = scheme
        self.axis = 1 if scheme.per_channel else None
        self.first = nn.Parameter(torch.empty(outputs, inputs))
        self.second = nn.Parameter(torch.empty(outputs, inputs))
        self.scale = nn.Parameter(torch.ones((outputs, 1) if scheme.per_channel else ())) if scheme.trained_scale else None
        self.ratio = nn.Parameter(torch.ones(())) if scheme.free else None
        if scheme.weighted:
            self.register_buffer("importance", torch.ones(outputs, inputs))

    @torch.no_grad()
    def split_from(self, weight: torch.Tensor, importance: torch.Tensor | None = None) -> None:
        """Take over a real ``weight`` (outputs, inputs): the value is then that of its ternary form."""
        if self.scheme.weighted and importance is not None:
            self.importance.copy_(importance)
        parts = split(weight, self.axis, getattr(self, "importance", None))
        self.first.copy_(parts.first)
        self.second.copy_(parts.second)
        if self.scale is not None:
            self.scale.copy_(parts.scale)

    def forward(self) -> torch.Tensor:
        """The weights as used, (outputs, inputs)."""
        scale, ratio = self._scale(), self._ratio()
        return _Halves.apply(self.first, self.second, scale * (2 * ratio / (1 + ratio)), scale * (2 / (1 + ratio)))

    def _scale(self):
        if self.scale is not None:
            return self.scale.clamp(min=SMALLEST)
        with torch.no_grad():
            scale = scale_of(self.first, self.second, self.axis, getattr(self, "importance", None))
            return scale.clamp(min=SMALLEST)

    def _ratio(self):
        if self.ratio is None:
            return torch.ones((), device=self.first.device)
        return self.ratio + (self.nearest_ratio() - self.ratio).detach()

    def nearest_ratio(self) -> float:
        """That of `RATIOS` which is nearest on a logarithmic scale."""
        ratio = 1.0 if self.ratio is None else max(self.ratio.item(), SMALLEST)
        return min(RATIOS, key=lambda known: abs(torch.tensor(known / ratio).log().item()))

    @torch.no_grad()
    def operand(self) -> tuple[torch.Tensor, Format, torch.Tensor]:
        """The cheapest operand that is exactly this matrix: codes (outputs, inputs), `Format`, scale of a code.

        Halves of one scale are one ternary operand of two planes, or a binary one of one plane if they agree
        everywhere. Other ratios need a third plane, for the hardware has no two-plane code with four values that lie
        symmetrically about 0.
        """
        p, q, divisor, bits = RATIOS[self.nearest_ratio()]
        values = (p * sign(self.first) + q * sign(self.second)) / divisor
        scale = self._scale() * 2 * divisor / (p + q)
        if p == q and not (values == 0).any():
            return values, BINARY, scale
        return values, TERNARY if bits == TERNARY.bits else Format(Kind.SIGNED, bits), scale
