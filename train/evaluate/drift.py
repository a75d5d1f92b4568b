"""Drift: how far the integer pipeline is from the same quantized model in real numbers, tensor by tensor.

Free-running drift adds up over the layers. What a layer does of its own is what it differs by when it is given the
integer model's input: so a user sees where accuracy goes.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from golden.attention.kind import weights_name
from golden.codes import Kind
from golden.model import Head
from train.data.batches import tensors
from train.data.sets import Split
from train.model.bmt import BmtEncoder
from train.model.norm import Norm

BATCH = 50


@dataclass
class Drift:
    """Drift of one tensor over a data set; shares are 0..1, None where it has no meaning.

    Parameters
    ----------
    name : str
        As golden calls it; ``probability`` is of all heads.
    differ, own : float
        Codes: share of those that differ, free running and of the layer's own. Streams and logits: root mean square of
        the difference over that of the real numbers.
    limit : float
        Share of the codes at the lowest or highest of their format; not of 1-bit codes.
    saturated : int
        Elements of the residual stream that did not fit 16 bit.
    from_full : float
        Streams and logits: the same distance of the quantized model in real numbers from the model in full precision.
    """

    name: str
    differ: float
    own: float
    limit: float | None = None
    saturated: int | None = None
    from_full: float | None = None


def places(model: BmtEncoder) -> tuple[dict[str, torch.nn.Module], dict[str, Norm]]:
    """Where codes and streams come from: name to quantizer, or to the norm whose stream it is."""
    codes = {"embedding.codes": model.embedding_norm.quantizer}
    streams = {"embedding.residual": model.embedding_norm}
    for index, layer in enumerate(model.layers):
        block, name = layer.attention, f"layer{index}.attention"
        codes |= {f"{name}.{part}": getattr(block, f"{part}_quantizer") for part in ("query", "key", "value")}
        codes[f"{name}.probability"] = block.weigher
        codes |= {f"{name}.context": block.context_quantizer, f"{name}.codes": layer.attention_norm.quantizer}
        streams[f"{name}.residual"] = layer.attention_norm
        name = f"layer{index}.feed_forward"
        codes |= {f"{name}.hidden": layer.feed_forward.hidden_quantizer, f"{name}.codes": layer.feed_forward_norm.quantizer}
        streams[f"{name}.residual"] = layer.feed_forward_norm
    if model.config.head is Head.MEAN:
        codes["pooled"] = model.pooled_quantizer
    if model.pooler is not None:
        codes["pooler"] = model.pooler.quantizer
    return codes, streams


class _Recorder:
    """Keeps what the places of a model give, codes as integer values, while it is entered."""

    def __init__(self, model):
        self.codes, self.streams = places(model)
        self.found: dict[str, torch.Tensor] = {}

    def __enter__(self):
        self.handles = [part.register_forward_hook(self._code(name)) for name, part in self.codes.items()]
        self.handles += [part.register_forward_hook(self._stream(name)) for name, part in self.streams.items()]
        return self.found

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()

    def _code(self, name):
        def keep(part, inputs, output):
            self.found[name] = torch.round(output / part.step)

        return keep

    def _stream(self, name):
        def keep(part, inputs, output):
            self.found[name] = output[0]

        return keep


class _Integers:
    """The integer model's tensors of a batch, codes as values, streams in real units."""

    def __init__(self, model, inputs, lengths):
        self.trace = model.as_integers()(inputs, lengths, whole=True)
        self.model, self.codes = model, places(model)[0]
        self.unit = 2.0**-model.config.residual_fraction

    def __getitem__(self, name):
        if name.endswith(".residual") or name == "logits":
            return self.trace[name] * self.unit
        if name.endswith(".probability"):
            block = name.removesuffix(".probability")
            heads = range(self.model.config.heads)
            return torch.stack([self.trace[weights_name(block, head)] for head in heads], 1)
        codes = self.trace[name]
        return 2 * codes - 1 if self.codes[name].format.kind is Kind.BIPOLAR else codes

    def input_of(self, name):
        """Stream and codes, as real numbers, that what follows block ``name`` is given."""
        codes = self[f"{name}.codes"] * self.codes[f"{name}.codes"].step
        return self[f"{name}.residual"].float(), codes.float()


def _own(model, integers, inputs, lengths, recorder):
    """What each layer, and the head, makes of the integer model's input: tensors by name."""
    mask = model.mask(inputs, lengths)
    with recorder as found:
        model.embed(inputs)
        name = "embedding"
        for index, layer in enumerate(model.layers):
            layer(*integers.input_of(name), mask)
            name = f"layer{index}.feed_forward"
        found["logits"] = model.classify(integers.input_of(name)[1], lengths, mask)
    return found


