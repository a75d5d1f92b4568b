"""Random encoders for tests: legal, of any structure, with constants that keep every code well spread."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from golden import layernorm, softmax
from golden.attention.kinds import ATTENTION_KINDS
from golden.check import check_encoder
from golden.codes import Kind, values
from golden.embedding import gather
from golden.encoder import add_norm
from golden.model import (
    Attention,
    AttentionBlock,
    Embedding,
    Encoder,
    EncoderConfig,
    FeedForward,
    Format,
    Head,
    Input,
    Layer,
    Linear,
    Norm,
    Order,
    Pooling,
    Requantization,
)
from golden.qmm import product
from golden.rescale import clip_bounds, quantize_constants, rescale

BINARY = Format(Kind.BIPOLAR, 1)
TERNARY = Format(Kind.SIGNED, 2)
BIT = Format(Kind.UNSIGNED, 1)
BYTE = Format(Kind.UNSIGNED, 8)
SIGNED_BYTE = Format(Kind.SIGNED, 8)
CALIBRATION_SAMPLES = 4


def random_encoder(
    rng,
    *,
    layers=1,
    width=32,
    heads=2,
    head_width=16,
    feed_forward=64,
    tokens=8,
    classes=3,
    input_size=16,
    input=Input.PATCHES,
    order=Order.POST,
    attention=Attention.SOFTMAX,
    head=Head.CLS,
    pooler=False,
    rms=False,
    residual_fraction=8,
    weight=BINARY,
    codes=BINARY,
    feed=None,
    last=None,
    query=BINARY,
    key=BINARY,
    value=BINARY,
    probability=BIT,
    context=BINARY,
    hidden=BIT,
    patch=BYTE,
    ends=SIGNED_BYTE,
    calibration=CALIBRATION_SAMPLES,
):
    """A legal ``golden.model.Encoder``.

    Parameters
    ----------
    rng : numpy.random.Generator
    weight : Format
        Of the encoder's weights, and of the table for token inputs. `TERNARY` gives -1, 0 and 1 only.
    codes, query, key, value, probability, context, hidden, patch : Format
        Of the norms' outputs, and so on through a block; ``patch`` is that of the input.
    feed, last : Format or None
        Of the norms' outputs before a feed-forward block and before the head, where not ``codes``.
    ends : Format
        Weights of the patch projection, the pooler and the classifier; the pooled codes too.
    calibration : int
        Random inputs from whose accumulators the constants are set; the more, the longer it takes.

    Constants are set so that about two thirds of the codes of every channel lie inside the clip bounds.
    Some scales are negative.
    """
    config = EncoderConfig(
        layers=layers, width=width, heads=heads, head_width=head_width, feed_forward=feed_forward, tokens=tokens,
        classes=classes, input=input, order=order, attention=attention, head=head, input_size=input_size,
        residual_fraction=residual_fraction,
    )  # fmt: skip
    feed, last = feed or codes, last or codes
    embedding_weight = weight if input is Input.TOKENS else ends
    batch = [_random_input(rng, config, patch) for _ in range(calibration)]
    unit = 1 << residual_fraction
    position = np.rint(rng.normal(0, 0.5 * unit, (tokens, width))).astype(np.int64)

    def make_linear(x, x_format, outputs, output, weight_format, spread=unit):
        matrix = random_codes(rng, weight_format, (outputs, x[0].shape[-1]))
        # One product for all samples: the weights are by far the larger operand.
        t = np.split(product(np.concatenate(x), matrix, x_format.kind, weight_format.kind), len(x))
        made = Linear(matrix, weight_format, _spread(rng, t, output, spread), output)
        return made, [_apply(sample, made.constants, output) for sample in t]

    def make_norm(streams, updates, output):
        made = _random_norm(rng, config, rms, output)
        results = [add_norm(stream, update, made) for stream, update in zip(streams, updates, strict=True)]
        return made, [stream for stream, _, _ in results], [x for _, x, _ in results]

    if input is Input.TOKENS:
        table = random_codes(rng, weight, (input_size, width))
        t = [values(gather(table, sample), weight.kind) for sample in batch]
        projection = Linear(table, weight, _spread(rng, t, None, unit), None)
        updates = [_apply(sample, projection.constants, None) for sample in t]
    else:
        projection, updates = make_linear(batch, patch, width, None, embedding_weight)
    norm, stream, x = make_norm([position] * len(batch), updates, codes)
    embedding = Embedding(projection, weight if input is Input.TOKENS else patch, position, norm)

    blocks = []
    for index in range(layers):
        inner = heads * head_width
        query_linear, q = make_linear(x, codes, inner, query, weight)
        key_linear, k = make_linear(x, codes, inner, key, weight)
        value_linear, v = make_linear(x, codes, inner, value, weight)
        made = _random_attention(rng, config, (q, k, v), (query, key, value), probability, context)
        score, step, step_shift, context_constants, mixed = made
        output, updates = make_linear(mixed, context, width, None, weight)
        norm, stream, x = make_norm(stream, updates, feed)
        block = AttentionBlock(
            query_linear, key_linear, value_linear, score, step, step_shift, probability, context_constants, context,
            output, norm,
        )  # fmt: skip
        up, h = make_linear(x, feed, feed_forward, hidden, weight)
        down, updates = make_linear(h, hidden, width, None, weight)
        norm, stream, x = make_norm(stream, updates, last if index == layers - 1 else codes)
        blocks.append(Layer(block, FeedForward(up, down, norm)))

    pooling, pooler_linear, x_format = None, None, last
    if head is Head.MEAN:
        pooling, x = _random_pooling(rng, x, last, ends, tokens)
        x_format = ends
    elif head is Head.CLS:
        x = [sample[:1] for sample in x]
    if pooler:
        pooler_linear, x = make_linear(x, x_format, width, codes, ends)
        x_format = codes
    classifier, _ = make_linear(x, x_format, classes, None, ends, spread=4 * unit)

    encoder = Encoder(config, embedding, tuple(blocks), pooling, pooler_linear, classifier)
    check_encoder(encoder)
    return encoder


def random_inputs(rng, encoder, samples=1):
    """Inputs and lengths for ``encoder``: a list of ``(inputs, length)``, the first of full length."""
    config = encoder.config
    lengths = [config.tokens] + [int(rng.integers(1, config.tokens + 1)) for _ in range(samples - 1)]
    return [(_random_input(rng, config, encoder.embedding.input_format), length) for length in lengths]


def random_codes(rng, code_format, shape):
    """Codes of a format, uniform; 2-bit signed ones are ternary."""
    low, high = code_format.range
    return rng.integers(-1 if code_format == TERNARY else low, high + 1, shape, dtype=np.int64)


def _random_input(rng, config, patch):
    if config.input is Input.TOKENS:
        return rng.integers(0, config.input_size, config.tokens, dtype=np.int64)
    return random_codes(rng, patch, (config.tokens, config.input_size))


def _spread(rng, t, output, unit):
    """Constants that map accumulators, a list of (rows, channels), onto a format, or to ``unit`` if None."""
    t = np.concatenate(t).astype(np.float64)
    deviation, centre = _code_spread(output, unit)
    sign = np.where(rng.random(t.shape[1]) < 0.25, -1.0, 1.0)
    scale = sign * deviation * rng.uniform(0.5, 1.5, t.shape[1]) / np.maximum(t.std(0), 1.0)
    offset = centre - scale * t.mean(0) + rng.normal(0, 0.3 * deviation, t.shape[1])
    return Requantization(*quantize_constants(scale, offset))


def _code_spread(output, unit):
    """Standard deviation and mean that fill a format."""
    if output is None:
        return unit, 0.0
    low, high = output.range
    if output.kind is Kind.UNSIGNED:
        return (high + 1) / 2, 0.5 if output.bits == 1 else 0.0
    return (high - low + 1) / 4, (low + high) / 2


def _apply(t, constants, output):
    return rescale(t, constants.scale, constants.offset, constants.shift, *clip_bounds(output))


def _random_norm(rng, config, rms, output):
    unit = 1 << config.residual_fraction
    deviation, centre = _code_spread(output, unit)
    to_residual = None
    if config.order is Order.POST:
        scale, offset = unit * rng.uniform(0.5, 1.5, config.width), unit * rng.normal(0, 0.2, config.width)
        to_residual = Requantization(*layernorm.quantize_affine(scale, offset))
    sign = np.where(rng.random(config.width) < 0.25, -1.0, 1.0)
    scale = sign * deviation * rng.uniform(0.5, 1.5, config.width)
    offset = centre + deviation * rng.normal(0, 0.2, config.width)
    to_codes = Requantization(*layernorm.quantize_affine(scale, offset))
    return Norm(rms, max(1, config.width**2 >> 4), to_residual, to_codes, output)


def _random_attention(rng, config, qkv, formats, probability, context):
    """Constants of one attention block, and the context codes they give."""
    kind = ATTENTION_KINDS[config.attention]
    step, step_shift = softmax.quantize_step(2.0 / config.tokens / (probability.range[1] + 1))
    block: Any = SimpleNamespace(step=step, step_shift=step_shift, probability=probability)
    score_format = kind.score_format(block)
    columns = [slice(h * config.head_width, (h + 1) * config.head_width) for h in range(config.heads)]
    t = [
        np.stack([product(q[:, c], k[:, c], formats[0].kind, formats[1].kind).ravel() for c in columns], axis=1)
        for q, k in zip(*qkv[:2], strict=True)
    ]
    score = _spread(rng, t, score_format, 96)
    mixed = []
    for sample, v in zip(t, qkv[2], strict=True):
        scores = _apply(sample, score, score_format)
        heads = []
        for h, c in enumerate(columns):
            row = scores[:, h].reshape(config.tokens, config.tokens)
            p = kind.weights(row, config.tokens, block)
            heads.append(product(p, v[:, c].T, probability.kind, formats[2].kind))
        mixed.append(np.concatenate(heads, axis=1))
    constants = _spread(rng, mixed, context, 0)
    return score, step, step_shift, constants, [_apply(sample, constants, context) for sample in mixed]


def _random_pooling(rng, x, x_format, output, tokens):
    sums = [values(sample, x_format.kind).sum(0, keepdims=True) for sample in x]
    deviation, centre = _code_spread(output, 0)
    flat = np.concatenate(sums).astype(np.float64)
    gain = deviation / max(flat.std() / tokens, 0.05)
    scale = gain / np.maximum(np.arange(tokens + 1), 1)
    offset = np.full(tokens + 1, centre - gain * flat.mean() / tokens)
    constants = Requantization(*quantize_constants(scale, offset))
    pooled = [rescale(t, constants.scale[tokens], constants.offset[tokens], constants.shift, *output.range) for t in sums]
    return Pooling(constants, output), pooled
