"""What is done to the inputs of a batch in training: images moved or mirrored, texts with other words or longer.

Nothing random has a state: a generator is given for each batch.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from formats.preprocessing import ImagePipeline
from train.data.sets import Dataset, Split
from train.data.tokenizer import added_pieces, tokenizer_of
from train.data.wanted import Moves, Rewrites

#: Of indices of training samples and a generator: their ``inputs`` and ``lengths``, tensors.
Augment = Callable[[NDArray[np.int64], np.random.Generator], tuple[torch.Tensor, torch.Tensor]]


def augmentation(recipe: Moves, step: Rewrites, dataset: Dataset) -> Augment | None:
    """What changes the batches of a stage, or None.

    Parameters
    ----------
    recipe : train.run.recipe.Recipe
        For images: ``shift`` and ``flip``.
    step : train.run.recipe.StageRecipe
        For texts: ``replaced`` and ``joined``.
    dataset : train.data.sets.Dataset
    """
    split, rules = dataset.train, dataset.preprocessing
    if recipe.shift or recipe.flip:
        assert isinstance(rules, ImagePipeline), "recipes say shift and flip of images alone"
        lengths = torch.from_numpy(split.lengths)
        return lambda index, rng: (moved(split, index, rules, rng, recipe.shift, recipe.flip), lengths[index])
    if step.replaced or step.joined:
        tokenizer = tokenizer_of(rules)
        assert tokenizer is not None, "recipes say replaced and joined of texts alone"
        opening, closing = added_pieces(tokenizer)
        return Texts(split, opening, closing, step.replaced, step.joined)
    return None


def moved(
    split: Split, index: NDArray[np.int64], rules: ImagePipeline, rng: np.random.Generator, shift: int, flip: bool
) -> torch.Tensor:
    """Patch codes (samples, tokens, input_size) uint8 of images, each shifted and some of them mirrored.

    Parameters
    ----------
    rules : formats.preprocessing.ImagePipeline
        The data set's preprocessing.
    rng : numpy.random.Generator
    shift : int
        Pixels up, down, left or right, at most.
    flip : bool
        Whether half of them are mirrored.
    """
    assert split.images is not None, "only images are moved"
    images = torch.from_numpy(np.ascontiguousarray(split.images[index]))
    count, height, width = images.shape
    if flip:
        flipped = torch.from_numpy(rng.random(count) < 0.5)
        images = torch.where(flipped[:, None, None], images.flip(2), images)
    padded = functional.pad(images, (shift, shift, shift, shift))
    top, left = torch.from_numpy(rng.integers(0, 2 * shift + 1, (2, count)))
    images = padded.unfold(1, height, 1).unfold(2, width, 1)[torch.arange(count), top, left]
    patch, stride = rules.patch, rules.stride or rules.patch
    windows = images.unfold(1, patch, stride).unfold(2, patch, stride)
    patches = windows.reshape(count, -1, patch * patch)
    return functional.pad(patches, (0, 0, rules.class_tokens, 0))


class Texts:
    """Texts that nobody wrote, for a teacher to label (arXiv 1903.12136): a student sees more of what the teacher knows.

    Parameters
    ----------
    split : train.data.sets.Split
        ``inputs`` (samples, tokens) ids.
    opening, closing : int
        Pieces that a tokenizer puts before and after a text; they stay.
    replaced : float
        Probability of a piece to be replaced by any that the texts have, all equally likely.
    joined : float
        Probability of a text to go on with another of the batch; what is then too long is cut.
    """

    def __init__(self, split: Split, opening: int, closing: int, replaced: float, joined: float):
        self.split, self.opening, self.closing, self.replaced, self.joined = split, opening, closing, replaced, joined
        self.pieces = np.unique(split.inputs[self._words(split.inputs, split.lengths)])

    def __call__(self, index: NDArray[np.int64], rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """``inputs`` (samples, longest of them) int64 and ``lengths`` (samples,) int64, tensors."""
        inputs, lengths = self.split.inputs[index], self.split.lengths[index]
        if self.joined:
            goes_on = rng.random(len(index)) < self.joined
            inputs, lengths = self._join(inputs, lengths, rng.permutation(len(index)), goes_on)
        if self.replaced:
            chosen = (rng.random(inputs.shape) < self.replaced) & self._words(inputs, lengths)
            inputs = np.where(chosen, rng.choice(self.pieces, inputs.shape), inputs)
        inputs = np.ascontiguousarray(inputs[:, : int(lengths.max())], np.int64)
        return torch.from_numpy(inputs), torch.from_numpy(lengths)

    def _words(self, inputs, lengths):
        """Which pieces are of the text itself: not padding, not what the tokenizer adds."""
        place = np.arange(inputs.shape[1])
        return (place >= self.opening) & (place < lengths[:, None] - self.closing)

    def _join(self, inputs, lengths, others, goes_on):
        """The texts, those of ``goes_on`` with the words of ``others`` after their own."""
        joined = inputs.copy()
        first = lengths - self.closing
        more = np.where(goes_on, np.minimum(lengths[others] - self.opening - self.closing, inputs.shape[1] - lengths), 0)
        for row in np.flatnonzero(more > 0):
            start, count = first[row], more[row]
            joined[row, start : start + count] = inputs[others[row], self.opening : self.opening + count]
            # What closes the text closes the longer one.
            joined[row, start + count : lengths[row] + count] = inputs[row, start : lengths[row]]
        return joined, lengths + np.maximum(more, 0)
