"""Recipes: everything a training run depends on, in one TOML file."""

import tomllib
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from formats.decode import decode
from golden.attention.kinds import ATTENTION_KINDS
from golden.model import Attention, EncoderConfig, Head, Input, Order
from train.data.sets import Dataset
from train.data.tasks import Task
from train.errors import CheckpointError, RecipeError
from train.model.precision import FULL, Weights, WeightScheme
from train.model.structure import Activation, NormKind, Pooler, Structure
from train.run.imported import shape_of


class Mixed(StrEnum):
    """Type of the matrix products of training; those of evaluation are always exact."""

    NONE = "none"
    BFLOAT16 = "bfloat16"
    #: With a scaled loss.
    FLOAT16 = "float16"


class Schedule(StrEnum):
    """Learning rate after the warm-up: down to 0 along a line, or half a cosine."""

    LINEAR = "linear"
    COSINE = "cosine"


#: A side, or a way across an image.
Pixels = Annotated[int, Meta(ge=0, le=1024)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
LossWeight = Annotated[float, Meta(ge=0.0, le=1e6)]
Epochs = Annotated[int, Meta(ge=1, le=100_000)]


@dataclass(frozen=True)
class Model:
    """Shape of the encoder. ``patch`` and ``stride`` are sides in pixels, for images; the rest is as in `EncoderConfig`.

    ``stride`` 0 is the side of a patch: they do not overlap. ``vocabulary`` and ``tokens`` are for text.
    """

    layers: Annotated[int, Meta(ge=0, le=1000)]
    width: Annotated[int, Meta(ge=1, le=4095)]
    heads: Annotated[int, Meta(ge=1, le=1024)]
    head_width: Annotated[int, Meta(ge=1, le=4095)]
    feed_forward: Annotated[int, Meta(ge=1, le=1 << 16)]
    head: Head = Head.MEAN
    order: Order = Order.POST
    attention: Attention = Attention.SOFTMAX
    residual_fraction: Annotated[int, Meta(ge=0, le=15)] = 10
    patch: Pixels = 0
    stride: Pixels = 0
    vocabulary: Annotated[int, Meta(ge=0, le=1 << 24)] = 0
    tokens: Annotated[int, Meta(ge=0, le=4096)] = 0
    #: Bits of the word embeddings.
    table_bits: Annotated[int, Meta(ge=1, le=8)] = 1
    #: Rows of zeros before the patches, in which an imported ViT has its class token.
    class_tokens: Annotated[int, Meta(ge=0, le=16)] = 0
    #: The rest of `train.model.structure.Structure`; the activation is that of full precision.
    activation: Activation = Activation.RELU
    norm: NormKind = NormKind.LAYER
    epsilon: Share = 1e-5
    pooler: Pooler | None = None

    def structure(self, step: "StageRecipe") -> Structure:
        """`train.model.structure.Structure` of the encoder of a stage."""
        return Structure(step.activation or self.activation, self.norm, self.epsilon, self.pooler)


@dataclass(frozen=True)
class StageRecipe:
    """One stage of training. It starts from the weights of the stage before it.

    ``activation_bits`` 32 is full precision, with real weights; the first stage is, and is the teacher of the others.
    """

    activation_bits: int
    epochs: Epochs
    batch: Annotated[int, Meta(ge=1, le=1 << 20)]
    learning_rate: Annotated[float, Meta(ge=0.0, le=10.0)]
    weights: Weights = Weights.BINARY
    #: Only in full precision, instead of the model's: a model with GELU heals on ReLU, which is what bits have.
    activation: Activation | None = None
    #: Half the heads and half the feed-forward neurons of the teacher, its largest; a split keeps the width it comes from.
    half: bool = False
    per_channel: bool = False
    weighted: bool = False
    trained_scale: bool = False
    free: bool = False
    #: Share of the loss that is the labels' and not the teacher's; 1 trains without the teacher's logits.
    label_weight: Share = 0.5
    #: Weights of the squared distance of the streams to the teacher's, and of the divergence of the probabilities.
    hidden_weight: LossWeight = 0.0
    attention_weight: LossWeight = 0.0
    temperature: Annotated[float, Meta(ge=1e-3, le=1e3)] = 1.0
    label_smoothing: Share = 0.0
    #: Texts, in training: probability of a word piece to be replaced by another, and of a text to go on with another one.
    #: The teacher labels what comes out, so label_weight must be 0.
    replaced: Share = 0.0
    joined: Share = 0.0
    dropout: Annotated[float, Meta(ge=0.0, le=0.99)] = 0.0
    weight_decay: Annotated[float, Meta(ge=0.0, le=100.0)] = 0.0
    schedule: Schedule = Schedule.LINEAR
    #: Share of the steps in which the learning rate rises.
    warmup: Share = 0.05
    #: Largest norm of the gradient.
    clip: Annotated[float, Meta(ge=1e-6, le=1e9)] = 1.0
    #: Batches that are computed one after the other and averaged, ``batch`` samples together.
    accumulate: Annotated[int, Meta(ge=1, le=1 << 16)] = 1
    #: Decay of a moving average of the weights, which is then what is validated and kept; 0 for none.
    average: Annotated[float, Meta(ge=0.0, le=0.99999)] = 0.0
    #: Validations without a better one after which the stage ends; 0 for never.
    patience: Annotated[int, Meta(ge=0, le=100_000)] = 0

    @property
    def scheme(self) -> WeightScheme | None:
        """`WeightScheme` of the layers, None in full precision."""
        if self.activation_bits == FULL:
            return None
        return WeightScheme(self.weights, self.per_channel, self.weighted, self.trained_scale, self.free)

    @property
    def distils(self) -> bool:
        return self.label_weight < 1 or self.hidden_weight > 0 or self.attention_weight > 0


@dataclass(frozen=True)
class Recipe:
    name: Annotated[str, Meta(pattern="^[^/]+$")]
    task: Task
    seed: Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
    #: In a file with a ``start`` its sizes may be left out: they are those of the start.
    model: Model
    steps: Annotated[tuple[StageRecipe, ...], Meta(min_length=1)]
    #: Imported checkpoint to start from, a folder as `bittern import` writes it; relative to the recipe.
    start: str | None = None
    #: tokenizer.json to use and not train one; relative to the recipe.
    tokenizer: str | None = None
    #: Images, in training: pixels that they are shifted by at most, and whether half of them are mirrored.
    shift: Annotated[int, Meta(ge=0, le=64)] = 0
    flip: bool = False
    mixed: Mixed = Mixed.NONE
    #: Optimiser steps between checkpoints: what an interruption may lose.
    checkpoint_every: Annotated[int, Meta(ge=1, le=1 << 31)] = 200


def read_recipe(path: Path | str) -> Recipe:
    """A recipe from its file. Raises RecipeError."""
    path = Path(path)
    if not path.is_file():
        raise RecipeError(f"there is no recipe at {path}; those of the project are in train/recipes")
    try:
        table = {"name": path.stem} | tomllib.loads(path.read_text())
        for key in ("start", "tokenizer"):
            if isinstance(table.get(key), str):
                table[key] = str(path.parent / table[key])
        if isinstance(table.get("start"), str) and isinstance(table.get("model", {}), dict):
            known = {field.name for field in fields(Model)}
            table["model"] = shape_of(table["start"], table.get("model", {}), known)
        recipe = decode(Recipe, table, "the recipe")
        _check(recipe)
    except CheckpointError:
        raise
    except ValueError as error:
        raise RecipeError(f"recipe {path} is invalid: {error}") from None
    except RecursionError:
        raise RecipeError(f"recipe {path} is invalid: its lists are nested too deep; give tables of settings") from None
    return recipe


def _check(recipe):
    if not recipe.steps or recipe.steps[0].activation_bits != FULL:
        raise ValueError(f"it must begin with a step of activation_bits = {FULL}, the teacher")
    if (recipe.shift or recipe.flip) and not recipe.task.of_images:
        raise ValueError(f"shift and flip are of images, which {recipe.task} has none of; leave them out")
    for index, step in enumerate(recipe.steps):
        if step.attention_weight and not ATTENTION_KINDS[recipe.model.attention].distribution:
            raise ValueError(f"step {index} has an attention_weight, which needs the softmax that the model is without")
        if (step.replaced or step.joined) and recipe.task.of_images:
            raise ValueError(f"step {index} says replaced or joined, which are of texts; images have shift and flip")
        _check_step(step, recipe.steps[:index], f"step {index}")


def _check_step(step, before, name):
    if step.activation_bits != FULL and not 1 <= step.activation_bits <= 8:
        bits = step.activation_bits
        raise ValueError(f"activation_bits of {name} must be in 1..8, or {FULL} for full precision, not {bits}")
    if step.activation is not None and step.activation_bits != FULL:
        raise ValueError(f"{name} has an activation, but on bits it is always the ReLU; leave activation out")
    if step.batch % step.accumulate:
        raise ValueError(f"accumulate of {name} must divide its batch of {step.batch}, not be {step.accumulate}")
    if (step.replaced or step.joined) and (step.label_weight or not before):
        raise ValueError(
            f"{name} makes texts that have no label (replaced, joined): they need a step before it that teaches, and "
            f"label_weight = 0, not {step.label_weight}"
        )
    if step.weights is Weights.SPLIT and before[-1].weights not in (Weights.TERNARY, Weights.SPLIT):
        raise ValueError(f"{name} has split weights, so the step before it must have ternary or split ones")
    if step.half and (step.activation_bits == FULL or step.weights is Weights.SPLIT):
        raise ValueError(f"{name} cannot say half: only steps on bits before a split may, which keeps its width")
    if any(one.half for one in before) and not (step.half or step.weights is Weights.SPLIT):
        raise ValueError(f"{name} must have half = true or split weights, as it comes after a step of half the width")
    if (step.trained_scale or step.free) and step.weights is not Weights.SPLIT:
        raise ValueError(f"{name} trains scales, which only split weights have; set weights = 'split'")


def encoder_config(model: Model, dataset: Dataset) -> EncoderConfig:
    """The structure of the encoder for a data set: ``golden.model.EncoderConfig``."""
    text = dataset.train.inputs.ndim == 2
    return EncoderConfig(
        layers=model.layers, width=model.width, heads=model.heads, head_width=model.head_width,
        feed_forward=model.feed_forward, tokens=dataset.train.inputs.shape[1], classes=len(dataset.labels),
        input=Input.TOKENS if text else Input.PATCHES, order=model.order, attention=model.attention, head=model.head,
        input_size=model.vocabulary if text else dataset.train.inputs.shape[2],
        residual_fraction=model.residual_fraction,
    )  # fmt: skip
