"""Feed-forward block: two linear layers with an activation between them."""

import torch
from torch import nn

from golden.model import EncoderConfig
from train.model.activation.kinds import TRAINED_ACTIVATIONS
from train.model.linear import QuantizedLinear
from train.model.precision import Precision
from train.model.structure import Structure


class FeedForward(nn.Module):
    def __init__(self, config: EncoderConfig, structure: Structure, formats: Precision | None):
        super().__init__()
        weight = formats and formats.weight
        self.activation = TRAINED_ACTIVATIONS[structure.activation]
        self.up = QuantizedLinear(config.width, config.feed_forward, weight)
        self.down = QuantizedLinear(config.feed_forward, config.width, weight)
        self.hidden_quantizer = self.activation.quantizer(formats and formats.hidden)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``x`` (batch, tokens, width): the update of the stream."""
        return self.down(self.activation.results(self.up(x), self.hidden_quantizer))
