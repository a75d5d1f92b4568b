"""Parameters of an encoder of ours from the tensors of a checkpoint, by the tables of its family."""

from collections.abc import Mapping
from typing import Any

import torch

from train.huggingface.pixels import projection
from train.huggingface.tensors import Tensors


def modules(tensors: Tensors, layers: int) -> dict[str, torch.Tensor]:
    """Linear layers and norms of the layers, and the norm of the embedding: dict of str to tensor, by our names."""
    state = {}
    for ours, theirs in tensors.family.modules.items():
        if ours == "embedding":
            continue
        for index in range(layers if "{}" in ours else 1):
            name = theirs.format(index, next=index + 1)
            if "{next}" in theirs and index + 1 == layers:
                name = tensors.family.last_norm
            state |= _module(tensors, ours.format(index), name)
    return state


def _module(tensors, ours, name):
    weight = tensors.take(f"{name}.weight")
    if ours.endswith("_norm"):
        return {f"{ours}.scale": weight, f"{ours}.offset": tensors.take(f"{name}.bias")}
    # Attention may be without biases.
    optional = ours.endswith(("query", "key", "value")) and f"{name}.bias" not in tensors
    return {f"{ours}.weight": weight, f"{ours}.bias": torch.zeros(len(weight)) if optional else tensors.take(f"{name}.bias")}


def ends(tensors: Tensors, names: Mapping[str, str | None]) -> dict[str, torch.Tensor]:
    """Linear layers by our name; those whose name there is None are left out."""
    state = {}
    for ours, name in names.items():
        if name is not None:
            state |= _module(tensors, ours, name)
    return state


def text_embedding(tensors: Tensors, tokens: int) -> dict[str, torch.Tensor]:
    """Table and positions (tokens, width); the type of the first sentence is part of each position."""
    family = tensors.family
    table = tensors.take(f"{family.modules['embedding']}.weight")
    position = tensors.take(family.positions)[family.first_position :][:tokens]
    if family.token_types:
        position = position + tensors.take(family.token_types)[0]
    return {"embedding.weight": table, "embedding.bias": torch.zeros(table.shape[1]), "position": position}


def image_embedding(tensors: Tensors, preprocessor: Mapping[str, Any], grey: bool) -> dict[str, torch.Tensor]:
    """Projection and positions (tokens, width).

    The model sees a patch of zeros where a class token is, and projects it to its bias. So the projection gets no bias:
    it is part of the positions of the patches, and the class token is its own position, exactly.
    """
    family = tensors.family
    name = family.modules["embedding"]
    weight, added = projection(tensors.take(f"{name}.weight"), tensors.take(f"{name}.bias"), preprocessor, grey)
    position = tensors.take(family.positions).flatten(0, -2).clone()
    first = len(family.class_tokens)
    for row, token in enumerate(family.class_tokens):
        position[row] += tensors.take(token).flatten()
    position[first:] += added
    return {"embedding.weight": weight, "embedding.bias": torch.zeros(len(weight)), "position": position}
