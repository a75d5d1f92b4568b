"""Whether a quantized encoder is well formed: shapes, ranges and formats, each rule with its message."""

from golden.activation.kinds import ACTIVATION_KINDS
from golden.attention.kinds import ATTENTION_KINDS
from golden.codes import Kind, check_kind
from golden.layernorm import width_reciprocal
from golden.model import Encoder, Head, Input, Order
from golden.rescale import MAX_SHIFT, OFFSET_BITS, SCALE_BITS


def _require(condition, message):
    if not condition:
        raise ValueError(message)


def _check_range(array, bits, name):
    limit = 1 << (bits - 1)
    _require(
        array.size == 0 or (-limit <= array.min() and array.max() < limit),
        f"{name} must be signed {bits} bit, but goes from {array.min(initial=0)} to {array.max(initial=0)}",
    )


def _check_constants(constants, channels, name, offset_bits=OFFSET_BITS - 1):
    """One bit of the offset is kept for what the compiler folds into it."""
    for part, bits in (("scale", SCALE_BITS), ("offset", offset_bits)):
        array = getattr(constants, part)
        _require(array.shape == (channels,), f"{name}.{part} must have shape ({channels},), not {array.shape}")
        _check_range(array, bits, f"{name}.{part}")
    _require(0 <= constants.shift <= MAX_SHIFT, f"{name}.shift must be in 0..{MAX_SHIFT}, not {constants.shift}")


def _check_linear(linear, outputs, inputs, name):
    check_kind(*linear.weight_format)
    shape = (outputs, inputs)
    _require(linear.weight.shape == shape, f"{name}.weight must have shape {shape}, not {linear.weight.shape}")
    low, high = linear.weight_format.range
    _require(
        low <= linear.weight.min() and linear.weight.max() <= high, f"{name}.weight must be codes in {low}..{high}"
    )
    _check_constants(linear.constants, outputs, f"{name}.constants")
    ACTIVATION_KINDS[linear.activation].check(linear, name)


def _check_norm(norm, config, name):
    width = config.width
    check_kind(*norm.output)
    width_reciprocal(width)
    _require(1 <= norm.epsilon < 1 << 32, f"{name}.epsilon must be in 1..2^32-1, not {norm.epsilon}")
    _check_constants(norm.codes, width, f"{name}.codes", SCALE_BITS)
    place = "replaces" if config.order is Order.POST else "does not replace"
    _require(
        (norm.residual is not None) == (config.order is Order.POST),
        f"{name}.residual must be there in order post and in no other: in order {config.order} a norm {place} the stream",
    )
    if norm.residual is not None:
        _check_constants(norm.residual, width, f"{name}.residual", SCALE_BITS)


def _check_attention(block, config, name):
    inner = config.heads * config.head_width
    for part in ("query", "key", "value"):
        linear = getattr(block, part)
        _check_linear(linear, inner, config.width, f"{name}.{part}")
        _require(linear.output is not None, f"{name}.{part} must produce codes")
    _check_constants(block.score, config.heads, f"{name}.score")
    _require(
        block.probability.kind is Kind.UNSIGNED, f"{name}.probability must be unsigned, not {block.probability.kind.name}"
    )
    ATTENTION_KINDS[config.attention].check(block, name)
    _check_constants(block.context, inner, f"{name}.context")
    check_kind(*block.context_format)
    _check_linear(block.output, config.width, inner, f"{name}.output")
    _require(block.output.output is None, f"{name}.output must produce a residual update")
    _check_norm(block.norm, config, f"{name}.norm")


def _check_embedding(embedding, config):
    if config.input is Input.TOKENS:
        weight = embedding.linear.weight
        _require(
            weight.shape == (config.input_size, config.width),
            f"the embedding table must have shape {(config.input_size, config.width)}, not {weight.shape}",
        )
        check_kind(*embedding.linear.weight_format)
        same = embedding.input_format == embedding.linear.weight_format
        _require(same, "embedding.input_format must be the weight_format of the table, as the input are its rows")
        _check_constants(embedding.linear.constants, config.width, "embedding.linear.constants")
    else:
        _check_linear(embedding.linear, config.width, config.input_size, "embedding.linear")
    _require(embedding.linear.output is None, "embedding.linear.output must be null: it makes a residual update")
    check_kind(*embedding.input_format)
    shape = (config.tokens, config.width)
    _require(embedding.position.shape == shape, f"position must have shape {shape}, not {embedding.position.shape}")
    _check_range(embedding.position, 16, "embedding.position")
    _check_norm(embedding.norm, config, "embedding.norm")


def check_encoder(encoder: Encoder) -> None:
    """Raise ValueError, naming the tensor, unless every shape, range and format of ``encoder`` is legal."""
    config = encoder.config
    for name in ("layers", "width", "heads", "head_width", "feed_forward", "tokens", "classes", "input_size"):
        _require(getattr(config, name) >= 1, f"{name} must be at least 1, not {getattr(config, name)}")
    _require(len(encoder.layers) == config.layers, f"there are {len(encoder.layers)} layers, not {config.layers}")
    _check_embedding(encoder.embedding, config)
    for index, layer in enumerate(encoder.layers):
        _check_attention(layer.attention, config, f"layers.{index}.attention")
        block, name = layer.feed_forward, f"layers.{index}.feed_forward"
        _check_linear(block.up, config.feed_forward, config.width, f"{name}.up")
        _check_linear(block.down, config.width, config.feed_forward, f"{name}.down")
        _require(block.up.output is not None, f"{name}.up must produce codes")
        _require(block.down.output is None, f"{name}.down must produce a residual update")
        _check_norm(block.norm, config, f"{name}.norm")
    _require((encoder.pooling is not None) == (config.head is Head.MEAN), "pooling goes with a mean head and no other")
    if encoder.pooling is not None:
        _check_constants(encoder.pooling.constants, config.tokens + 1, "pooling.constants")
    if encoder.pooler is not None:
        _check_linear(encoder.pooler, config.width, config.width, "pooler")
        _require(encoder.pooler.output is not None, "pooler must produce codes")
    _check_linear(encoder.classifier, config.classes, config.width, "classifier")
    _require(encoder.classifier.output is None, "classifier must produce logits")
