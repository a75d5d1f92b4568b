"""`bittern evaluate`: a bundle against the model it was made of, in accuracy, sample by sample and tensor by tensor."""

import argparse
import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from formats import bundle as bundle_file
from formats.files import write_whole
from formats.preprocessing import TextPipeline
from train.data.load import load_data
from train.data.sets import Dataset, check_inputs
from train.data.tasks import Task
from train.data.tokenizer import tokenizer_of
from train.errors import CheckpointError, DataError
from train.evaluate.drift import as_json, drift
from train.evaluate.drift_table import drift_table, score_table
from train.model.export import export_encoder
from train.model.precision import FULL
from train.run.files import digest
from train.run.measure import percent, predict_integer
from train.run.predict import predict
from train.run.recipe import Model, Recipe, StageRecipe
from train.run.saved import Saved, load_model


def run(options: argparse.Namespace) -> int:
    """Returns the exit status."""
    console = Console(soft_wrap=True, highlight=False)
    bundle = bundle_file.load(options.bundle)
    saved = find_checkpoint(bundle, options.bundle, options.checkpoint)
    dataset = data_of(bundle, options.data)
    split = getattr(dataset, options.split)
    for name in ("samples", "drift_samples"):
        if (count := getattr(options, name)) is not None and count < 1:
            raise DataError(f"--{name.replace('_', '-')} must be at least 1, not {count}")
    if options.samples is not None:
        split = split.take(np.arange(min(options.samples, len(split))))
    predicted = _predict(bundle, saved, split, options.processes or os.cpu_count() or 1, console)
    scores = {
        name: {"accuracy": percent(classes == split.labels), "agreement": percent(classes == predicted["integer"])}
        for name, classes in predicted.items()
    }
    console.print(score_table(scores, f"{options.bundle} on {len(split)} samples of {bundle.record.get('task')}"))
    report = {"bundle": str(options.bundle), "split": options.split, "samples": len(split), "forms": scores}
    if saved is None:
        console.print("no checkpoint is beside the bundle: give it with --checkpoint to compare with real numbers")
    elif not options.no_drift:
        part = split.take(np.arange(min(options.drift_samples, len(split))))
        with _progress(console) as progress:
            track = lambda starts, count: progress.track(starts, count, description="drift")
            rows = drift(saved.model, part, saved.teacher, track)
        console.print(drift_table(rows, len(part)))
        report |= {"drift_samples": len(part), "drift": as_json(rows)}
    if options.output:
        write_whole(options.output, json.dumps(report, indent=1) + "\n")
        console.print(f"{options.output}")
    return 0


def _progress(console):
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _predict(bundle, saved, split, processes, console):
    """Predicted classes of each form of the model, integer last."""
    predicted = {}
    if saved is not None:
        predicted["full precision"] = predict(saved.teacher, split)
        predicted["quantized, real arithmetic"] = predict(saved.model, split, saved.model.real)
        predicted["fake-quantized"] = predict(saved.model, split)
    with _progress(console) as progress:
        track = lambda results, count: progress.track(results, count, description="integer")
        predicted["integer"] = predict_integer(bundle.encoder, split, processes, track)[0]
    return predicted


def find_checkpoint(bundle: bundle_file.Bundle, path: Path | str, given: Path | str | None) -> Saved | None:
    """`train.run.saved.Saved` that a bundle was exported from, None if it is nowhere.

    Parameters
    ----------
    path, given : path
        Of the bundle; and of the checkpoint, None to look where the bundle says, or for best.pt beside it.

    Raises
    ------
    CheckpointError
        For a checkpoint with another hash than the bundle says, or one that gives another encoder.
    """
    known = bundle.record.get("checkpoint") or {}
    folder = Path(path).parent
    places = [Path(given)] if given else [folder / name for name in (known.get("path"), "best.pt") if name]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        if given:
            raise CheckpointError(f"there is no checkpoint at {given}; give the best.pt that the bundle is of")
        return None
    if known.get("sha256") not in (None, digest(found)):
        raise CheckpointError(
            f"{found} has another sha256 than the checkpoint that {path} was exported from; export it again, or give that "
            "one with --checkpoint"
        )
    saved = load_model(found)
    if saved.model.formats is None or not same(export_encoder(saved.model), bundle.encoder):
        raise CheckpointError(f"{found} gives another encoder than {path} holds; export again, or give another checkpoint")
    return saved


def same(a: Any, b: Any) -> bool:
    """Whether two encoders, or parts of them, hold the same integers."""
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, tuple) and not hasattr(a, "_fields"):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def data_of(bundle: bundle_file.Bundle, folder: Path | str | None) -> Dataset:
    """The data set of a bundle's task, as its model takes it. Raises DataError."""
    config, rules, task = bundle.encoder.config, bundle.preprocessing, bundle.record.get("task")
    if task not in list(Task):
        raise DataError(f"the bundle is of task {task!r}, and data are known for {', '.join(Task)} only; take one of these")
    if rules is None:
        raise DataError("the bundle does not say how data become its model's inputs; export it again")
    if isinstance(rules, TextPipeline):
        cut: dict[str, Any] = {"vocabulary": config.input_size, "tokens": rules.limit(config.tokens)}
    else:
        cut = {"patch": rules.patch, "stride": rules.stride, "class_tokens": rules.class_tokens}
    model = Model(config.layers, config.width, config.heads, config.head_width, config.feed_forward, **cut)
    recipe = Recipe("evaluate", Task(task), 1, model, (StageRecipe(FULL, 1, 1, 1.0),))
    dataset = load_data(recipe, folder, tokenizer_of(rules))
    if len(dataset.labels) != config.classes:
        raise DataError(
            f"the data have {len(dataset.labels)} classes, and the model has {config.classes}; give the data of its task"
        )
    check_inputs(dataset, config)
    return dataset
