"""The data set that a recipe names."""

import os
from pathlib import Path

from tokenizers import Tokenizer

from train.data import images, texts
from train.data.sets import Dataset
from train.data.tasks import Task
from train.data.wanted import Wanted


def load_data(recipe: Wanted, folder: Path | str | None = None, tokenizer: Tokenizer | None = None) -> Dataset:
    """The data set of a recipe: `train.data.sets.Dataset`.

    Parameters
    ----------
    recipe : train.run.recipe.Recipe
    folder : path, optional
        Where it is; GLUE sets also by the environment variable BITTERN_SST2 or BITTERN_COLA.
    tokenizer : tokenizers.Tokenizer, optional
        To use for texts, and not train one on them.
    """
    model = recipe.model
    match recipe.task:
        case Task.FASHION_MNIST:
            return images.fashion_mnist(folder, model.patch, model.stride, model.class_tokens)
        case Task.DIGITS:
            return images.digits(model.patch, model.stride, model.class_tokens)
        case _:
            folder = folder or os.environ.get(f"BITTERN_{recipe.task.name}")
            return texts.load(recipe.task, folder, model.vocabulary, model.tokens, tokenizer)
