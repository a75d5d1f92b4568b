"""A trained model as a file: what `bittern train` ends with and `bittern export` starts from."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from formats import structure
from formats.decode import Part, decode, parse
from formats.encoder import Tensors, build
from formats.preprocessing import PIPELINES, Pipeline, to_plain
from golden.model import EncoderConfig
from train.data.sets import Dataset
from train.errors import CheckpointError
from train.model.bmt import BmtEncoder
from train.model.precision import precision
from train.run import checkpoint
from train.run.recipe import Recipe

KIND = "model"


@dataclass(frozen=True)
class Saved:
    """``model`` of the last stage and ``teacher`` of the first, on the processor, in evaluation mode, with their recipe and
    what a bundle says of the data: ``labels``, ``preprocessing`` and ``hashes``."""

    model: BmtEncoder
    teacher: BmtEncoder
    recipe: Recipe
    labels: tuple[str, ...]
    preprocessing: Pipeline | None
    hashes: dict[str, str]


class Described(Part):
    """The JSON in such a file; ``model`` and ``teacher`` are the shapes of both."""

    recipe: Recipe
    model: structure.EncoderConfig
    teacher: structure.EncoderConfig
    labels: tuple[str, ...]
    hashes: dict[str, str] = {}
    preprocessing: dict[str, Any] = {}


def save_model(trained: Sequence[BmtEncoder], recipe: Recipe, dataset: Dataset, path: Path | str) -> None:
    """Write the first and the last of the models of all stages, whole or not at all."""
    described = {"recipe": dataclasses.asdict(recipe), "labels": list(dataset.labels), "hashes": dataset.hashes,
                 "preprocessing": to_plain(dataset.preprocessing)}  # fmt: skip
    models = {
        name: {"config": dataclasses.asdict(model.config), "state": model.state_dict()}
        for name, model in (("teacher", trained[0]), ("model", trained[-1]))
    }
    described |= {name: part["config"] for name, part in models.items()}
    states = {name: part["state"] for name, part in models.items()}
    checkpoint.save({"kind": KIND, "described": json.dumps(described), "states": states}, path)


def load_model(path: Path | str) -> Saved:
    """What `save_model` wrote: `Saved`. Raises CheckpointError."""
    content = checkpoint.load(path, KIND)
    try:
        described = decode(Described, parse(content["described"]), "the description")
        recipe, pipeline = described.recipe, None
        if described.preprocessing:
            kind = PIPELINES[described.model.input]
            pipeline = decode(kind, described.preprocessing, "preprocessing", "preprocessing")
        models = {}
        for name, step in (("teacher", recipe.steps[0]), ("model", recipe.steps[-1])):
            config = build(EncoderConfig, getattr(described, name), name, Tensors({}))
            formats = precision(step.activation_bits, step.scheme, recipe.model.table_bits)
            models[name] = BmtEncoder(config, formats, structure=recipe.model.structure(step)).eval()
            models[name].load_state_dict(content["states"][name])
    except (KeyError, ValueError, TypeError, IndexError, RuntimeError) as error:
        reason = str(error).split("\n")[-1].strip()
        raise CheckpointError(f"checkpoint {path} does not hold what it should ({reason}); train again") from None
    return Saved(models["model"], models["teacher"], recipe, described.labels, pipeline, described.hashes)
