"""Inheritance: the weights of one model as the start of another, of other bits, half the width, or split."""

import dataclasses
from collections.abc import Mapping

import torch

from golden.model import EncoderConfig
from train.model.bmt import BmtEncoder
from train.model.linear import QuantizedLinear


def halved(config: EncoderConfig) -> EncoderConfig:
    """The structure with half the heads and half the feed-forward neurons, at least one of each."""
    return dataclasses.replace(config, heads=max(1, config.heads // 2), feed_forward=max(1, config.feed_forward // 2))


@torch.no_grad()
def inherit(model: BmtEncoder, source: BmtEncoder, importance: Mapping[str, torch.Tensor] | None = None) -> None:
    """Give ``model`` the weights of ``source``.

    Quantizer steps are left to calibration where the formats differ. Where ``model`` has fewer heads or neurons it gets
    the largest (`largest`); where its matrices are split, they are split from the source's.

    Parameters
    ----------
    importance : dict of str to tensor, optional
        By name of the linear, of the shape of the source's weights: for the linears that are weighted.
    """
    state = source.state_dict()
    importance = dict(importance or {})
    if model.config != source.config:
        state, importance = _narrow(state, importance, model.config, source.config)
    if model.formats is not None and source.formats is not None:
        same = dataclasses.replace(model.formats, weight=source.formats.weight) == source.formats
    else:
        same = model.formats is source.formats
    known = {name: value for name, value in state.items() if same or not name.endswith((".alpha", ".calibrated"))}
    model.load_state_dict(known, strict=False)
    for name, linear in model.named_modules():
        if isinstance(linear, QuantizedLinear):
            if linear.halves is not None and f"{name}.weight" in state:
                linear.halves.split_from(state[f"{name}.weight"], importance.get(name, state.get(f"{name}.importance")))
            elif hasattr(linear, "importance") and name in importance:
                linear.importance.copy_(importance[name])


def largest(
    state: Mapping[str, torch.Tensor], layer: str, config: EncoderConfig, heads: int, neurons: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Inner channels of the attention and neurons of the feed-forward block to keep: two sorted index tensors.

    Those with the largest product of norms of what goes in (value rows, up rows) and what comes out (output and down
    columns).
    """
    value, output = state[f"{layer}.attention.value.weight"], state[f"{layer}.attention.output.weight"]
    up, down = state[f"{layer}.feed_forward.up.weight"], state[f"{layer}.feed_forward.down.weight"]
    by_head = value.unflatten(0, (config.heads, -1)).flatten(1).norm(dim=1)
    by_head = by_head * output.unflatten(1, (config.heads, -1)).transpose(0, 1).flatten(1).norm(dim=1)
    kept = by_head.topk(heads).indices.sort().values
    channels = (kept[:, None] * config.head_width + torch.arange(config.head_width, device=kept.device)).flatten()
    return channels, (up.norm(dim=1) * down.norm(dim=0)).topk(neurons).indices.sort().values


def _narrow(state, importance, config, wide):
    """State and importance of a model with fewer heads and neurons."""
    state = dict(state)
    for index in range(wide.layers):
        layer = f"layers.{index}"
        channels, neurons = largest(state, layer, wide, config.heads, config.feed_forward)
        kept = {f"{layer}.attention.{name}": (0, channels) for name in ("query", "key", "value")}
        kept |= {f"{layer}.attention.output": (1, channels), f"{layer}.attention.context_quantizer": (0, channels)}
        kept |= {f"{layer}.feed_forward.up": (0, neurons), f"{layer}.feed_forward.down": (1, neurons)}
        for name, (axis, index_) in kept.items():
            for part in ("weight", "importance", "bias"):
                key = f"{name}.{part}"
                # A bias is one number for each row.
                if key in state and (part != "bias" or axis == 0):
                    state[key] = state[key].index_select(0 if part == "bias" else axis, index_)
            if name in importance:
                importance[name] = importance[name].index_select(axis, index_)
    return state, importance
