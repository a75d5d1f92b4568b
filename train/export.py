"""Export: a trained BMT to the integer encoder, every real scale folded into rescale constants."""

import math

import numpy as np

from golden import residual
from golden.check import check_encoder
from golden.codes import Kind
from golden.layernorm import NORMAL_FRACTION, quantize_affine
from golden.model import (
    AttentionBlock,
    Constants,
    Embedding,
    Encoder,
    FeedForward,
    Head,
    Input,
    Layer,
    Linear,
    Norm,
    Pooling,
)
from golden.rescale import quantize_constants
from golden.softmax import SCORE_FRACTION, quantize_step
from train.bmt import PATCH

#: The farthest threshold of a normalised value: an offset of 16 bits, 16 standard deviations.
FIRST_MAX = (1 << 15) - 2


def export_encoder(model):
    """``golden.model.Encoder`` that computes what ``model`` (a train.bmt.Encoder with formats) evaluates to."""
    config = model.config
    x_step = model.embedding_norm.quantizer.step
    layers = []
    for layer in model.layers:
        attention = _attention(layer, x_step, config)
        block = layer.feed_forward
        hidden = block.hidden_quantizer
        up = _linear(block.up, layer.attention_norm.quantizer.step, config, hidden)
        down = _linear(block.down, hidden.step, config)
        norm = layer.feed_forward_norm
        layers.append(Layer(attention, FeedForward(up, down, _norm(norm, config))))
        x_step = norm.quantizer.step
    pooling = None
    if config.head is Head.MEAN:
        quantizer = model.pooled_quantizer
        scale = x_step / quantizer.step / np.maximum(np.arange(config.tokens + 1), 1)
        pooling = Pooling(Constants(*quantize_constants(scale, 0.0)), quantizer.format)
        x_step = quantizer.step
    classifier = _linear(model.classifier, x_step, config)
    encoder = Encoder(config, _embedding(model, config), tuple(layers), pooling, None, classifier)
    check_encoder(encoder)
    return encoder


def _real(tensor):
    return tensor.detach().double().numpy()


def _unit(config):
    return 2.0**config.residual_fraction


def to_codes(scale, offset, quantizer):
    """Constants for ``codes(quantizer(t * scale + offset))``; scale > 0 is one number or (channels,), offset (channels,)."""
    if quantizer.bias is not None:
        offset = offset + _real(quantizer.bias)
    if quantizer.format.kind is Kind.BIPOLAR:
        # Only the sign counts and t is an integer: 1 from the first integer on that gives no negative number.
        return Constants(*quantize_constants(np.ones_like(offset), 1 - np.ceil(-offset / scale)))
    scale = np.broadcast_to(scale / quantizer.step, np.shape(offset))
    return Constants(*quantize_constants(scale, offset / quantizer.step))


def _linear(layer, x_step, config, quantizer=None):
    """A linear layer on codes of step ``x_step``, to codes or (without quantizer) to residual units."""
    operand = layer.operand()
    scale, offset = operand.scale * x_step, _real(layer.bias)
    if quantizer is None:
        unit = _unit(config)
        constants = Constants(*quantize_constants(scale * unit, offset * unit))
    else:
        constants = to_codes(scale, offset, quantizer)
    return Linear(operand.codes, operand.format, constants, quantizer and quantizer.format)


def _embedding(model, config):
    layer, unit = model.embedding, _unit(config)
    if config.input is Input.TOKENS:
        operand = layer.operand()
        constants = Constants(*quantize_constants(operand.scale * unit, _real(layer.bias) * unit))
        projection = Linear(operand.codes, operand.format, constants, None)
        input_format = operand.format
    else:
        projection = _linear(layer, 1 / PATCH.range[1], config)
        input_format = PATCH
    position = np.clip(np.floor(_real(model.position) * unit + 0.5), residual.LOW, residual.HIGH).astype(np.int64)
    return Embedding(projection, input_format, position, _norm(model.embedding_norm, config))


def _norm(norm, config):
    scale, offset, unit = _real(norm.scale), _real(norm.offset), _unit(config)
    to_residual = Constants(*quantize_affine(scale * unit, offset * unit))
    quantizer = norm.quantizer
    shifted = offset + _real(quantizer.bias)
    if quantizer.format.kind is Kind.BIPOLAR:
        to_codes = norm_thresholds(scale, shifted)
    else:
        to_codes = Constants(*quantize_affine(scale / quantizer.step, shifted / quantizer.step))
    return Norm(False, norm.epsilon, to_residual, to_codes, quantizer.format)


def norm_thresholds(scale, offset):
    """Constants of a 1-bit code: 1 where ``normal * scale + offset >= 0``, exactly for every integer ``normal``."""
    rising = scale >= 0
    slope = np.where(scale == 0, 1e-30, np.abs(scale))
    # The first normal that gives a 1 (its negative where the scale falls), in units of 2^-11.
    first = np.clip(np.ceil(-offset / slope * (1 << NORMAL_FRACTION)), -FIRST_MAX, FIRST_MAX).astype(np.int64)
    # normal and offset both count 2^11; the rounding half at the next higher shift makes a 1 of a sum of 1.
    return Constants(np.where(rising, 1, -1) << NORMAL_FRACTION, 1 - first, NORMAL_FRACTION + 1)


def _attention(layer, x_step, config):
    block = layer.attention
    query, key, value = block.query_quantizer, block.key_quantizer, block.value_quantizer
    probability, context = block.probability_quantizer, block.context_quantizer
    exponent = math.log2(math.e) / math.sqrt(config.head_width) * (1 << SCORE_FRACTION)
    score = np.full(config.heads, query.step * key.step * exponent)
    step, step_shift = quantize_step(probability.step)
    inner = config.heads * config.head_width
    return AttentionBlock(
        query=_linear(block.query, x_step, config, query),
        key=_linear(block.key, x_step, config, key),
        value=_linear(block.value, x_step, config, value),
        score=Constants(*quantize_constants(score, np.zeros_like(score))),
        step=step,
        step_shift=step_shift,
        probability=probability.format,
        context=to_codes(probability.step * value.step, np.zeros(inner), context),
        context_format=context.format,
        output=_linear(block.output, context.step, config),
        norm=_norm(layer.attention_norm, config),
    )
