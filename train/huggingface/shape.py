"""Shape of a checkpoint: from its tensors, with what only config.json knows, and checked against it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from golden.model import Input
from train.errors import CheckpointError
from train.huggingface.tensors import Tensors
from train.model.activation.kinds import TRAINED_ACTIVATIONS
from train.model.structure import Activation

ACTIVATIONS = {name: kind for kind in Activation for name in TRAINED_ACTIVATIONS[kind].checkpoint_names}


@dataclass(frozen=True)
class Shape:
    """Sizes of a checkpoint. ``positions`` is how many there are, without class tokens; ``patch`` is 0 for text."""

    layers: int
    width: int
    heads: int
    feed_forward: int
    input_size: int
    positions: int
    activation: Activation
    epsilon: float
    patch: int
    channels: int
    notes: tuple[str, ...]


def shape_of(tensors: Tensors, config: Mapping[str, Any], heads: int | None = None) -> Shape:
    """`Shape` of the tensors.

    Parameters
    ----------
    tensors : Tensors
    config : dict
        config.json, or nothing.
    heads : int, optional
        Number of heads, which tensors do not show, where there is no config.json.

    Raises
    ------
    CheckpointError
        For what the family cannot be, or where both disagree.
    """
    family, notes = tensors.family, []
    for key, value in family.fixed.items():
        if config.get(key, value) != value:
            raise CheckpointError(f"{key} = {config[key]!r} in config.json is not supported, only {value!r}")
    layer = {ours: theirs + ".weight" for ours, theirs in family.modules.items()}
    layers = tensors.count(layer["layers.{}.attention.query"])
    if not layers:
        tensors.take(layer["layers.{}.attention.query"].format(0))
    table = tensors.take(layer["embedding"])
    if table.ndim != (2 if family.input is Input.TOKENS else 4):
        name = tensors.original(layer["embedding"])
        raise CheckpointError(f"{name} has shape {tuple(table.shape)}; give a whole checkpoint")
    width = table.shape[0 if table.ndim == 4 else 1]
    feed_forward = len(tensors.take(layer["layers.{}.feed_forward.up"].format(0)))
    found = {"layers": layers, "width": width, "feed_forward": feed_forward}
    for key, value in found.items():
        if config.get(family.keys[key], value) != value:
            raise CheckpointError(
                f"config.json says {family.keys[key]} = {config[family.keys[key]]}, but the tensors have {value}; they are "
                "of two models"
            )
    heads = heads or config.get(family.keys["heads"])
    if heads is None:
        raise CheckpointError("there is no config.json, and tensors do not show the number of heads; give --heads")
    if width % heads:
        raise CheckpointError(f"the number of heads must divide the width of {width}, not be {heads}")
    activation = config.get(family.keys["activation"])
    if activation is None:
        notes.append("no config.json says the activation: GELU is assumed")
    elif activation not in ACTIVATIONS:
        raise CheckpointError(f"the activation {activation!r} is not supported, only {', '.join(ACTIVATIONS)}")
    epsilon = float(config.get(family.keys.get("epsilon", ""), family.epsilon))
    positions = tensors.take(family.positions).flatten(0, -2)
    return Shape(
        layers, width, heads, feed_forward, table.shape[0] if table.ndim == 2 else math.prod(table.shape[1:]),
        len(positions) - family.first_position - len(family.class_tokens), ACTIVATIONS[activation or "gelu"], epsilon,
        table.shape[-1] if table.ndim == 4 else 0, table.shape[1] if table.ndim == 4 else 0, tuple(notes),
    )  # fmt: skip
