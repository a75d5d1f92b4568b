"""The integer pipeline once more, in plain Python integers and loops: slow, obvious, and sharing no code with golden.

Matrices are lists of rows. Only tables and the dataclasses of golden.model are taken over.
"""

from golden.codes import Kind
from golden.model import Attention, Head, Input
from golden.reciprocal import RECIPROCAL_TABLE, RSQRT_TABLE
from golden.softmax import EXPONENTIAL_TABLE

RESIDUAL = (-(2**15), 2**15 - 1)


def clip(value, low, high):
    return max(low, min(high, value))


def round_half_up(numerator, shift):
    """``numerator / 2^shift`` to the nearest integer, halves upwards."""
    divisor = 2**shift
    whole, rest = divmod(numerator, divisor)
    return whole + (2 * rest >= divisor)


def value(code, kind):
    return 2 * code - 1 if kind is Kind.BIPOLAR else code


def values(matrix, kind):
    return [[value(int(code), kind) for code in row] for row in matrix]


def multiply(left, right):
    """``left @ right^T``."""
    return [[sum(a * b for a, b in zip(row, column, strict=True)) for column in right] for row in left]


def bounds(output):
    return RESIDUAL if output is None else output.range


def rescale(t, channel, constants, low, high):
    scale, offset = int(constants.scale[channel]), int(constants.offset[channel])
    return clip(round_half_up(t * scale + offset, constants.shift), low, high)


def rescale_columns(matrix, constants, output):
    return [[rescale(t, j, constants, *bounds(output)) for j, t in enumerate(row)] for row in matrix]


def reciprocal(x):
    n = x.bit_length()
    m = x * 2 ** (17 - n) if n <= 17 else x // 2 ** (n - 17)
    first = int(RECIPROCAL_TABLE[(m - 2**16) // 2**9])
    return min(first * ((2**27 - m * first) // 2**4) // 2**15, 2**17 - 1), n


def reciprocal_sqrt(x):
    k = (x.bit_length() - 1) // 2
    m = x * 2 ** (16 - 2 * k) if k <= 8 else x // 2 ** (2 * k - 16)
    first = int(RSQRT_TABLE[m // 2**10])
    error = (3 * 2**32 - m * (first * first // 2**6)) // 2**12
    return min(first * error // 2**15, 2**17 - 1), k


def normalise(row, epsilon, rms):
    width = len(row)
    total = 0 if rms else sum(row)
    spread = width * sum(x * x for x in row) - total * total + epsilon
    mean = round_half_up(total * ((2 * 2**32 + width) // (2 * width)), 26)
    y, k = reciprocal_sqrt(spread)
    lift = 12 - width.bit_length()
    gain = y * width * 2**lift // 2**12
    return [clip(round_half_up((64 * x - mean) * gain, k + lift), -(2**17), 2**17 - 1) for x in row]


def affine(normal, constants, low, high):
    return [
        clip(round_half_up(n * int(m) + int(o) * 2**11, constants.shift), low, high)
        for n, m, o in zip(normal, constants.scale, constants.offset, strict=True)
    ]


def add_norm(stream, update, norm):
    total = [[clip(a + b, *RESIDUAL) for a, b in zip(*rows, strict=True)] for rows in zip(stream, update, strict=True)]
    normal = [normalise(row, norm.epsilon, norm.rms) for row in total]
    codes = [affine(row, norm.codes, *norm.output.range) for row in normal]
    if norm.residual is not None:
        total = [affine(row, norm.residual, *RESIDUAL) for row in normal]
    return total, codes


def softmax_row(scores, length, step, step_shift, bits):
    largest = max(scores[:length])
    e = []
    for s in scores[:length]:
        whole, part = divmod(largest - s, 64)
        e.append(int(EXPONENTIAL_TABLE[part]) // 2 ** min(whole, 16))
    y, n = reciprocal(sum(e))
    gain = y * step // 2**16
    codes = [min(round_half_up(x * gain, n + step_shift), 2**bits - 1) for x in e]
    return codes + [0] * (len(scores) - length)


def linear(x, kind, layer):
    t = multiply(values(x, kind), values(layer.weight, layer.weight_format.kind))
    return rescale_columns(t, layer.constants, layer.output)


def head_columns(matrix, h, config):
    return [row[h * config.head_width : (h + 1) * config.head_width] for row in matrix]


def attend(x, kind, block, config, length, trace, name):
    q, k, v = (linear(x, kind, part) for part in (block.query, block.key, block.value))
    trace |= {f"{name}.query": q, f"{name}.key": k, f"{name}.value": v}
    context = [[] for _ in x]
    for h in range(config.heads):
        qh, kh, vh = (head_columns(part, h, config) for part in (q, k, v))
        t = multiply(values(qh, block.query.output.kind), values(kh, block.key.output.kind))
        if config.attention is Attention.SOFTMAX:
            scores = [[rescale(s, h, block.score, *RESIDUAL) for s in row] for row in t]
            p = [softmax_row(row, length, block.step, block.step_shift, block.probability.bits) for row in scores]
        else:
            p = [[rescale(s, h, block.score, 0, 1) if j < length else 0 for j, s in enumerate(row)] for row in t]
        trace[f"{name}.probability{h}"] = p
        mixed = multiply(p, list(zip(*values(vh, block.value.output.kind), strict=True)))
        for i, row in enumerate(mixed):
            channels = range(h * config.head_width, (h + 1) * config.head_width)
            context[i] += [
                rescale(t, c, block.context, *block.context_format.range) for c, t in zip(channels, row, strict=True)
            ]
    trace[f"{name}.context"] = context
    return linear(context, block.context_format.kind, block.output)


def encode(encoder, inputs, length):
    """Every tensor that `golden.encoder.encode` names, except the count of saturated elements."""
    config, embedding, trace = encoder.config, encoder.embedding, {}
    if config.input is Input.TOKENS:
        rows = values([embedding.linear.weight[i] for i in inputs], embedding.linear.weight_format.kind)
        update = rescale_columns(rows, embedding.linear.constants, None)
    else:
        update = linear(inputs, embedding.input_format.kind, embedding.linear)
    stream, x = add_norm(embedding.position.tolist(), update, embedding.norm)
    kind = embedding.norm.output.kind
    trace |= {"embedding.residual": stream, "embedding.codes": x}
    for index, layer in enumerate(encoder.layers):
        name = f"layer{index}.attention"
        update = attend(x, kind, layer.attention, config, length, trace, name)
        stream, x = add_norm(stream, update, layer.attention.norm)
        trace |= {f"{name}.residual": stream, f"{name}.codes": x}
        block, name = layer.feed_forward, f"layer{index}.feed_forward"
        hidden = linear(x, layer.attention.norm.output.kind, block.up)
        stream, x = add_norm(stream, linear(hidden, block.up.output.kind, block.down), block.norm)
        kind = block.norm.output.kind
        trace |= {f"{name}.hidden": hidden, f"{name}.residual": stream, f"{name}.codes": x}
    if config.head is Head.MEAN:
        sums = [sum(column) for column in zip(*values(x[:length], kind), strict=True)]
        x = [[rescale(t, length, encoder.pooling.constants, *encoder.pooling.output.range) for t in sums]]
        kind = encoder.pooling.output.kind
        trace["pooled"] = x
    elif config.head is Head.CLS:
        x = x[:1]
    if encoder.pooler is not None:
        x, kind = linear(x, kind, encoder.pooler), encoder.pooler.output.kind
        trace["pooler"] = x
    logits = linear(x, kind, encoder.classifier)
    trace["logits"] = logits if config.head is Head.TOKEN else logits[0]
    return trace