class _Sums:
    """Running sums of one tensor: differing or squared differences, what they are divided by, free running and own."""

    def __init__(self):
        self.wrong = self.own = self.whole = self.limit = self.full = self.saturated = 0.0


def _rows(tensor, mask):
    """The tokens that count, as rows; what has no tokens has one row for each sample."""
    if mask is None or tensor.ndim == 2:
        return tensor
    if tensor.ndim == 4:
        return tensor.transpose(1, 2)[mask]
    return tensor[mask]


@torch.no_grad()
def drift(
    model: BmtEncoder,
    split: Split,
    teacher: BmtEncoder | None = None,
    track: Callable[[Sequence[int], int], Iterable[int]] = lambda starts, count: starts,
) -> list[Drift]:
    """Drift of every tensor of a quantized model, in the order of the pipeline: list of `Drift`.

    Parameters
    ----------
    model : train.model.bmt.BmtEncoder
        In evaluation mode, with formats.
    split : train.data.sets.Split
    teacher : train.model.bmt.BmtEncoder, optional
        In full precision, of the same width.
    track : callable, optional
        Wraps the batches, of which there are ``count``, to show progress.
    """
    codes, streams = places(model)
    names = [*codes, *streams, "logits"]
    sums = {name: _Sums() for name in names}
    same = teacher is not None and teacher.config.width == model.config.width and len(teacher.layers) == len(model.layers)
    starts = range(0, len(split), BATCH)
    for start in track(starts, len(starts)):
        inputs, lengths, _ = tensors(split, np.arange(start, min(start + BATCH, len(split))))
        integers = _Integers(model, inputs, lengths)
        with _Recorder(model) as real:
            real["logits"], _, mask = model.real(inputs, lengths)
        own = _own(model, integers, inputs, lengths, _Recorder(model))
        full = _full(teacher, model, inputs, lengths) if same else {}
        for name in names:
            _add(sums[name], name, codes.get(name), _rows(integers[name], mask), _rows(real[name], mask),
                 _rows(own[name], mask))  # fmt: skip
            if name in full:
                sums[name].full += float((_rows(full[name] - real[name], mask).double() ** 2).sum())
            if name in streams:
                sums[name].saturated += float(integers.trace[name.replace(".residual", ".saturated")].sum())
    return [_row(name, sums[name], codes.get(name), name in streams, same) for name in sorted(names, key=_order(model))]


def _full(teacher, model, inputs, lengths):
    logits, found, _ = teacher.real(inputs, lengths)
    names = ["embedding", *(f"layer{index}.feed_forward" for index in range(len(model.layers)))]
    return {f"{name}.residual": stream for name, stream in zip(names, found, strict=True)} | {"logits": logits}


def _add(total, name, quantizer, integer, real, own):
    if quantizer is None:
        total.wrong += float(((integer - real) ** 2).sum())
        total.own += float(((integer - own) ** 2).sum())
        total.whole += float((real.double() ** 2).sum())
        return
    total.wrong += float((integer != real).sum())
    total.own += float((integer != own).sum())
    total.whole += integer.numel()
    low, high = quantizer.format.range
    total.limit += float(((integer <= low) | (integer >= high)).sum())


def _row(name, total, quantizer, stream, same):
    whole = max(total.whole, 1e-30)
    if quantizer is None:
        root = lambda x: math.sqrt(x / whole)
        known = same and not name.endswith("attention.residual")
        return Drift(name, root(total.wrong), root(total.own), saturated=int(total.saturated) if stream else None,
                     from_full=root(total.full) if known else None)  # fmt: skip
    limit = None if quantizer.format.bits == 1 else total.limit / whole
    return Drift(name, total.wrong / whole, total.own / whole, limit)


def _order(model):
    parts = ["embedding.residual", "embedding.codes"]
    attention = ("query", "key", "value", "probability", "context", "residual", "codes")
    for index in range(len(model.layers)):
        parts += [f"layer{index}.attention.{part}" for part in attention]
        parts += [f"layer{index}.feed_forward.{part}" for part in ("hidden", "residual", "codes")]
    return [*parts, "pooled", "pooler", "logits"].index


def as_json(rows: Iterable[Drift]) -> list[dict[str, Any]]:
    """Plain dictionaries of a list of `Drift`."""
    return [dataclasses.asdict(row) for row in rows]
