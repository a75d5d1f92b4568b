"""Bundle files: a quantized encoder in safetensors plus JSON metadata, with samples and its training record."""

import hashlib
import json
import types
import typing
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum

import numpy as np
import safetensors
import safetensors.numpy

from formats.files import whole
from golden.check import check_encoder
from golden.codes import Kind, from_planes, pack_words, planes, unpack_words
from golden.model import Encoder, Format, Input, Linear

FORMAT = "bittern-bundle-1"


class BundleError(ValueError):
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

    ``record`` holds plain JSON: task, recipe, seed, data and measured accuracies. ``preprocessing`` says how
    raw input becomes ``inputs`` (for text it holds the tokenizer).
    """

    encoder: Encoder
    labels: tuple[str, ...]
    samples: Samples
    record: dict = field(default_factory=dict)
    preprocessing: dict = field(default_factory=dict)


def save(bundle, path):
    """Write a bundle; the file appears whole or not at all."""
    tensors = {}
    structure = _flatten(bundle, "", tensors)
    metadata = {"format": FORMAT, "structure": json.dumps(structure), "sha256": _digest(structure, tensors)}
    with whole(path) as partial:
        partial.write_bytes(safetensors.numpy.save(tensors, metadata))


def load(path):
    """Read a bundle. Raises BundleError, naming the file, for anything that is not a whole and valid one."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except FileNotFoundError:
        raise BundleError(f"there is no bundle at {path}; give the path of a .bundle file") from None
    except OSError as error:
        raise BundleError(f"bundle {path} cannot be read: {error.strerror or error}") from None
    except safetensors.SafetensorError as error:
        raise BundleError(f"bundle {path} is corrupt or truncated ({error}); export or fetch it again") from None
    if metadata.get("format") != FORMAT:
        raise BundleError(f"{path} is not of format {FORMAT} but {metadata.get('format')!r}; export it again")
    try:
        structure = json.loads(metadata["structure"])
        if _digest(structure, tensors) != metadata["sha256"]:
            raise BundleError(f"bundle {path} is corrupt: its content does not match its checksum; fetch it again")
        bundle = _build(Bundle, structure, "", tensors)
        check_encoder(bundle.encoder)
        _check_samples(bundle)
    except (KeyError, TypeError, IndexError) as error:
        raise BundleError(f"bundle {path} lacks or misplaces {error}; export it again") from None
    except BundleError:
        raise
    except ValueError as error:
        raise BundleError(f"bundle {path} is invalid: {error}") from None
    return bundle


def _require(condition, message):
    if not condition:
        raise ValueError(message)


def _check_samples(bundle):
    config, samples = bundle.encoder.config, bundle.samples
    count = len(samples.labels)
    _require(len(bundle.labels) == config.classes, f"{config.classes} classes need as many names, not {len(bundle.labels)}")
    _require(samples.labels.shape == (count,), f"samples' labels must have shape (samples,), not {samples.labels.shape}")
    text = config.input is Input.TOKENS
    shape = (count, config.tokens) if text else (count, config.tokens, config.input_size)
    _require(samples.inputs.shape == shape, f"samples' inputs must have shape {shape}, not {samples.inputs.shape}")
    _require(samples.lengths.shape == (count,), f"there must be {count} sample lengths, not {samples.lengths.shape}")
    _require(len(samples.texts) in (0, count), f"there must be {count} sample texts or none, not {len(samples.texts)}")
    low, high = (0, config.input_size - 1) if text else bundle.encoder.embedding.input_format.range
    _check_between(samples.inputs, low, high, "token id" if text else "patch code")
    _check_between(samples.lengths, 1, config.tokens, "length")
    _check_between(samples.labels, 0, config.classes - 1, "label")


def _check_between(array, low, high, name):
    wrong = array[(array < low) | (array > high)]
    _require(not wrong.size, f"a sample's {name} must be in {low}..{high}, not {wrong[:1].sum()}")


def _digest(structure, tensors):
    digest = hashlib.sha256(json.dumps(structure, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode())
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    return digest.hexdigest()


def _flatten(value, name, tensors):
    """JSON structure of ``value``; arrays go to ``tensors`` under their dotted name."""
    if isinstance(value, Linear):
        packed = pack_words(planes(value.weight, value.weight_format.bits), 8)[..., 0]
        tensors[f"{name}.weight"] = packed
        rest = {f.name: getattr(value, f.name) for f in fields(value) if f.name != "weight"}
        structure = {key: _flatten(item, f"{name}.{key}", tensors) for key, item in rest.items()}
        return structure | {"inputs": int(value.weight.shape[1])}
    if is_dataclass(value):
        return {
            f.name: _flatten(getattr(value, f.name), f"{name}.{f.name}" if name else f.name, tensors)
            for f in fields(value)
        }
    if isinstance(value, Format):
        return [value.kind.name.lower(), value.bits]
    if isinstance(value, np.ndarray):
        tensors[name] = _smallest(value)
        return None
    if isinstance(value, tuple):
        return [_flatten(item, f"{name}.{index}", tensors) for index, item in enumerate(value)]
    return value.value if isinstance(value, Enum) else value


def _smallest(array):
    for dtype in (np.uint8, np.int8, np.int16, np.int32):
        limits = np.iinfo(dtype)
        if not array.size or (array.min() >= limits.min and array.max() <= limits.max):
            return np.ascontiguousarray(array, dtype)
    return np.ascontiguousarray(array, np.int64)


def _build(kind, structure, name, tensors):
    """Inverse of `_flatten`, by the type annotations of the dataclasses."""
    if isinstance(kind, types.UnionType):
        if structure is None:
            return None
        kind = next(option for option in typing.get_args(kind) if option is not types.NoneType)
    if kind is Format:
        return Format(Kind[structure[0].upper()], int(structure[1]))
    if kind is np.ndarray:
        return tensors[name].astype(np.int64)
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        return tuple(_build(item, part, f"{name}.{index}", tensors) for index, part in enumerate(structure))
    if kind is Linear:
        weight_format = _build(Format, structure["weight_format"], "", tensors)
        bits = unpack_words(tensors[f"{name}.weight"][..., None], structure["inputs"])
        if len(bits) != weight_format.bits:
            raise ValueError(f"{name}.weight has {len(bits)} planes, not {weight_format.bits}")
        weight = from_planes(bits, weight_format.kind)
        hints = typing.get_type_hints(kind)
        rest = {
            key: _build(hints[key], structure[key], f"{name}.{key}", tensors)
            for key in ("weight_format", "constants", "output")
        }
        return Linear(weight=weight, **rest)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return kind(
            **{
                f.name: _build(hints[f.name], structure[f.name], f"{name}.{f.name}" if name else f.name, tensors)
                for f in fields(kind)
            }
        )
    return kind(structure) if isinstance(kind, type) and issubclass(kind, Enum) else structure
