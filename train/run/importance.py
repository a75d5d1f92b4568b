"""Importance of weights: how much the loss changes with each one (docs/weight-splitting.md)."""

import torch
from torch.nn import functional

from train.data.batches import batches, tensors
from train.data.sets import Split
from train.model.bmt import BmtEncoder

#: Batches, and samples in each, that gradients are squared over.
BATCHES, BATCH = 64, 32
#: Farthest from 1: a few outliers would otherwise decide threshold and scale alone.
LIMIT = 8.0


def importance(model: BmtEncoder, split: Split, seed: int, device: torch.device | str = "cpu") -> dict[str, torch.Tensor]:
    """Diagonal of the empirical Fisher information of the layers' matrices, scaled to a mean of 1 in each.

    Parameters
    ----------
    model : train.model.bmt.BmtEncoder
        Its layers' linears have a ``weight``.
    split : train.data.sets.Split
        Samples are drawn from it, by ``seed``.

    Returns
    -------
    dict of str to tensor
        By the name of the linear, of the shape of its weight, between 1/8 and 8 times a common factor.
    """
    linears = {
        name: module
        for name, module in model.named_modules()
        if name.startswith("layers.") and isinstance(module, torch.nn.Linear)
    }
    total = {name: torch.zeros_like(linear.weight) for name, linear in linears.items()}
    model.eval()
    parts = batches(split, BATCH, seed, 0)[:BATCHES]
    for index in parts:
        inputs, lengths, labels = tensors(split, index, device)
        model.zero_grad(set_to_none=True)
        functional.cross_entropy(model(inputs, lengths)[0], labels).backward()
        for name, linear in linears.items():
            if linear.weight.grad is not None:
                total[name] += linear.weight.grad**2
    model.zero_grad(set_to_none=True)
    return {name: _normalise(squares) for name, squares in total.items()}


def _normalise(squares):
    mean = squares.mean()
    if not mean > 0:
        return torch.ones_like(squares)
    clipped = (squares / mean).clamp(1 / LIMIT, LIMIT)
    return clipped / clipped.mean()
