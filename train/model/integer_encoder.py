"""The integer pipeline in PyTorch: `golden.encoder`, bit for bit, for batches and on any device.

It holds integers as `train.integer.arithmetic` does; sums of squares need int64.
"""

import torch

from golden import layernorm
from golden.activation.kinds import ACTIVATION_KINDS
from golden.attention.kind import weights_name
from golden.attention.kinds import ATTENTION_KINDS
from golden.model import Encoder, Head, Input
from golden.reciprocal import bit_length, reciprocal_sqrt
from golden.rescale import clip_bounds
from train.integer.arithmetic import Arithmetic, matmul, shifted, values
from train.model.attention.kinds import WEIGHTINGS

#: Elements of the largest tensor of a chunk: what is computed at a time.
CHUNK_ELEMENTS = 1 << 23
#: Tensors that are always returned.
KEPT = (".residual", ".saturated", "logits")
RESIDUAL = clip_bounds(None)


class IntegerEncoder:
    """Runs a `golden.model.Encoder` on batches.

    Parameters
    ----------
    encoder : golden.model.Encoder
    device : torch.device
    """

    def __init__(self, encoder: Encoder, device: torch.device | str = "cpu"):
        self.encoder, self.device = encoder, torch.device(device)
        self.arithmetic = Arithmetic(self.device)

    @torch.no_grad()
    def __call__(self, inputs: torch.Tensor, lengths: torch.Tensor, whole: bool = False) -> dict[str, torch.Tensor]:
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
        position = self.arithmetic.tensor(embedding.position)[:tokens].expand(len(inputs), -1, -1)
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

    def _linear(self, x, x_format, linear):
        t = matmul(values(x, x_format), self.arithmetic.weight(linear), x_format, linear.weight_format)
        return ACTIVATION_KINDS[linear.activation].results(t, linear, self.arithmetic.rescale)

    def _embed(self, inputs):
        embedding = self.encoder.embedding
        if self.encoder.config.input is Input.PATCHES:
            return self._linear(inputs.double(), embedding.input_format, embedding.linear)
        rows = self.arithmetic.weight(embedding.linear).T[inputs]
        return self.arithmetic.rescale(rows, embedding.linear.constants, RESIDUAL)

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
        gain = self.arithmetic.row(y * (width << lift) >> layernorm.MAX_WIDTH_BITS)
        half, shift = self.arithmetic.shift(k + lift)
        centred = x * (1 << layernorm.MEAN_FRACTION) - mean
        normal = shifted(centred.mul_(gain), half, shift)
        return normal.clamp_(-layernorm.NORMAL_HIGH - 1, layernorm.NORMAL_HIGH)

    def _affine(self, normal, constants):
        offset = self.arithmetic.tensor(constants.offset) * (1 << layernorm.NORMAL_FRACTION) + ((1 << constants.shift) >> 1)
        return shifted(normal * self.arithmetic.tensor(constants.scale), offset, 2.0**-constants.shift)

    def _attend(self, trace, name, x, x_format, block, mask):
        config = self.encoder.config
        parts = {}
        for part in ("query", "key", "value"):
            linear = getattr(block, part)
            trace[f"{name}.{part}"] = codes = self._linear(x, x_format, linear)
            split = codes.unflatten(-1, (config.heads, config.head_width)).transpose(1, 2)
            parts[part] = values(split, linear.output)
        scores = matmul(parts["query"], parts["key"].transpose(-1, -2), block.query.output, block.key.output)
        bounds = clip_bounds(ATTENTION_KINDS[config.attention].score_format(block))
        scores = self.arithmetic.rescale(scores, block.score, bounds, (slice(None), None, None))
        p = WEIGHTINGS[config.attention].codes(self.arithmetic, scores, mask[:, None, None, :], block)
        trace |= {weights_name(name, h): part for h, part in enumerate(p.unbind(1))}
        t = matmul(p, parts["value"], block.probability, block.value.output).transpose(1, 2).flatten(2)
        trace[f"{name}.context"] = context = self.arithmetic.rescale(t, block.context, block.context_format.range)
        return context

    def _classify(self, trace, x, x_format, lengths, mask):
        encoder, head = self.encoder, self.encoder.config.head
        if head is Head.MEAN:
            pooling = encoder.pooling
            assert pooling is not None, "a mean has its parameters, which golden.check has seen"
            t = (values(x, x_format) * mask[..., None]).sum(1)
            x = self.arithmetic.rescale(t, pooling.constants, pooling.output.range, (lengths.long(), None))
            x_format = pooling.output
            trace["pooled"] = x
        elif head is Head.CLS:
            x = x[:, 0]
        if encoder.pooler is not None:
            x = self._linear(x, x_format, encoder.pooler)
            x_format = encoder.pooler.output
            trace["pooler"] = x
        trace["logits"] = self._linear(x, x_format, encoder.classifier)
