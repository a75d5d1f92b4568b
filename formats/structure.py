"""The encoder of a bundle as its JSON has it: the keys of `golden.model`, their types and ranges.

An array is null here: it is a tensor beside the JSON, under the path of its key. What binds two values together is
`golden.check`'s to check. A field that is new gets a default, here and in `golden.model`.
"""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from formats.decode import Part
from golden.codes import MAX_BITS
from golden.model import Attention, Head, Input, Order
from golden.rescale import MAX_SHIFT

Shift = Annotated[int, Meta(ge=0, le=MAX_SHIFT)]


class KindName(StrEnum):
    """The names of `golden.codes.Kind`."""

    BIPOLAR = "bipolar"
    UNSIGNED = "unsigned"
    SIGNED = "signed"


#: Kind and width of codes.
Format = tuple[KindName, Annotated[int, Meta(ge=1, le=MAX_BITS)]]


class EncoderConfig(Part):
    layers: Annotated[int, Meta(ge=0, le=1000)]
    width: Annotated[int, Meta(ge=1, le=4095)]
    heads: Annotated[int, Meta(ge=1, le=1024)]
    head_width: Annotated[int, Meta(ge=1, le=4095)]
    feed_forward: Annotated[int, Meta(ge=1, le=1 << 16)]
    tokens: Annotated[int, Meta(ge=1, le=1 << 16)]
    classes: Annotated[int, Meta(ge=1, le=1 << 16)]
    input: Input
    order: Order
    attention: Attention
    head: Head
    input_size: Annotated[int, Meta(ge=1, le=1 << 24)]
    #: The residual stream has 16 bits.
    residual_fraction: Annotated[int, Meta(ge=0, le=15)]


class Requantization(Part):
    scale: None
    offset: None
    shift: Shift


class Linear(Part):
    """Its weight is a tensor too: planes of codes, packed along the inputs, (bits, outputs, bytes)."""

    weight_format: Format
    constants: Requantization
    output: Format | None
    inputs: Annotated[int, Meta(ge=1, le=1 << 24)]


class Norm(Part):
    rms: bool
    epsilon: Annotated[int, Meta(ge=1, le=(1 << 32) - 1)]
    residual: Requantization | None
    codes: Requantization
    output: Format


class AttentionBlock(Part):
    query: Linear
    key: Linear
    value: Linear
    score: Requantization
    step: Annotated[int, Meta(ge=0, le=(1 << 16) - 1)]
    step_shift: Shift
    probability: Format
    context: Requantization
    context_format: Format
    output: Linear
    norm: Norm


class FeedForward(Part):
    up: Linear
    down: Linear
    norm: Norm


class Layer(Part):
    attention: AttentionBlock
    feed_forward: FeedForward


class Embedding(Part):
    linear: Linear
    input_format: Format
    position: None
    norm: Norm


class Pooling(Part):
    constants: Requantization
    output: Format


class Encoder(Part):
    config: EncoderConfig
    embedding: Embedding
    layers: tuple[Layer, ...]
    pooling: Pooling | None
    pooler: Linear | None
    classifier: Linear
