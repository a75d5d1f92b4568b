"""Feed-forward block: two linear layers with an activation between them."""

from collections.abc import Callable
from functools import partial

from torch import nn
from torch.nn import functional

from train.model.linear import QuantizedLinear
from train.model.quantizers import Quantizer
from train.model.structure import Activation

ACTIVATIONS: dict[Activation, Callable] = {
    Activation.RELU: functional.relu,
    Activation.GELU: functional.gelu,
    Activation.GELU_TANH: partial(functional.gelu, approximate="tanh"),
}


class FeedForward(nn.Module):
    def __init__(self, config, structure, formats):
        super().__init__()
        weight = formats and formats.weight
        self.up = QuantizedLinear(config.width, config.feed_forward, weight)
        self.down = QuantizedLinear(config.feed_forward, config.width, weight)
        self.hidden_quantizer = Quantizer(formats and formats.hidden)
        self.activation = ACTIVATIONS[structure.activation]

    def forward(self, x):
        """``x`` (batch, tokens, width): the update of the stream."""
        hidden = self.up(x)
        # Unsigned codes clip below at 0: that is the ReLU, and full precision needs its activation written out.
        hidden = self.activation(hidden) if self.hidden_quantizer.format is None else self.hidden_quantizer(hidden)
        return self.down(hidden)
