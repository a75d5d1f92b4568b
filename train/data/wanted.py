"""What is read of a recipe here. `train.run.recipe` has it all, but stands above data and cannot be imported."""

from typing import Protocol

from train.data.tasks import Task


class Sizes(Protocol):
    """Of `train.run.recipe.Model`: sides of patches in pixels for images, vocabulary and tokens for text."""

    @property
    def patch(self) -> int: ...
    @property
    def stride(self) -> int: ...
    @property
    def class_tokens(self) -> int: ...
    @property
    def vocabulary(self) -> int: ...
    @property
    def tokens(self) -> int: ...


class Wanted(Protocol):
    """Of `train.run.recipe.Recipe`: which data, and in which form."""

    @property
    def task(self) -> Task: ...
    @property
    def model(self) -> Sizes: ...


class Moves(Protocol):
    """Of `train.run.recipe.Recipe`: what is done to images in training."""

    @property
    def shift(self) -> int: ...
    @property
    def flip(self) -> bool: ...


class Rewrites(Protocol):
    """Of `train.run.recipe.StageRecipe`: what is done to texts in training, two probabilities."""

    @property
    def replaced(self) -> float: ...
    @property
    def joined(self) -> float: ...
