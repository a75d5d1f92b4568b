"""The integer pipeline in PyTorch: `golden.encoder`, bit for bit, for batches and on any device.

Integers are held in floating point where it is exact: products of codes in float32 if they stay under 2^24, what is
rescaled in float64. Sums of squares need int64. What is one number for a row comes from golden itself.
"""

import numpy as np
import torch

from golden import layernorm, residual, softmax
from golden.codes import Kind
from golden.codes import values as code_values
from golden.model import Attention, Head, Input
from golden.reciprocal import bit_length, reciprocal, reciprocal_sqrt

FLOAT32_EXACT = 1 << 24
#: Elements of the largest tensor of a chunk: what is computed at a time.
CHUNK_ELEMENTS = 1 << 23
#: Tensors that are always returned.
KEPT = (".residual", ".saturated", "logits")
RESIDUAL = residual.LOW, residual.HIGH


def _bound(code_format):
    low, high = code_format.range
    return 1 if code_format.kind is Kind.BIPOLAR else max(-low, high)


def _values(codes, code_format):
    return 2 * codes - 1 if code_format.kind is Kind.BIPOLAR else codes


def _matmul(a, b, a_format, b_format):
    """``a @ b`` of code values, exact."""
    exact = a.shape[-1] * _bound(a_format) * _bound(b_format) < FLOAT32_EXACT
    dtype = torch.float32 if exact else torch.float64
    return a.to(dtype) @ b.to(dtype)


def _shifted(x, half, shift):
    """``(x + half) >> shift``: ``x`` float64, which is overwritten; the others broadcast to it."""
    return x.add_(half).mul_(shift).floor_()


