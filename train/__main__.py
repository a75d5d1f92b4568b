"""``python -m train RECIPE.toml``: train, export, measure on the whole test set, and write the bundle."""

import argparse
import dataclasses
import os
import sys
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from golden import bundle
from train.data import DataError, fashion_mnist, sst2
from train.evaluate import measure
from train.export import export_encoder
from train.loop import control, train
from train.recipe import RecipeError, Task, read_recipe

SAMPLES = 64
MEBIBYTE = 1 << 20


def main(arguments=None):
    """Exit status: 0, or 2 for a recipe or data that cannot be used."""
    options = _parser().parse_args(arguments)
    console = Console(soft_wrap=True)
    torch.set_num_threads(options.threads)
    try:
        recipe = read_recipe(options.recipe)
        dataset = load_data(recipe, options.data)
    except (RecipeError, DataError) as error:
        print(error, file=sys.stderr)
        return 2
    trained = train(recipe, dataset, options.work, console)
    teacher, model = trained[0], trained[-1]
    without = control(recipe, dataset, options.work, console) if options.control else None
    encoder = export_encoder(model)
    measured = measure(teacher, model, encoder, without, dataset.test, options.threads)
    output = Path(options.output or f"bundles/{recipe.name}.bundle")
    output.parent.mkdir(parents=True, exist_ok=True)
    bundle.save(make_bundle(recipe, dataset, encoder, measured, f"python -m train {options.recipe}"), output)
    for name, value in measured.items():
        console.print(f"{name.replace('_', ' '):>28}  {value}")
    console.print(f"{output}: {output.stat().st_size / MEBIBYTE:.2f} MB")
    return 0


def _parser():
    parser = argparse.ArgumentParser(prog="python -m train", description=__doc__)
    parser.add_argument("recipe", help="a recipe, as in train/recipes")
    parser.add_argument("--data", help="folder of the data set; for SST-2 also BITTERN_SST2")
    parser.add_argument("--output", help="bundle to write, by default bundles/NAME.bundle")
    parser.add_argument("--work", default="build/train", help="folder of checkpoints")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="processor cores to use")
    parser.add_argument("--control", action="store_true", help="also train and measure the model without its layers")
    return parser


def load_data(recipe, folder):
    """The data set of a recipe: train.data.Dataset."""
    if recipe.task is Task.SST2:
        folder = folder or os.environ.get("BITTERN_SST2")
        return sst2(folder, recipe.model.vocabulary, recipe.model.tokens)
    return fashion_mnist(folder, recipe.model.patch)


def make_bundle(recipe, dataset, encoder, measured, command):
    """A bundle with the first test samples."""
    test = dataset.test.take(np.arange(SAMPLES))
    record = {
        "task": str(recipe.task),
        "recipe": dataclasses.asdict(recipe),
        "command": command,
        "seed": recipe.seed,
        "data": {"sha256": dataset.hashes, "train_samples": len(dataset.train), "test_samples": len(dataset.test)},
        "accuracy": measured,
    }
    samples = bundle.Samples(test.inputs, test.lengths, test.labels, test.texts)
    return bundle.Bundle(encoder, dataset.labels, samples, record, dataset.preprocessing)


if __name__ == "__main__":
    sys.exit(main())
