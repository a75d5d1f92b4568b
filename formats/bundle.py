"""Bundle files: a quantized encoder in safetensors plus JSON metadata, with samples and its training record."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from formats import structure
from formats.container import Container
from formats.decode import Part, decode
from formats.encoder import Tensors, build, flatten
from formats.errors import UserError
from formats.preprocessing import PIPELINES, Pipeline, to_plain
from golden.check import check_encoder
from golden.model import Encoder, Input

FORMAT = "bittern-bundle-1"


class BundleError(UserError):
    """A file that is no usable bundle: one sentence with the rule, the value and the way out."""


@dataclass(frozen=True)
class Samples:
    """Real test samples that travel with the model.

    ``inputs`` (samples, tokens) token ids or (samples, tokens, input_size) patch codes; ``lengths`` and
    ``labels`` (samples,), all int64. ``texts`` has one string per sample where the samples are text.
    """

    inputs: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bundle:
    """An encoder, what its classes are called, samples to run it on, and how it was made.

    ``record`` holds plain JSON with the keys of `Record`: task, recipe, seed, data and measured accuracies.
    ``preprocessing`` says how raw input becomes ``inputs`` (for text it holds the tokenizer), None if nobody knows.
    """

    encoder: Encoder
    labels: tuple[str, ...]
    samples: Samples
    record: dict[str, Any] = field(default_factory=dict)
    preprocessing: Pipeline | None = None


class Checkpoint(Part):
    """The file of the trained model: relative to the bundle, and its hash."""

    path: str
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")] | None = None


class Record(Part):
    """How a model was made. ``recipe`` and ``data`` are as they were then, and for people to read."""

    task: str | None = None
    recipe: dict[str, Any] = {}
    command: str | None = None
    seed: int | None = None
    data: dict[str, Any] = {}
    #: In percent, and counts.
    accuracy: dict[str, float] = {}
    checkpoint: Checkpoint | None = None


class SamplesFile(Part):
    inputs: None
    lengths: None
    labels: None
    texts: tuple[str, ...] = ()


class BundleFile(Part):
    """The JSON of a bundle; ``preprocessing`` is empty, or a pipeline of the encoder's input."""

    encoder: structure.Encoder
    labels: tuple[str, ...]
    samples: SamplesFile
    record: Record = msgspec.field(default_factory=Record)
    preprocessing: dict[str, Any] = {}


def _digest(text, description, tensors):
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode())
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    return digest.hexdigest()


FILE = Container("bundle", ".bundle", FORMAT, "export or fetch it again", BundleError, _digest)


def save(bundle: Bundle, path: str | Path) -> None:
    """Write a bundle; the file appears whole or not at all."""
    tensors: dict[str, np.ndarray] = {}
    description = {
        "encoder": flatten(bundle.encoder, "encoder", tensors),
        "labels": list(bundle.labels),
        "samples": flatten(bundle.samples, "samples", tensors),
        "record": bundle.record,
        "preprocessing": to_plain(bundle.preprocessing),
    }
    FILE.write(path, description, tensors)


def load(path: str | Path) -> Bundle:
    """Read a bundle. Raises BundleError, naming the file, for anything that is not a whole and valid one."""
    description, found = FILE.read(path)
    with FILE.naming(path):
        file = decode(BundleFile, description, "it")
        tensors = Tensors(found)
        encoder = build(Encoder, file.encoder, "encoder", tensors)
        samples = build(Samples, file.samples, "samples", tensors)
        check_encoder(encoder)
        tensors.check_all_taken()
        pipeline = None
        if file.preprocessing:
            kind = PIPELINES[encoder.config.input]
            pipeline = decode(kind, file.preprocessing, "preprocessing", "preprocessing")
            pipeline.check(encoder)
        bundle = Bundle(encoder, file.labels, samples, description.get("record", {}), pipeline)
        _check_samples(bundle)
    return bundle


def _require(condition, message):
    if not condition:
        raise ValueError(message)


def _check_samples(bundle):
    config, samples = bundle.encoder.config, bundle.samples
    count = len(samples.labels) if samples.labels.ndim else 0
    _require(len(bundle.labels) == config.classes, f"{config.classes} classes need as many labels, not {len(bundle.labels)}")
    _require(samples.labels.shape == (count,), f"samples.labels must have shape (samples,), not {samples.labels.shape}")
    text = config.input is Input.TOKENS
    shape = (count, config.tokens) if text else (count, config.tokens, config.input_size)
    _require(samples.inputs.shape == shape, f"samples.inputs must have shape {shape}, not {samples.inputs.shape}")
    shape, texts = samples.lengths.shape, len(samples.texts)
    _require(shape == (count,), f"samples.lengths must be {count} sample lengths, not {shape}")
    _require(texts in (0, count), f"samples.texts must be {count} sample texts or none, not {texts}")
    low, high = (0, config.input_size - 1) if text else bundle.encoder.embedding.input_format.range
    _check_between(samples.inputs, low, high, "samples.inputs", "token id" if text else "patch code")
    _check_between(samples.lengths, 1, config.tokens, "samples.lengths", "length")
    _check_between(samples.labels, 0, config.classes - 1, "samples.labels", "label")


def _check_between(array, low, high, name, what):
    wrong = array[(array < low) | (array > high)]
    _require(not wrong.size, f"each {what} in {name} must be in {low}..{high}, not {wrong[:1].sum()}")
