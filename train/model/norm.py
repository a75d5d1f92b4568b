"""Residual sum and norm: what ends each block of an encoder."""

import torch
from torch import nn

from golden.model import EncoderConfig, Format, Order
from train.model.quantizers import Quantizer
from train.model.structure import NormKind, Structure


class Norm(nn.Module):
    """Residual sum, then LayerNorm or RMSNorm with an affine map per channel, then codes.

    Parameters
    ----------
    config : golden.model.EncoderConfig
        Post-LN: the normalised value is the new stream. Pre-LN: the stream keeps the sum, the norm is for the next block.
    structure : train.model.structure.Structure
    code_format : golden.model.Format or None
    """

    def __init__(self, config: EncoderConfig, structure: Structure, code_format: Format | None):
        super().__init__()
        self.keeps_sum = config.order is Order.PRE
        self.kind, self.epsilon = structure.norm, structure.epsilon
        self.scale = nn.Parameter(torch.ones(config.width))
        self.offset = nn.Parameter(torch.zeros(config.width))
        self.quantizer = Quantizer(code_format, config.width)

    def forward(self, stream: torch.Tensor, update: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Both (batch, tokens, width): the new stream, and the input of what follows."""
        total = stream + update
        shape = total.shape[-1:]
        if self.kind is NormKind.RMS:
            normal = nn.functional.rms_norm(total, shape, eps=self.epsilon)
        else:
            normal = nn.functional.layer_norm(total, shape, eps=self.epsilon)
        scaled = normal * self.scale + self.offset
        return total if self.keeps_sum else scaled, self.quantizer(scaled)
