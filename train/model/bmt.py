"""BMT, the binarized transformer: a PyTorch encoder that trains in real numbers and evaluates as the hardware does."""

import itertools

import torch
from torch import nn

from golden.model import EncoderConfig, Format, Input
from train.model.attention.block import Attention
from train.model.export import export_encoder
from train.model.feed_forward import FeedForward
from train.model.head import PoolerLayer, pool
from train.model.integer_encoder import IntegerEncoder
from train.model.linear import QuantizedLinear, QuantizedTable
from train.model.norm import Norm
from train.model.precision import Precision
from train.model.quantizers import Quantizer
from train.model.structure import PATCH, Structure

#: Logits, streams and mask, see `BmtEncoder.forward`.
Returned = tuple[torch.Tensor, list[torch.Tensor], torch.Tensor | None]


class Layer(nn.Module):
    """Attention and feed-forward block, each with its norm. ``output`` is the format of the codes it ends with."""

    def __init__(
        self, config: EncoderConfig, structure: Structure, formats: Precision | None, output: Format | None, dropout: float
    ):
        super().__init__()
        self.attention = Attention(config, formats)
        self.attention_norm = Norm(config, structure, formats and formats.codes)
        self.feed_forward = FeedForward(config, structure, formats)
        self.feed_forward_norm = Norm(config, structure, output)
        self.dropout = nn.Dropout(dropout)

    def forward(self, stream: torch.Tensor, x: torch.Tensor, mask: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Stream and input of the block, both (batch, tokens, width): those of the next layer."""
        stream, x = self.attention_norm(stream, self.dropout(self.attention(x, mask)))
        return self.feed_forward_norm(stream, self.dropout(self.feed_forward(x)))


class BmtEncoder(nn.Module):
    """Encoder with post-LN or pre-LN, attention of any kind, and a mean, CLS or per-token head.

    Parameters
    ----------
    config : golden.model.EncoderConfig
        ``layers`` may be 0: embedding and head alone, the control.
    formats : Precision or None
        None for full precision.
    dropout : float
        On the embedding and on each update of the stream.
    structure : Structure

    In training, and wherever gradients are wanted, a quantized model computes with real numbers, only its quantizers
    round (`real`). In evaluation without gradients it computes what the hardware does, integer for integer (`integer`).
    """

    def __init__(
        self, config: EncoderConfig, formats: Precision | None, dropout: float = 0.0, structure: Structure | None = None
    ):
        super().__init__()
        self.config, self.formats = config, formats
        self.structure = structure = structure or Structure()
        self.dropout = nn.Dropout(dropout)
        ends = formats and formats.ends
        if config.input is Input.TOKENS:
            self.embedding = QuantizedTable(config.input_size, config.width, formats and formats.table)
        else:
            self.embedding = QuantizedLinear(config.input_size, config.width, ends)
        self.position = nn.Parameter(0.1 * torch.randn(config.tokens, config.width))
        code = formats and formats.codes
        self.embedding_norm = Norm(config, structure, code if config.layers else ends)
        outputs = [code] * (config.layers - 1) + [ends]
        self.layers = nn.ModuleList(
            Layer(config, structure, formats, outputs[index], dropout) for index in range(config.layers)
        )
        self.pooled_quantizer = Quantizer(ends)
        self.pooler = PoolerLayer(config.width, structure.pooler, ends) if structure.pooler else None
        self.classifier = QuantizedLinear(config.width, config.classes, ends)
        self._made: tuple | None = None

    def forward(self, inputs: torch.Tensor, lengths: torch.Tensor) -> Returned:
        """Logits and the streams after the embedding and after each layer.

        Parameters
        ----------
        inputs : integer tensor, (batch, tokens) ids or (batch, tokens, input_size) patch codes
            Tokens may be cut to the longest of the batch.
        lengths : int64 tensor, (batch,)

        Returns
        -------
        logits : (batch, classes), or (batch, tokens, classes) for a head per token
        streams : list of (batch, tokens, width)
        mask : (batch, tokens) bool, or None for patches
        """
        if self.training or self.formats is None or torch.is_grad_enabled():
            return self.real(inputs, lengths)
        return self.integer(inputs, lengths)

    def real(self, inputs: torch.Tensor, lengths: torch.Tensor) -> Returned:
        """`forward` in real numbers."""
        mask = self.mask(inputs, lengths)
        stream, x = self.embed(inputs)
        streams = [stream]
        for layer in self.layers:
            stream, x = layer(stream, x, mask)
            streams.append(stream)
        return self.classify(x, lengths, mask), streams, mask

    def integer(self, inputs: torch.Tensor, lengths: torch.Tensor) -> Returned:
        """`forward` as the hardware computes it, in units of the real numbers that the integers stand for.

        Raises ExportError for a model whose constants do not fit the hardware.
        """
        trace = self.as_integers()(inputs, lengths)
        names = ["embedding", *(f"layer{index}.feed_forward" for index in range(self.config.layers))]
        unit = 2.0**-self.config.residual_fraction
        streams = [(trace[f"{name}.residual"] * unit).float() for name in names]
        return (trace["logits"] * unit).float(), streams, self.mask(inputs, lengths)

    def train(self, mode: bool = True) -> "BmtEncoder":
        """`torch.nn.Module.train`."""
        # What was made for evaluation goes with it: fused optimisers change weights without counting that they did.
        self._made = None if mode else self._made
        return super().train(mode)

    def as_integers(self) -> IntegerEncoder:
        """The `train.model.integer_encoder.IntegerEncoder` of the weights as they are; kept until one changes in place, or
        `train`."""
        tensors = list(itertools.chain(self.parameters(), self.buffers()))
        key = tensors[0].device, tuple((tensor.data_ptr(), tensor._version) for tensor in tensors)
        if self._made is None or self._made[0] != key:
            self._made = key, IntegerEncoder(export_encoder(self), key[0])
        return self._made[1]

    def mask(self, inputs: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor | None:
        """Which tokens are no padding, (batch, tokens) bool; None for patches, all of which count."""
        if self.config.input is Input.PATCHES:
            return None
        return torch.arange(inputs.shape[1], device=lengths.device) < lengths[:, None]

    def embed(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Stream and codes after the embedding, both (batch, tokens, width)."""
        patches = self.config.input is Input.PATCHES
        update = self.dropout(self.embedding(inputs / PATCH.range[1] if patches else inputs))
        return self.embedding_norm(self.position[: inputs.shape[1]], update)

    def classify(self, x: torch.Tensor, lengths: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Logits of the codes (batch, tokens, width) that the last layer ends with."""
        x = pool(x, lengths, mask, self.config.head, self.pooled_quantizer)
        return self.classifier(x if self.pooler is None else self.pooler(x))
