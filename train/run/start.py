"""Where a run starts: random weights, or an imported checkpoint with its shape and tokenizer."""

import dataclasses
import json
from pathlib import Path

from train.data.tokenizer import read_tokenizer
from train.errors import CheckpointError
from train.run.recipe import Model

#: What an imported checkpoint consists of.
WEIGHTS, DESCRIPTION = "model.safetensors", "bittern.json"
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
    if tokenizer is None and description.get("tokenizer"):
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(json.dumps(description["tokenizer"]))
    rows = len(weights["position"]) if "position" in weights else recipe.model.tokens
    if rows < recipe.model.tokens:
        raise CheckpointError(
            f"{recipe.start} knows {rows} positions, but the recipe's model has {recipe.model.tokens} tokens; lower tokens"
        )
    if recipe.model.tokens and "position" in weights:
        weights["position"] = weights["position"][: recipe.model.tokens].contiguous()
    return weights, tokenizer


def read_imported(folder):
    """Description, a dictionary, and weights, a dictionary of tensors, of an imported checkpoint. Raises CheckpointError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(folder)
    try:
        description = json.loads((path / DESCRIPTION).read_text())
        weights = load_file(path / WEIGHTS)
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
    config = read_imported(folder)[0]["config"]
    known = {field.name for field in dataclasses.fields(Model)}
    shape = {key: value for key, value in config.items() if key in known}
    if config.get("input") == "tokens":
        shape["vocabulary"] = config["input_size"]
    for key in FIXED:
        if key in shape and wanted.get(key, shape[key]) != shape[key]:
            raise CheckpointError(
                f"{key} of the recipe's model is {wanted[key]}, but {folder} has {shape[key]}; leave it out of [model]"
            )
    return shape | wanted