class IntegerEncoder:
    """Runs a `golden.model.Encoder` on batches.

    Parameters
    ----------
    encoder : golden.model.Encoder
    device : torch.device
    """

    def __init__(self, encoder, device="cpu"):
        self.encoder, self.device = encoder, torch.device(device)
        self._kept = {}

    @torch.no_grad()
    def __call__(self, inputs, lengths, whole=False):
        """Run a batch.

        Parameters
        ----------
        inputs : integer tensor, (batch, tokens) ids or (batch, tokens, input_size) codes; tokens may be cut
        lengths : integer tensor, (batch,)
        whole : bool
            Return every tensor that `golden.encoder.encode` does. Otherwise streams and logits.

        Returns
        -------
        dict of str to float64 tensor (batch, ...)
            By the names of golden. ``NAME.saturated`` (batch,) counts the saturated elements of ``NAME.residual``.
        """
        config = self.encoder.config
        largest = inputs.shape[1] * max(config.feed_forward, config.heads * inputs.shape[1], config.width)
        size = max(1, CHUNK_ELEMENTS // largest)
        parts = [
            self._run(x.to(self.device), n.to(self.device), whole)
            for x, n in zip(inputs.split(size), lengths.split(size), strict=True)
        ]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _run(self, inputs, lengths, whole):
        encoder = self.encoder
        trace: dict[str, torch.Tensor] = {}
        tokens = inputs.shape[1]
        mask = torch.arange(tokens, device=self.device) < lengths[:, None]
        embedding = encoder.embedding
        position = self._tensor(embedding.position)[:tokens].expand(len(inputs), -1, -1)
        state = position, None, embedding.input_format
        state = self._norm(trace, "embedding", state, self._embed(inputs), embedding.norm)
        for index, layer in enumerate(encoder.layers):
            name, (_, x, x_format) = f"layer{index}.attention", state
            context = self._attend(trace, name, x, x_format, layer.attention, mask)
            update = self._linear(context, layer.attention.context_format, layer.attention.output)
            state = self._norm(trace, name, state, update, layer.attention.norm)
            block, name, (_, x, x_format) = layer.feed_forward, f"layer{index}.feed_forward", state
            trace[f"{name}.hidden"] = hidden = self._linear(x, x_format, block.up)
            state = self._norm(trace, name, state, self._linear(hidden, block.up.output, block.down), block.norm)
            if not whole:
                trace = {key: value for key, value in trace.items() if key.endswith(KEPT)}
        _, x, x_format = state
        self._classify(trace, x, x_format, lengths, mask)
        return trace if whole else {key: value for key, value in trace.items() if key.endswith(KEPT)}

    def _tensor(self, array):
        """A constant on the device, kept."""
        key = id(array)
        if key not in self._kept:
            # The array too, so that its id stays its own.
            self._kept[key] = array, torch.from_numpy(np.asarray(array)).to(self.device, torch.float64)
        return self._kept[key][1]

    def _weight(self, linear):
        """Values of the weights (inputs, outputs), as float32: they are small."""
        key = id(linear)
        if key not in self._kept:
            array = code_values(linear.weight, linear.weight_format.kind).astype(np.float32)
            self._kept[key] = linear, torch.from_numpy(array).to(self.device).T
        return self._kept[key][1]

    def _rescale(self, t, constants, bounds, channels=()):
        """``channels`` indexes the constants, to what broadcasts to ``t``; nothing is one per column."""
        scale, offset = (self._tensor(part)[channels] for part in (constants.scale, constants.offset))
        t = t.double() * scale
        return _shifted(t, offset + ((1 << constants.shift) >> 1), 2.0**-constants.shift).clamp_(*bounds)

    def _linear(self, x, x_format, linear):
        t = _matmul(_values(x, x_format), self._weight(linear), x_format, linear.weight_format)
        return self._rescale(t, linear.constants, linear.output.range if linear.output else RESIDUAL)

    def _embed(self, inputs):
        embedding = self.encoder.embedding
        if self.encoder.config.input is Input.PATCHES:
            return self._linear(inputs.double(), embedding.input_format, embedding.linear)
        return self._rescale(self._weight(embedding.linear).T[inputs], embedding.linear.constants, RESIDUAL)

    def _norm(self, trace, name, state, update, norm):
        """Residual sum and norm: the next ``(stream, codes, format of the codes)``."""
        wide = state[0] + update
        total = wide.clamp(*RESIDUAL)
        saturated = (total != wide).sum((1, 2))
        normal = self._normalise(total, norm)
        codes = self._affine(normal, norm.codes).clamp_(*norm.output.range)
        if norm.residual is not None:
            wide = self._affine(normal, norm.residual)
            total = wide.clamp(*RESIDUAL)
            saturated = saturated + (total != wide).sum((1, 2))
        trace |= {f"{name}.residual": total, f"{name}.codes": codes, f"{name}.saturated": saturated.double()}
        return total, codes, norm.output

    def _normalise(self, x, norm):
        whole = x.long()
        width = x.shape[-1]
        squares = (whole * whole).sum(-1, keepdim=True)
        total = torch.zeros_like(squares) if norm.rms else whole.sum(-1, keepdim=True)
        spread = width * squares - total * total + norm.epsilon
        drop = layernorm.WIDTH_RECIPROCAL_BITS - layernorm.MEAN_FRACTION
        mean = (total * layernorm.width_reciprocal(width) + (1 << (drop - 1))) >> drop
        y, k = reciprocal_sqrt(spread.cpu().numpy())
        lift = layernorm.MAX_WIDTH_BITS - int(bit_length(width))
        gain = self._row(y * (width << lift) >> layernorm.MAX_WIDTH_BITS)
        half, shift = self._shift(k + lift)
        centred = x * (1 << layernorm.MEAN_FRACTION) - mean
        normal = _shifted(centred.mul_(gain), half, shift)
        return normal.clamp_(-layernorm.NORMAL_HIGH - 1, layernorm.NORMAL_HIGH)

    def _row(self, numbers):
        return torch.from_numpy(np.asarray(numbers)).to(self.device, torch.float64)

    def _shift(self, amounts):
        """For `_shifted`, from shifts that are numbers of rows."""
        return self._row((1 << amounts) >> 1), self._row(2.0 ** -amounts.astype(np.float64))

    def _affine(self, normal, constants):
        offset = self._tensor(constants.offset) * (1 << layernorm.NORMAL_FRACTION) + ((1 << constants.shift) >> 1)
        return _shifted(normal * self._tensor(constants.scale), offset, 2.0**-constants.shift)

    def _attend(self, trace, name, x, x_format, block, mask):
        config = self.encoder.config
        parts = {}
        for part in ("query", "key", "value"):
            linear = getattr(block, part)
            trace[f"{name}.{part}"] = codes = self._linear(x, x_format, linear)
            split = codes.unflatten(-1, (config.heads, config.head_width)).transpose(1, 2)
            parts[part] = _values(split, linear.output)
        scores = _matmul(parts["query"], parts["key"].transpose(-1, -2), block.query.output, block.key.output)
        softmax_ = config.attention is Attention.SOFTMAX
        bounds = RESIDUAL if softmax_ else block.probability.range
        scores = self._rescale(scores, block.score, bounds, (slice(None), None, None))
        keys = mask[:, None, None, :]
        p = self._softmax(scores, keys, block) if softmax_ else scores * keys
        trace |= {f"{name}.probability{h}": part for h, part in enumerate(p.unbind(1))}
        t = _matmul(p, parts["value"], block.probability, block.value.output).transpose(1, 2).flatten(2)
        trace[f"{name}.context"] = context = self._rescale(t, block.context, block.context_format.range)
        return context

    def _softmax(self, scores, keys, block):
        maximum = scores.masked_fill(~keys, -torch.inf).amax(-1, keepdim=True)
        distance = (maximum - scores).clamp_(min=0).int()
        whole = (distance >> softmax.SCORE_FRACTION).clamp_(max=softmax.EXPONENTIAL_BITS)
        table = self._tensor(softmax.EXPONENTIAL_TABLE)
        part = table[distance & ((1 << softmax.SCORE_FRACTION) - 1)]
        e = torch.ldexp(part, -whole).floor_().mul_(keys)
        y, n = reciprocal(e.sum(-1, keepdim=True).long().cpu().numpy())
        half, shift = self._shift(n + block.step_shift)
        return _shifted(e.mul_(self._row(y * block.step >> 16)), half, shift).clamp_(max=(1 << block.probability.bits) - 1)

    def _classify(self, trace, x, x_format, lengths, mask):
        encoder, head = self.encoder, self.encoder.config.head
        if head is Head.MEAN:
            pooling = encoder.pooling
            t = (_values(x, x_format) * mask[..., None]).sum(1)
            x = self._rescale(t, pooling.constants, pooling.output.range, (lengths.long(), None))
            x_format = pooling.output
            trace["pooled"] = x
        elif head is Head.CLS:
            x = x[:, 0]
        if encoder.pooler is not None:
            x = self._linear(x, x_format, encoder.pooler)
            x_format = encoder.pooler.output
            trace["pooler"] = x
        trace["logits"] = self._linear(x, x_format, encoder.classifier)
