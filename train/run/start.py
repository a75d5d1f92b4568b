"""Where a run starts: random weights, or an imported checkpoint with its shape and tokenizer."""

import torch
from tokenizers import Tokenizer

from train.data.tokenizer import read_tokenizer, tokenizer_in
from train.errors import CheckpointError
from train.run.imported import read_imported
from train.run.recipe import Recipe


def read_start(recipe: Recipe) -> tuple[dict[str, torch.Tensor] | None, Tokenizer | None]:
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
