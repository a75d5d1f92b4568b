"""Export: a trained BMT to the integer encoder, every real scale folded into requantization parameters."""

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from golden import model
from golden.check import check_encoder
from golden.model import AttentionBlock, Head, Input, Pooling
from train.errors import ExportError
from train.integer import constants
from train.integer.constants import real
from train.model.structure import PATCH, NormKind

if TYPE_CHECKING:
    from train.model.bmt import BmtEncoder


@contextmanager
def _naming(name):
    """Says which part of the model it is that does not fit."""
    try:
        yield
    except ExportError:
        raise
    except ValueError as error:
        raise ExportError(f"{name} cannot be exported: {error}") from None


def export_encoder(encoder: "BmtEncoder") -> model.Encoder:
    """``golden.model.Encoder`` that computes what ``encoder``, a train.model.bmt.BmtEncoder with formats, evaluates to.

    Raises ExportError, naming the part, for full precision or for constants that do not fit the hardware's.
    """
    if encoder.formats is None:
        raise ExportError("a model in full precision has no codes; train it on bits (activation_bits 1..8) to export it")
    config = encoder.config
    step = encoder.embedding_norm.quantizer.step
    with _naming("embedding"):
        embedding = _embedding(encoder)
    layers = []
    for index, layer in enumerate(encoder.layers):
        attention = _attention(layer, step, config, f"layer{index}.attention")
        feed_forward = _feed_forward(layer, config, f"layer{index}.feed_forward")
        layers.append(model.Layer(attention, feed_forward))
        step = layer.feed_forward_norm.quantizer.step
    pooling = pooler = None
    if config.head is Head.MEAN:
        quantizer = encoder.pooled_quantizer
        with _naming("pooling"):
            pooling = Pooling(constants.to_mean(step / quantizer.step, config.tokens), quantizer.codes)
        step = quantizer.step
    if encoder.pooler is not None:
        pooler = _linear("pooler", encoder.pooler.linear, step, config, encoder.pooler.quantizer)
        step = encoder.pooler.quantizer.step
    classifier = _linear("classifier", encoder.classifier, step, config)
    exported = model.Encoder(config, embedding, tuple(layers), pooling, pooler, classifier)
    with _naming("the model"):
        check_encoder(exported)
    return exported


def _linear(name, layer, step, config, quantizer=None):
    """A linear layer on codes of ``step``, to codes or (without quantizer) to residual units."""
    with _naming(name):
        operand = layer.operand()
        scale, offset = operand.scale * step, real(layer.bias)
        if quantizer is None:
            made = constants.to_residual(scale, offset, config.residual_fraction)
        else:
            made = constants.to_codes(scale, offset, quantizer)
        return model.Linear(operand.codes, operand.format, made, quantizer and quantizer.format)


def _embedding(encoder):
    layer, config = encoder.embedding, encoder.config
    if config.input is Input.TOKENS:
        operand = layer.operand()
        made = constants.to_residual(operand.scale, real(layer.bias), config.residual_fraction)
        projection, input_format = model.Linear(operand.codes, operand.format, made, None), operand.format
    else:
        projection, input_format = _linear("embedding", layer, 1 / PATCH.range[1], config), PATCH
    position = constants.position_to_residual(real(encoder.position), config.residual_fraction)
    return model.Embedding(projection, input_format, position, _norm(encoder.embedding_norm, config))


def _norm(norm, config):
    scale, offset, fraction = real(norm.scale), real(norm.offset), config.residual_fraction
    return model.Norm(
        rms=norm.kind is NormKind.RMS,
        epsilon=constants.integer_epsilon(norm.epsilon, config.width, fraction),
        residual=None if norm.keeps_sum else constants.norm_to_residual(scale, offset, fraction),
        codes=constants.norm_to_codes(scale, offset, norm.quantizer),
        output=norm.quantizer.format,
    )


def _attention(layer, step, config, name):
    block = layer.attention
    query, key, value, context = (
        getattr(block, f"{part}_quantizer") for part in ("query", "key", "value", "context")
    )
    with _naming(name):
        weighting, weight_step = block.kind.export(block.weigher, query.step * key.step, config)
        mixed = constants.to_codes(weight_step * value.step, np.zeros(len(weight_step)), context)
        norm = _norm(layer.attention_norm, config)
    return AttentionBlock(
        query=_linear(f"{name}.query", block.query, step, config, query),
        key=_linear(f"{name}.key", block.key, step, config, key),
        value=_linear(f"{name}.value", block.value, step, config, value),
        **weighting, probability=block.weigher.format, context=mixed, context_format=context.format,
        output=_linear(f"{name}.output", block.output, context.step, config),
        norm=norm,
    )  # fmt: skip


def _feed_forward(layer, config, name):
    block = layer.feed_forward
    up = _linear(f"{name}.up", block.up, layer.attention_norm.quantizer.step, config, block.hidden_quantizer)
    down = _linear(f"{name}.down", block.down, block.hidden_quantizer.step, config)
    with _naming(name):
        return model.FeedForward(up, down, _norm(layer.feed_forward_norm, config))
