"""The whole encoder, input to logits: every intermediate tensor, by name."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden import layernorm, residual
from golden.activation.kinds import ACTIVATION_KINDS
from golden.attention.kind import weights_name
from golden.attention.kinds import ATTENTION_KINDS
from golden.codes import values
from golden.embedding import gather
from golden.model import Encoder, Format, Head, Input, Linear, Norm
from golden.qmm import product
from golden.rescale import clip_bounds, rescale


def linear(x: NDArray[np.integer], x_format: Format, layer: Linear) -> NDArray[np.int64]:
    """``(rows, in)`` codes to ``(rows, out)`` codes, or 16-bit updates where ``layer.output`` is None."""
    t = product(x, layer.weight, x_format.kind, layer.weight_format.kind)
    return ACTIVATION_KINDS[layer.activation].results(t, layer)


def add_norm(
    stream: NDArray[np.int64], update: NDArray[np.int64], norm: Norm
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Residual sum and norm: ``(new stream, codes, saturated elements)``."""
    total, saturated = residual.add_residual(stream, update)
    normal = layernorm.normalise(total, norm.epsilon, norm.rms)
    codes = layernorm.affine(normal, norm.codes.scale, norm.codes.offset, norm.codes.shift, *norm.output.range)
    if norm.residual is not None:
        total, clipped = layernorm.affine_to_residual(
            normal, norm.residual.scale, norm.residual.offset, norm.residual.shift
        )
        saturated += clipped
    return total, codes, saturated


def _attend(trace, name, x, x_format, block, config):
    query, key, value = (
        linear(x, x_format, part) for part in (block.query, block.key, block.value)
    )
    trace |= {f"{name}.query": query, f"{name}.key": key, f"{name}.value": value}
    kind = ATTENTION_KINDS[config.attention]
    bounds = clip_bounds(kind.score_format(block))
    context = []
    for h in range(config.heads):
        columns = slice(h * config.head_width, (h + 1) * config.head_width)
        t = product(query[:, columns], key[:, columns], block.query.codes.kind, block.key.codes.kind)
        scores = rescale(t, block.score.scale[h], block.score.offset[h], block.score.shift, *bounds)
        p = kind.weights(scores, len(x), block)
        trace[weights_name(name, h)] = p
        t = product(p, value[:, columns].T, block.probability.kind, block.value.codes.kind)
        context.append(
            rescale(
                t, block.context.scale[columns], block.context.offset[columns], block.context.shift,
                *block.context_format.range,
            )
        )
    return np.concatenate(context, axis=1)


def _embed(inputs, embedding, config):
    if config.input is Input.PATCHES:
        return linear(inputs, embedding.input_format, embedding.linear)
    codes = gather(embedding.linear.weight, inputs)
    t, constants = values(codes, embedding.linear.weight_format.kind), embedding.linear.constants
    return rescale(t, constants.scale, constants.offset, constants.shift, *clip_bounds(None))


def encode(encoder: Encoder, inputs: NDArray[np.integer], length: int | None = None) -> dict[str, Any]:
    """Run an encoder on one sample: the first ``length`` of its tokens, as if there were no others.

    Parameters
    ----------
    encoder : golden.model.Encoder
    inputs : int array
        Token ids (tokens,), or patch codes (tokens, input_size).
    length : int, 1..tokens
        Number of tokens that are not padding; all of them by default.

    Returns
    -------
    dict of str to int64 array
        Every tensor that the accelerator holds, in the order computed, a row for each of the ``length`` tokens. ``logits``
        is (classes,), or (tokens, classes) for a per-token head, 0 from token ``length`` on. ``saturated`` is the number of
        saturated residual elements.

    Raises
    ------
    ValueError
        For an input of another shape, a length or a token id out of range.
    """
    config = encoder.config
    length = config.tokens if length is None else length
    expected = (config.tokens,) if config.input is Input.TOKENS else (config.tokens, config.input_size)
    if np.shape(inputs) != expected:
        raise ValueError(f"this model takes inputs of shape {expected}, not {np.shape(inputs)}")
    if not 1 <= length <= config.tokens:
        raise ValueError(f"the length must be in 1..{config.tokens}, not {length}")
    low, high = encoder.embedding.input_format.range
    if config.input is Input.PATCHES and not low <= np.min(inputs) <= np.max(inputs) <= high:
        raise ValueError(f"patch codes must be in {low}..{high}, but go from {np.min(inputs)} to {np.max(inputs)}")

    trace = {}
    stream, x, saturated = add_norm(
        encoder.embedding.position[:length], _embed(inputs[:length], encoder.embedding, config), encoder.embedding.norm
    )
    x_format = encoder.embedding.norm.output
    trace |= {"embedding.residual": stream, "embedding.codes": x}
    for index, layer in enumerate(encoder.layers):
        block, name = layer.attention, f"layer{index}.attention"
        context = _attend(trace, name, x, x_format, block, config)
        stream, x, clipped = add_norm(stream, linear(context, block.context_format, block.output), block.norm)
        saturated += clipped
        trace |= {f"{name}.context": context, f"{name}.residual": stream, f"{name}.codes": x}
        feed_forward, x_format, name = layer.feed_forward, block.norm.output, f"layer{index}.feed_forward"
        hidden = linear(x, x_format, feed_forward.up)
        stream, x, clipped = add_norm(stream, linear(hidden, feed_forward.up.codes, feed_forward.down), feed_forward.norm)
        saturated += clipped
        x_format = feed_forward.norm.output
        trace |= {f"{name}.hidden": hidden, f"{name}.residual": stream, f"{name}.codes": x}
    trace |= _classify(encoder, x, x_format)
    trace["saturated"] = np.int64(saturated)
    return trace


def _classify(encoder, x, x_format):
    trace, length = {}, len(x)
    if encoder.config.head is Head.MEAN:
        constants, x_format_out = encoder.pooling.constants, encoder.pooling.output
        t = values(x, x_format.kind).sum(0, keepdims=True)
        x = rescale(
            t, constants.scale[length], constants.offset[length], constants.shift, *x_format_out.range
        )
        x_format = x_format_out
        trace["pooled"] = x
    elif encoder.config.head is Head.CLS:
        x = x[:1]
    if encoder.pooler is not None:
        x = linear(x, x_format, encoder.pooler)
        x_format = encoder.pooler.output
        trace["pooler"] = x
    logits = linear(x, x_format, encoder.classifier)
    absent = [(0, encoder.config.tokens - length), (0, 0)]
    trace["logits"] = np.pad(logits, absent) if encoder.config.head is Head.TOKEN else logits[0]
    return trace
