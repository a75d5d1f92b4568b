"""Image data sets: Fashion-MNIST and the small digits of scikit-learn."""

import gzip
import hashlib
from pathlib import Path

import numpy as np

from formats.preprocessing import ImagePipeline
from golden.patches import to_patches
from train.data.sets import Dataset, Split, read
from train.data.tasks import Task, labels_of
from train.errors import DataError

FASHION_FOLDER = "/usr/share/datasets/fashion-mnist"
FASHION_ADVICE = "install the Debian package dataset-fashion-mnist, or name a folder with its four files by --data"
FASHION_HASHES = {
    "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}
FASHION_VALIDATION = 5000
#: Samples of the digits that train and that validate; the rest tests. They are shuffled with a fixed seed.
DIGITS_TRAIN, DIGITS_VALIDATION = 1200, 200


def fashion_mnist(folder: Path | str | None, patch: int, stride: int = 0, class_tokens: int = 0) -> Dataset:
    """Fashion-MNIST; the last 5,000 training images validate."""
    folder = folder or FASHION_FOLDER
    parts = {name: gzip.decompress(read(folder, name, digest, FASHION_ADVICE)) for name, digest in FASHION_HASHES.items()}

    def split(prefix):
        images = np.frombuffer(parts[f"{prefix}-images-idx3-ubyte.gz"], np.uint8, offset=16).reshape(-1, 28, 28)
        labels = np.frombuffer(parts[f"{prefix}-labels-idx1-ubyte.gz"], np.uint8, offset=8)
        return _split(images, labels, patch, stride, class_tokens)

    train = split("train")
    cut = len(train) - FASHION_VALIDATION
    training, validation = train.take(np.arange(cut)), train.take(np.arange(cut, len(train)))
    preprocessing = _pipeline(28, patch, stride, class_tokens)
    return Dataset(training, validation, split("t10k"), labels_of(Task.FASHION_MNIST), FASHION_HASHES, preprocessing)


def digits(patch: int, stride: int = 0, class_tokens: int = 0) -> Dataset:
    """The 1,797 digits of 8 x 8 pixels that come with scikit-learn."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = (found.images * 15).astype(np.uint8)
    order = np.random.default_rng(0).permutation(len(images))
    parts = np.split(order, [DIGITS_TRAIN, DIGITS_TRAIN + DIGITS_VALIDATION])
    splits = (_split(images[part], found.target[part], patch, stride, class_tokens) for part in parts)
    training, validation, test = splits
    hashes = {"sklearn.datasets.load_digits": hashlib.sha256(images.tobytes()).hexdigest()}
    preprocessing = _pipeline(8, patch, stride, class_tokens)
    return Dataset(training, validation, test, labels_of(Task.DIGITS), hashes, preprocessing)


def _pipeline(side, patch, stride, class_tokens):
    return ImagePipeline(image=(side, side), patch=patch, stride=stride or patch, class_tokens=class_tokens)


def _split(images, labels, patch, stride, class_tokens):
    try:
        inputs = to_patches(images, patch, stride, class_tokens)
    except ValueError as error:
        raise DataError(f"{error} in the recipe") from None
    return Split(inputs, np.full(len(labels), inputs.shape[1]), labels.astype(np.int64), images=images)
