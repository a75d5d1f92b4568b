"""Data sets: read from where the user has them, checked by hash, turned into model inputs. Nothing is downloaded."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from formats.preprocessing import Pipeline
from golden.model import EncoderConfig
from train.errors import DataError


@dataclass(frozen=True)
class Split:
    """Samples: ``labels`` and ``lengths`` (samples,) int64, and what the model takes.

    ``inputs`` are (samples, tokens) ids or (samples, tokens, input_size) patch codes, of any integer type; ``images``
    (samples, height, width) uint8 are what the patches were cut from, for augmentation.
    """

    inputs: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray
    texts: tuple[str, ...] = ()
    images: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[np.int64]) -> "Split":
        return Split(
            self.inputs[index], self.lengths[index], self.labels[index],
            tuple(self.texts[i] for i in index) if self.texts else (),
            None if self.images is None else self.images[index],
        )  # fmt: skip


@dataclass(frozen=True)
class Dataset:
    """``validation`` picks the epoch; ``test`` is reported and used for nothing else."""

    train: Split
    validation: Split
    test: Split
    labels: tuple[str, ...]
    #: sha256 of each file, by name.
    hashes: dict
    preprocessing: Pipeline | None = None

    def part(self, samples: int) -> "Dataset":
        """The same with at most so many training samples, the first ones."""
        return replace(self, train=self.train.take(np.arange(min(samples, len(self.train)))))


def read(folder: Path | str, name: str, expected: str, advice: str) -> bytes:
    """The bytes of a file of a data set. Raises DataError, with ``advice``, if it is missing or another."""
    path = Path(folder) / name
    try:
        content = path.read_bytes()
    except OSError:
        raise DataError(f"{advice}; there is no {path}") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != expected:
        raise DataError(f"{path} must have sha256 {expected[:16]}..., not {digest[:16]}...; {advice}")
    return content


def check_inputs(dataset: Dataset, config: EncoderConfig) -> None:
    """Raise DataError unless a model of this structure takes the inputs of the data set."""
    expected = (config.tokens,) if dataset.test.inputs.ndim == 2 else (config.tokens, config.input_size)
    if dataset.test.inputs.shape[1:] != expected:
        raise DataError(
            f"the model takes inputs of shape {expected}, and the data have {dataset.test.inputs.shape[1:]}; give the data "
            "it was trained on"
        )
