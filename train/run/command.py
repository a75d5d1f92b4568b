"""`bittern train`: a recipe to a run folder with the model, its log and a bundle."""

import argparse
import json
import os
from pathlib import Path

import torch
from rich.console import Console

from formats import bundle
from formats.files import write_whole
from train.data.load import load_data
from train.errors import TrainError
from train.model.export import export_encoder
from train.run import checkpoint
from train.run.bundle import make_bundle
from train.run.distributed import join, leave
from train.run.files import size
from train.run.loop import control, stage_path, train
from train.run.measure import measure, percent_right
from train.run.recipe import read_recipe
from train.run.report import Report, Silent
from train.run.saved import save_model
from train.run.start import read_start


def run(options: argparse.Namespace) -> int:
    """Train, export, measure on the whole test set, and write model and bundle. Returns the exit status."""
    console = Console(soft_wrap=True, highlight=False)
    if options.threads:
        torch.set_num_threads(options.threads)
    workers = join(options.device)
    try:
        recipe = read_recipe(options.recipe)
        weights, tokenizer = read_start(recipe)
        dataset = load_data(recipe, options.data, tokenizer)
        folder = Path(options.output or f"build/train/{recipe.name}")
        stages = Path(options.work) if options.work else folder / "stages"
        _check_unfinished(recipe, stages, options.resume)
        report = Report(folder, console) if workers.first else Silent()
        trained = train(recipe, dataset, stages, report, workers, weights)
        without = control(recipe, dataset, stages, report, workers, weights) if options.control else None
        if workers.first:
            _write(recipe, dataset, trained, without, folder, options, console)
        workers.wait()
    finally:
        leave()
    return 0


def _check_unfinished(recipe, stages, resume):
    """A run that was interrupted goes on only if asked to: its recipe's first unfinished stage has a checkpoint."""
    paths = [stage_path(recipe, index, stages) for index in range(len(recipe.steps))]
    found = [path for path in paths if path.exists()]
    begun = [path for path in found if not checkpoint.load(path, "stage")["finished"]]
    if begun and not resume:
        raise TrainError(
            f"{begun[0]} is of an interrupted run of this recipe; add --resume to go on with it, or delete it to train anew"
        )
    if resume and not found:
        raise TrainError(f"there is nothing to resume in {stages}: no stage of this recipe was begun; leave --resume out")


def _write(recipe, dataset, trained, without, folder, options, console):
    save_model([model.cpu() for model in trained], recipe, dataset, folder / "best.pt")
    console.print(f"{folder / 'best.pt'}")
    teacher, model, test = trained[0], trained[-1], dataset.test
    without = without and without.cpu()
    if model.formats is None:
        measured = {"test_samples": len(test), "full_precision": percent_right(model, test)}
        if without is not None:
            measured["control_without_layers"] = percent_right(without, test)
        _tell(measured, folder, console)
        return
    encoder = export_encoder(model)
    threads = options.threads or os.cpu_count() or 1
    measured = measure(teacher, model, encoder, without, test, threads)
    path = Path(options.bundle) if options.bundle else folder / f"{recipe.name}.bundle"
    path.parent.mkdir(parents=True, exist_ok=True)
    bundle.save(make_bundle(recipe, dataset, encoder, measured, f"bittern train {options.recipe}"), path)
    _tell(measured, folder, console)
    console.print(f"{path}: {size(path)}")


def _tell(measured, folder, console):
    for name, value in measured.items():
        console.print(f"{name.replace('_', ' '):>28}  {value}")
    write_whole(folder / "measured.json", json.dumps(measured, indent=2) + "\n")
