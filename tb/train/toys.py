"""A toy data set that a small model learns in seconds, and recipes for it."""

import dataclasses
import io

import numpy as np
from rich.console import Console

from formats.preprocessing import ImagePipeline
from train.data.sets import Dataset, Split
from train.data.tasks import Task
from train.run.loop import train
from train.run.recipe import Model, Recipe, StageRecipe
from train.run.report import Report

MODEL = Model(1, 32, 2, 16, 32)
STEPS = (StageRecipe(32, 3, 32, 3e-3), StageRecipe(1, 2, 32, 3e-3, hidden_weight=0.1))
RECIPE = Recipe("toy", Task.DIGITS, 1, MODEL, STEPS, checkpoint_every=4)


def toy_dataset(samples=480):
    """Which pixel of every patch is bright: 6 x 6 images, four patches of 3 x 3."""
    rng = np.random.default_rng(0)

    def split(count):
        labels = rng.integers(0, 4, count)
        inputs = rng.integers(0, 120, (count, 4, 9)).astype(np.uint8)
        inputs[np.arange(count), :, labels] += 100
        images = inputs.reshape(count, 2, 2, 3, 3).swapaxes(2, 3).reshape(count, 6, 6)
        return Split(inputs, np.full(count, 4), labels, images=images)

    rules = ImagePipeline(image=(6, 6), patch=3, stride=3)
    return Dataset(split(samples), split(100), split(200), ("0", "1", "2", "3"), {}, rules)


def toy_texts(samples=300):
    """Whether id 5 or id 6 occurs, in texts of 2 to 8 ids."""
    rng = np.random.default_rng(0)

    def split(count):
        lengths, labels = rng.integers(2, 9, count), rng.integers(0, 2, count)
        inputs = rng.integers(7, 20, (count, 8))
        inputs[np.arange(count), rng.integers(0, lengths)] = 5 + labels
        inputs[np.arange(8) >= lengths[:, None]] = 0
        return Split(inputs, lengths, labels)

    return Dataset(split(samples), split(100), split(100), ("no", "yes"), {})


def run(folder, recipe=RECIPE, dataset=None, workers=None):
    """All stages of a recipe in ``folder``, with a log and nothing on the screen."""
    report = Report(folder, Console(file=io.StringIO()))
    return train(recipe, dataset or toy_dataset(), folder, report, workers)


def with_last(recipe=RECIPE, **changes):
    """The recipe with changes in its last step."""
    return dataclasses.replace(recipe, steps=(*recipe.steps[:-1], dataclasses.replace(recipe.steps[-1], **changes)))


def same(a, b):
    """Whether two models hold the same bits."""
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all((a[name] == b[name]).all() for name in a)
