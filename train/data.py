"""Data sets: read from where the user has them, checked by hash, turned into model inputs. Nothing is downloaded."""

import csv
import gzip
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers


class DataError(ValueError):
    """Data that is missing or not what it should be: one sentence with the rule, the value and the way out."""


@dataclass(frozen=True)
class Split:
    """``inputs`` (samples, tokens) ids or (samples, tokens, input_size) codes, ``lengths``, ``labels``; int64."""

    inputs: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray
    texts: tuple[str, ...] = ()

    def __len__(self):
        return len(self.labels)

    def take(self, index):
        texts = tuple(self.texts[i] for i in index) if self.texts else ()
        return Split(self.inputs[index], self.lengths[index], self.labels[index], texts)


@dataclass(frozen=True)
class Dataset:
    """``validation`` picks the epoch; ``test`` is reported and used for nothing else."""

    train: Split
    validation: Split
    test: Split
    labels: tuple[str, ...]
    #: sha256 of each file, by name.
    hashes: dict
    preprocessing: dict = field(default_factory=dict)


def _read(folder, name, expected, advice):
    path = Path(folder) / name
    if not path.exists():
        raise DataError(f"{advice}; there is no {path}")
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != expected:
        raise DataError(f"{path} must have sha256 {expected[:16]}..., not {digest[:16]}...; {advice}")
    return content


FASHION_FOLDER = "/usr/share/datasets/fashion-mnist"
FASHION_ADVICE = "install the Debian package dataset-fashion-mnist, or name a folder with its four files by --data"
FASHION_HASHES = {
    "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}
FASHION_LABELS = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
FASHION_VALIDATION = 5000


def fashion_mnist(folder, patch):
    """Fashion-MNIST as square patches, row by row; the last 5,000 training images validate."""
    folder = folder or FASHION_FOLDER
    parts = {
        name: gzip.decompress(_read(folder, name, digest, FASHION_ADVICE)) for name, digest in FASHION_HASHES.items()
    }

    def split(prefix):
        images = np.frombuffer(parts[f"{prefix}-images-idx3-ubyte.gz"], np.uint8, offset=16).reshape(-1, 28, 28)
        labels = np.frombuffer(parts[f"{prefix}-labels-idx1-ubyte.gz"], np.uint8, offset=8).astype(np.int64)
        inputs = to_patches(images, patch)
        return Split(inputs, np.full(len(labels), inputs.shape[1]), labels)

    train = split("train")
    cut = len(train) - FASHION_VALIDATION
    return Dataset(
        train.take(np.arange(cut)),
        train.take(np.arange(cut, len(train))),
        split("t10k"),
        FASHION_LABELS,
        FASHION_HASHES,
        {"image": [28, 28], "patch": patch, "codes": "pixels 0..255, patches and pixels in them row by row"},
    )


def to_patches(images, patch):
    """``(samples, height, width)`` to ``(samples, patches, patch * patch)`` int64, row by row."""
    samples, height, width = images.shape
    if height % patch or width % patch:
        raise DataError(f"the patch size must divide {height} and {width}, not be {patch}; choose another in the recipe")
    cut = images.reshape(samples, height // patch, patch, width // patch, patch).swapaxes(2, 3)
    return cut.reshape(samples, -1, patch * patch).astype(np.int64)


SST2_ADVICE = (
    "SST-2 is read from a folder named by --data or BITTERN_SST2, with train.tsv (60,614 sentences), dev.tsv (6,735) "
    "and test.tsv (the 872 of the GLUE validation set)"
)
SST2_HASHES = {
    "train.tsv": "920e317b2c52e12cd22db1da2c6708312bd7dc4f3712b9bbf1b50ee6c2c792ba",
    "dev.tsv": "92353770071a2a889f75d000a38a9e541ea8f0a5499e50f040b17917a5cbf66f",
    "test.tsv": "54a9c12c77e402fc14d6a66a506f24d999f596b0176eb777c972cccc2f9cc4b0",
}
SST2_LABELS = ("negative", "positive")
UNKNOWN, PADDING, START = "[UNK]", "[PAD]", "[CLS]"


def sst2(folder, vocabulary, tokens):
    """SST-2 as word pieces of a vocabulary trained on its training sentences, cut to ``tokens``."""
    if not folder:
        raise DataError(f"{SST2_ADVICE}; no folder is named")
    parts = {
        name: _parse(_read(folder, name, digest, SST2_ADVICE).decode()) for name, digest in SST2_HASHES.items()
    }
    tokenizer = train_tokenizer([text for text, _ in parts["train.tsv"]], vocabulary)

    def split(name):
        texts, labels = zip(*parts[name], strict=True)
        inputs, lengths = tokenize(tokenizer, texts, tokens)
        return Split(inputs, lengths, np.array(labels, np.int64), texts)

    return Dataset(
        split("train.tsv"),
        split("dev.tsv"),
        split("test.tsv"),
        SST2_LABELS,
        SST2_HASHES,
        {"tokenizer": json.loads(tokenizer.to_str()), "truncate": tokens},
    )


def _parse(content):
    rows = list(csv.reader(content.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))
    return [(sentence.strip(), int(label)) for sentence, label in rows[1:]]


def train_tokenizer(texts, vocabulary):
    """A lower-case WordPiece tokenizer of at most ``vocabulary`` pieces, the same in every run."""
    tokenizer = _word_pieces(models.WordPiece(unk_token=UNKNOWN))
    # The trainer numbers the ##characters in random order, and ties between merges go by number. As special tokens they
    # have their place beforehand; the tokenizer is then rebuilt from the vocabulary, with none of them special.
    characters = sorted({character for text in texts for character in tokenizer.normalizer.normalize_str(text)} - {" "})
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary,
        special_tokens=[PADDING, UNKNOWN, START, *(f"##{character}" for character in characters)],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer = _word_pieces(models.WordPiece(tokenizer.get_vocab(), unk_token=UNKNOWN))
    tokenizer.add_special_tokens([PADDING, UNKNOWN, START])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A", special_tokens=[(START, tokenizer.token_to_id(START))]
    )
    return tokenizer


def _word_pieces(model):
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def tokenize(tokenizer, texts, tokens):
    """Ids padded with 0 to ``tokens``, and lengths: ``(samples, tokens)``, ``(samples,)`` int64."""
    inputs = np.zeros((len(texts), tokens), np.int64)
    lengths = np.zeros(len(texts), np.int64)
    for row, encoding in enumerate(tokenizer.encode_batch(list(texts))):
        ids = encoding.ids[:tokens]
        inputs[row, : len(ids)], lengths[row] = ids, len(ids)
    return inputs, lengths
