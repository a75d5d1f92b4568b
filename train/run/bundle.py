"""A trained model as a bundle, with samples and the record of its training."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from formats import bundle
from golden.model import Encoder
from train.data.sets import Dataset
from train.run.recipe import Recipe

SAMPLES = 64


def make_bundle(
    recipe: Recipe, dataset: Dataset, encoder: Encoder, measured: Mapping[str, float], command: str
) -> bundle.Bundle:
    """A bundle with the first test samples."""
    test = dataset.test.take(np.arange(min(SAMPLES, len(dataset.test))))
    record = {
        "task": str(recipe.task),
        "recipe": dataclasses.asdict(recipe),
        "command": command,
        "seed": recipe.seed,
        "data": {"sha256": dataset.hashes, "train_samples": len(dataset.train), "test_samples": len(dataset.test)},
        "accuracy": measured,
    }
    samples = bundle.Samples(test.inputs.astype(np.int64), test.lengths, test.labels, test.texts)
    return bundle.Bundle(encoder, dataset.labels, samples, record, dataset.preprocessing)
