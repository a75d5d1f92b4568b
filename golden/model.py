"""What a quantized encoder consists of: integers, formats and shapes, nothing that runs."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from golden.codes import Kind, code_range


class Format(NamedTuple):
    """Kind and width of the codes of one tensor."""

    kind: Kind
    bits: int

    @property
    def range(self) -> tuple[int, int]:
        """Lowest and highest code, see `golden.codes.code_range`."""
        return code_range(self.kind, self.bits)


class Input(StrEnum):
    TOKENS = "tokens"
    PATCHES = "patches"


class Order(StrEnum):
    """Where the norms stand: after the residual sum (its result replaces the stream) or before each block."""

    POST = "post"
    PRE = "pre"


class Attention(StrEnum):
    SOFTMAX = "softmax"
    #: No softmax: one threshold per head, {0, 1} out.
    THRESHOLD = "threshold"


class Activation(StrEnum):
    """Of the sums of a linear layer, before they become codes."""

    IDENTITY = "identity"
    RELU = "relu"


class Head(StrEnum):
    CLS = "cls"
    MEAN = "mean"
    TOKEN = "token"


@dataclass(frozen=True)
class EncoderConfig:
    """Structure of an encoder. ``tokens`` is n, ``width`` d, ``head_width`` dh, ``feed_forward`` f."""

    layers: int
    width: int
    heads: int
    head_width: int
    feed_forward: int
    tokens: int
    classes: int
    input: Input
    order: Order
    attention: Attention
    head: Head
    #: Vocabulary size, or elements of a patch.
    input_size: int
    #: The residual stream counts in units of 2^-residual_fraction.
    residual_fraction: int


def describe(config: EncoderConfig) -> str:
    """The structure of an encoder in a few words."""
    heads = f"{config.heads} heads of {config.head_width}"
    return f"{config.layers} layers, d {config.width}, {heads}, f {config.feed_forward}"


@dataclass(frozen=True)
class Requantization:
    """Requantization parameters: ``clip((t * scale + offset) >> shift)``; scale and offset int64 (channels,)."""

    scale: np.ndarray
    offset: np.ndarray
    shift: int


@dataclass(frozen=True)
class Linear:
    """``weight`` (out, in) codes, and the rescale that follows. ``output`` None: 16-bit residual units (or logits)."""

    weight: np.ndarray
    weight_format: Format
    constants: Requantization
    output: Format | None

    @property
    def activation(self) -> Activation:
        """Codes say it: unsigned ones are those of a ReLU, for nothing is below their 0."""
        unsigned = self.output is not None and self.output.kind is Kind.UNSIGNED
        return Activation.RELU if unsigned else Activation.IDENTITY

    @property
    def codes(self) -> Format:
        """``output`` of a layer that must produce codes, which `golden.check` has seen."""
        assert self.output is not None, "this layer produces no codes"
        return self.output


@dataclass(frozen=True)
class Norm:
    """Residual sum, LayerNorm or RMSNorm. ``residual`` None: the stream keeps the sum (pre-LN)."""

    rms: bool
    epsilon: int
    residual: Requantization | None
    codes: Requantization
    output: Format


@dataclass(frozen=True)
class AttentionBlock:
    """Requantization parameters between query, key, value and context.

    ``score`` has one channel per head; ``probability`` is the format of the weights that the attention kind makes of the
    scores, and ``step`` and ``step_shift`` are parameters of it (`golden.attention`), 0 where it has none.
    ``context`` has heads * head_width channels.
    """

    query: Linear
    key: Linear
    value: Linear
    score: Requantization
    step: int
    step_shift: int
    probability: Format
    context: Requantization
    context_format: Format
    output: Linear
    norm: Norm


@dataclass(frozen=True)
class FeedForward:
    up: Linear
    down: Linear
    norm: Norm


@dataclass(frozen=True)
class Layer:
    attention: AttentionBlock
    feed_forward: FeedForward


@dataclass(frozen=True)
class Embedding:
    """``linear`` is the patch projection for patches; for tokens its weight is the table (vocabulary, width).

    A token's update is ``rescale(value(table[id]))`` with one channel per column. ``position`` is the first
    residual: (tokens, width) int64, signed 16 bit. ``input_format``: of the patches (of the table for tokens).
    """

    linear: Linear
    input_format: Format
    position: np.ndarray
    norm: Norm


@dataclass(frozen=True)
class Pooling:
    """Mean over the valid tokens' codes: the parameters have tokens + 1 channels, one for each length."""

    constants: Requantization
    output: Format


@dataclass(frozen=True)
class Encoder:
    """A whole quantized encoder, input to logits."""

    config: EncoderConfig
    embedding: Embedding
    layers: tuple[Layer, ...]
    pooling: Pooling | None
    pooler: Linear | None
    classifier: Linear
