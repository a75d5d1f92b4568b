"""One cell of the grid: train it, measure it on the whole test set, keep the result by what it depends on."""

import dataclasses
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from formats.files import write_whole
from train.data.load import load_data
from train.data.tasks import Task
from train.model.export import export_encoder
from train.model.integer_encoder import IntegerEncoder
from train.reproduce.grid import Experiment, Method, plans
from train.run.distributed import join
from train.run.loop import stage_path, train
from train.run.predict import accuracy, predict
from train.run.start import read_start

#: Changes whenever what is measured, or how, does.
VERSION = 1
#: Folders of the GLUE sets in that of --data.
FOLDERS = {Task.SST2: "SST-2", Task.COLA: "CoLA"}


def result_path(cell: Experiment, quick: bool, folder: Path | str) -> Path:
    """Where the result of a cell is: its name holds a digest of its recipes."""
    recipes = _recipes(cell, quick, folder)
    names = [stage_path(recipe, len(recipe.steps) - 1, "").name for recipe in recipes]
    digest = hashlib.sha256(json.dumps([VERSION, names]).encode()).hexdigest()[:12]
    return Path(folder) / "cells" / f"{cell.name}-{digest}.json"


def result_of(cell: Experiment, quick: bool, folder: Path | str) -> dict[str, Any] | None:
    """The result of a cell, a dictionary, or None if it has not been run."""
    path = result_path(cell, quick, folder)
    return json.loads(path.read_text()) if path.exists() else None


def run_cell(
    cell: Experiment, quick: bool, folder: Path | str, data: Path | str | None, device: str = "cpu"
) -> dict[str, Any]:
    """Train and measure a cell, unless that was done: its result. An interrupted one goes on where it was.

    Parameters
    ----------
    cell : train.reproduce.grid.Experiment
    quick : bool
        Whether it is one of the quick grid.
    folder : path
        Of results and of the stages' checkpoints.
    data : path or None
        Folder of the GLUE sets.
    device : str
        As `train.run.distributed.join` takes it.
    """
    if (known := result_of(cell, quick, folder)) is not None:
        return known
    started = time.monotonic()
    stages = Path(folder) / "stages"
    recipes = _recipes(cell, quick, folder)
    task = recipes[0].task
    weights, tokenizer = read_start(recipes[0])
    dataset = load_data(recipes[0], Path(data) / FOLDERS[task] if data and task in FOLDERS else None, tokenizer)
    workers = join(device)
    tries = [train(recipe, dataset, stages, workers=workers, start=weights)[-1] for recipe in recipes]
    validation = [accuracy(model, dataset.validation) for model in tries]
    model = tries[int(np.argmax(validation))]
    test = dataset.test
    real = predict(model, test, model.real)
    measured = {"validation": 100 * max(validation), "float": score(task, real, test.labels)}
    if model.formats is not None:
        # Of the constants that a bundle would have, which are worked out on the processor: then exact on any device.
        encoder = export_encoder(model.cpu())
        hardware = IntegerEncoder(encoder, workers.device)
        integer = predict(model, test, lambda *batch: [hardware(*batch)["logits"]])
        measured |= {
            "integer": score(task, integer, test.labels), "agreement": 100 * float((real == integer).mean()),
            "weight_bits": _weight_bits(encoder),
        }  # fmt: skip
    epochs = [sum(step.epochs for step in recipe.steps[1:] or recipe.steps) for recipe in recipes]
    result = {"cell": dataclasses.asdict(cell), "measured": measured, "test_samples": len(test), "epochs": epochs,
              "seconds": round(time.monotonic() - started, 1), "torch": torch.__version__,
              "threads": torch.get_num_threads(), "device": workers.device.type}  # fmt: skip
    write_whole(result_path(cell, quick, folder), json.dumps(result, indent=1) + "\n")
    if cell.method is not Method.TEACHER:
        for recipe in recipes:
            for index in range(1 if len(recipe.steps) > 1 else 0, len(recipe.steps)):
                stage_path(recipe, index, stages).unlink(missing_ok=True)
    return result


def score(task: Task, predicted: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    """What is reported of a task: accuracy in percent, for CoLA Matthews' correlation times 100."""
    if task is Task.COLA:
        return 100 * matthews(predicted, labels)
    return 100 * float(np.mean(predicted == labels))


def matthews(predicted: ArrayLike, labels: ArrayLike) -> float:
    """Correlation of two sets of 0 and 1: -1..1, 0 where one of them is constant."""
    predicted, labels = np.asarray(predicted, bool), np.asarray(labels, bool)
    if predicted.all() or not predicted.any() or labels.all() or not labels.any():
        return 0.0
    return float(np.corrcoef(predicted, labels)[0, 1])


def _recipes(cell, quick, folder):
    plan = plans(quick)[cell.task]
    return list(plan.controls(cell, folder)) if cell.method is Method.CONTROL else [plan.recipe(cell, folder)]


def _weight_bits(encoder):
    """Bits of the layers' matrices."""
    linears = [
        linear
        for layer in encoder.layers
        for linear in (*(getattr(layer.attention, name) for name in ("query", "key", "value", "output")),
                       layer.feed_forward.up, layer.feed_forward.down)
    ]  # fmt: skip
    return sum(linear.weight.size * linear.weight_format.bits for linear in linears)
