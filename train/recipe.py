"""Recipes: everything a training run depends on, in one TOML file."""

import dataclasses
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from golden.model import Attention, EncoderConfig, Head, Input, Order


class RecipeError(ValueError):
    """A recipe that cannot be run: one sentence with the rule, the value and the way out."""


class Task(StrEnum):
    FASHION_MNIST = "fashion-mnist"
    SST2 = "sst2"


@dataclass(frozen=True)
class Model:
    """Shape of the encoder. ``patch`` is the patch side for images, ``vocabulary`` and ``tokens`` are for text."""

    layers: int
    width: int
    heads: int
    head_width: int
    feed_forward: int
    head: Head = Head.MEAN
    residual_fraction: int = 10
    patch: int = 0
    vocabulary: int = 0
    tokens: int = 0


@dataclass(frozen=True)
class Step:
    """One stage of training. It starts from the weights of the stage before it.

    ``activation_bits`` 32 is full precision, with real weights; any other has binary weights. Stages after the
    first full-precision one learn from its logits, and ``hidden_weight`` times from its streams.
    """

    activation_bits: int
    epochs: int
    batch: int
    learning_rate: float
    hidden_weight: float = 0.0
    #: Share of the loss that is the labels' and not the teacher's.
    label_weight: float = 0.5
    dropout: float = 0.0
    weight_decay: float = 0.0


@dataclass(frozen=True)
class Recipe:
    name: str
    task: Task
    seed: int
    model: Model
    steps: tuple[Step, ...]
    #: Flip images and shift them by up to two pixels.
    augment: bool = False
    #: Matrix products of training (never of evaluation) in bfloat16: several times faster where the processor has it.
    bfloat16: bool = False


def read_recipe(path):
    """A recipe from its file. Raises RecipeError."""
    path = Path(path)
    if not path.exists():
        raise RecipeError(f"there is no recipe at {path}; those of the project are in train/recipes")
    try:
        table = tomllib.loads(path.read_text())
        recipe = _build(Recipe, {"name": path.stem} | table, "the recipe")
    except (tomllib.TOMLDecodeError, TypeError, ValueError) as error:
        raise RecipeError(f"recipe {path} is invalid: {error}") from None
    if not recipe.steps or recipe.steps[0].activation_bits != 32:
        raise RecipeError(f"recipe {path} must begin with a step of activation_bits = 32, the teacher")
    return recipe


def _build(kind, table, name):
    known = {field.name: field for field in dataclasses.fields(kind)}
    if unknown := sorted(table.keys() - known.keys()):
        raise ValueError(f"{name} knows no {unknown[0]!r}, only {', '.join(known)}")
    missing = [key for key, field in known.items() if key not in table and field.default is dataclasses.MISSING]
    if missing:
        raise ValueError(f"{name} lacks {missing[0]!r}")
    values = dict(table)
    if kind is Recipe:
        values["model"] = _build(Model, table["model"], "[model]")
        values["steps"] = tuple(_build(Step, step, f"step {index}") for index, step in enumerate(table["steps"]))
        values["task"] = Task(table["task"])
    if "head" in values:
        values["head"] = Head(values["head"])
    return kind(**values)


def encoder_config(model, dataset):
    """The structure of the encoder for a data set: ``golden.model.EncoderConfig``."""
    text = dataset.train.inputs.ndim == 2
    return EncoderConfig(
        layers=model.layers,
        width=model.width,
        heads=model.heads,
        head_width=model.head_width,
        feed_forward=model.feed_forward,
        tokens=dataset.train.inputs.shape[1],
        classes=len(dataset.labels),
        input=Input.TOKENS if text else Input.PATCHES,
        order=Order.POST,
        attention=Attention.SOFTMAX,
        head=model.head,
        input_size=model.vocabulary if text else dataset.train.inputs.shape[2],
        residual_fraction=model.residual_fraction,
    )
