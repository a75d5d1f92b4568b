"""Training of a recipe: its stages in order, each from the weights of the one before, taught by the first."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from train.data.sets import Dataset
from train.errors import CheckpointError
from train.model.bmt import BmtEncoder
from train.model.precision import FULL, Weights, precision
from train.run.checkpoint import VERSION
from train.run.distributed import Workers
from train.run.importance import importance
from train.run.inherit import halved, inherit
from train.run.recipe import Recipe, StageRecipe, encoder_config
from train.run.report import Silent
from train.run.stage import Stage

#: Keys of a step that checkpoints of VERSION did not always know.
YOUNGER = ("replaced", "joined")


def train(
    recipe: Recipe,
    dataset: Dataset,
    folder: Path | str,
    report: Silent | None = None,
    workers: Workers | None = None,
    start: Mapping[str, torch.Tensor] | None = None,
) -> list[BmtEncoder]:
    """The models of all stages, the last one being the result: list of train.model.bmt.BmtEncoder.

    Parameters
    ----------
    recipe : train.run.recipe.Recipe
    dataset : train.data.sets.Dataset
    folder : path
        Of one checkpoint for each stage, under a name that depends on everything before it: an interrupted run goes on
        with its last checkpoint, and recipes with a common beginning share it.
    report : train.run.report.Report, optional
    workers : train.run.distributed.Workers, optional
    start : dict of str to tensor, optional
        Weights that the first stage starts from.

    Raises
    ------
    Diverged, CheckpointError
    """
    workers = workers or Workers(torch.device("cpu"))
    report = report or Silent()
    trained = []
    for index, step in enumerate(recipe.steps):
        path = stage_path(recipe, index, folder)
        model = new_model(recipe, dataset, index)
        if trained:
            source = trained[-1]
            counts = importance(source, dataset.train, recipe.seed, workers.device) if _counts(step, source, path) else None
            inherit(model, source, counts)
        elif start is not None:
            _begin(model, start, recipe)
        teacher = trained[0] if trained else None
        Stage(model, teacher, step, recipe, dataset, path, workers).run(report)
        trained.append(model)
    return trained


def _begin(model, start, recipe):
    """Give ``model`` the imported weights; what they lack stays random."""
    mine = model.state_dict()
    for name, tensor in start.items():
        if name in mine and mine[name].shape != tensor.shape:
            raise CheckpointError(
                f"{name} of {recipe.start} has shape {tuple(tensor.shape)}, but the model of this recipe and its data takes "
                f"{tuple(mine[name].shape)}; import it for this task"
            )
    model.load_state_dict(start, strict=False)


def _counts(step, source, path):
    """Whether a stage needs the importance of the weights it starts from; one that has a checkpoint holds it already."""
    split = any(getattr(module, "halves", None) is not None for module in source.modules())
    return step.weighted and not split and not path.exists()


def control(
    recipe: Recipe,
    dataset: Dataset,
    folder: Path | str,
    report: Silent | None = None,
    workers: Workers | None = None,
    start: Mapping[str, torch.Tensor] | None = None,
) -> BmtEncoder:
    """The same embedding and head without the layers, trained like the teacher and from what it starts from."""
    model = dataclasses.replace(recipe.model, layers=0)
    recipe = dataclasses.replace(recipe, model=model, steps=recipe.steps[:1])
    return train(recipe, dataset, folder, report, workers, start)[0]


def new_model(recipe: Recipe, dataset: Dataset, index: int) -> BmtEncoder:
    """The model of stage ``index``, with random weights that depend on the recipe's seed."""
    step = recipe.steps[index]
    config = encoder_config(recipe.model, dataset)
    if is_half(recipe.steps, index):
        config = halved(config)
    torch.manual_seed(recipe.seed)
    formats = precision(step.activation_bits, step.scheme, recipe.model.table_bits)
    return BmtEncoder(config, formats, step.dropout, recipe.model.structure(step))


def is_half(steps: Sequence[StageRecipe], index: int) -> bool:
    """Whether a stage's model has half the width: it says so, or is split from one that has."""
    step = steps[index]
    return step.half or (step.weights is Weights.SPLIT and is_half(steps, index - 1))


def stage_path(recipe: Recipe, index: int, folder: Path | str) -> Path:
    """The checkpoint of a stage: its name holds a digest of all that the result depends on."""
    steps = [dataclasses.asdict(step) for step in recipe.steps[: index + 1]]
    for entries in steps:
        # Keys younger than VERSION count where they are used: what was trained before them keeps its name.
        for key in YOUNGER:
            if not entries[key]:
                del entries[key]
    known = dataclasses.asdict(recipe) | {"steps": steps, "version": VERSION}
    # None of these changes what comes out.
    for key in ("name", "checkpoint_every"):
        del known[key]
    for key in ("start", "tokenizer"):
        known[key] = known[key] and _digest_of(Path(known[key]))
    digest = hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode()).hexdigest()[:12]
    step = recipe.steps[index]
    bits = "full" if step.activation_bits == FULL else f"{step.weights}-a{step.activation_bits}"
    return Path(folder) / f"{recipe.task}-{recipe.model.layers}layers-{bits}-{digest}.pt"


def _digest_of(path):
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        if file.is_file():
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()
