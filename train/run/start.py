"""Where a run starts: random weights, or an imported checkpoint with its shape and tokenizer."""

import dataclasses
from pathlib import Path

from golden.model import Input
from train.data.tokenizer import read_tokenizer, tokenizer_in
from train.errors import CheckpointError
from train.run.description import read_description
from train.run.recipe import Model

#: The weights of an imported checkpoint, beside its description.
WEIGHTS = "model.safetensors"
#: Sizes that a recipe cannot choose.
FIXED = ("layers", "width", "heads", "head_width", "feed_forward", "vocabulary", "order")


def read_start(recipe):
    """What a recipe starts from: weights, a dictionary of tensors, and a tokenizer; each None if there is none.

    Raises
    ------
    CheckpointError, DataError
    """
    tokenizer = read_tokenizer(recipe.tokenizer) if recipe.tokenizer else None
    if recipe.start is None:
        return None, tokenizer
    description, weights = read_imported(recipe.start)
    if tokenizer is None and description.tokenizer:
        tokenizer = tokenizer_in(description.tokenizer, f"the description of {recipe.start}")
    rows = len(weights["position"]) if "position" in weights else recipe.model.tokens
    if rows < recipe.model.tokens:
        raise CheckpointError(
            f"{recipe.start} knows {rows} positions, but the recipe's model has {recipe.model.tokens} tokens; lower tokens"
        )
    if recipe.model.tokens and "position" in weights:
        weights["position"] = weights["position"][: recipe.model.tokens].contiguous()
    return weights, tokenizer


def read_imported(folder):
    """`Description`, and weights, a dictionary of tensors, of an imported checkpoint. Raises CheckpointError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    description = read_description(folder)
    try:
        weights = load_file(Path(folder) / WEIGHTS)
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no {error.filename}; `bittern import` writes what recipes can start from") from None
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"imported checkpoint {folder} is damaged ({error}); import it again") from None
    return description, weights


def shape_of(folder, wanted):
    """The table of a recipe's [model]: the shape of an imported checkpoint, with what ``wanted`` says besides it.

    Raises
    ------
    CheckpointError
        Also where ``wanted`` contradicts a size that the weights have.
    """
    config = read_description(folder).config
    known = {field.name for field in dataclasses.fields(Model)}
    shape = {key: getattr(config, key) for key in config.__struct_fields__ if key in known}
    if config.input is Input.TOKENS:
        shape["vocabulary"] = config.input_size
    for key in FIXED:
        if key in shape and wanted.get(key, shape[key]) != shape[key]:
            raise CheckpointError(
                f"{key} of the recipe's model is {wanted[key]}, but {folder} has {shape[key]}; leave it out of [model]"
            )
    return shape | wanted
