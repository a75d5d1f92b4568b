"""An encoder between its two forms: dataclasses with arrays in memory, JSON and tensors in a file."""

import types
import typing
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import numpy as np

from formats.decode import entry
from formats.structure import KindName
from golden.codes import Kind, check_kind, from_planes, pack_words, planes, unpack_words
from golden.model import Format, Linear

_KINDS = {KindName(kind.name.lower()): kind for kind in Kind}


def flatten(value: Any, name: str, tensors: dict[str, np.ndarray]) -> Any:
    """Plain value of a dataclass of `golden.model`; its arrays go to ``tensors`` under their path."""
    if isinstance(value, Linear):
        tensors[entry(name, "weight")] = pack_words(planes(value.weight, value.weight_format.bits), 8)[..., 0]
        rest = {f.name: getattr(value, f.name) for f in fields(value) if f.name != "weight"}
        structure = {key: flatten(item, entry(name, key), tensors) for key, item in rest.items()}
        return structure | {"inputs": int(value.weight.shape[1])}
    if is_dataclass(value):
        return {f.name: flatten(getattr(value, f.name), entry(name, f.name), tensors) for f in fields(value)}
    if isinstance(value, Format):
        return [value.kind.name.lower(), value.bits]
    if isinstance(value, np.ndarray):
        tensors[name] = _smallest(value)
        return None
    if isinstance(value, tuple):
        return [flatten(item, entry(name, index), tensors) for index, item in enumerate(value)]
    return value.value if isinstance(value, Enum) else value


def _smallest(array):
    for dtype in (np.uint8, np.int8, np.int16, np.int32):
        limits = np.iinfo(dtype)
        if not array.size or (array.min() >= limits.min and array.max() <= limits.max):
            return np.ascontiguousarray(array, dtype)
    return np.ascontiguousarray(array, np.int64)


class Tensors:
    """The tensors of a file, each to be taken by its path."""

    def __init__(self, tensors: dict[str, np.ndarray]):
        self._left = dict(tensors)

    def take(self, name: str) -> np.ndarray:
        if name not in self._left:
            raise ValueError(f"it lacks the tensor {name}")
        return self._left.pop(name)

    def check_all_taken(self) -> None:
        """Raise ValueError, naming it, for a tensor that nothing has asked for."""
        if self._left:
            raise ValueError(f"it knows no tensor {min(self._left)!r}")


def build(kind: Any, part: Any, name: str, tensors: Tensors) -> Any:
    """Inverse of `flatten`.

    Parameters
    ----------
    kind : type
        A dataclass of `golden.model`, or of one of its fields; its annotations say what is made.
    part : Part or plain value
        The same of `formats.structure`.
    name : str
        Path of the part.
    tensors : Tensors

    Raises
    ------
    ValueError
        One sentence that names the path.
    """
    if isinstance(kind, types.UnionType):
        if part is None:
            return None
        kind = next(option for option in typing.get_args(kind) if option is not types.NoneType)
    if kind is Format:
        return _format(part, name)
    if kind is np.ndarray:
        return tensors.take(name).astype(np.int64)
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        return tuple(build(item, inner, entry(name, index), tensors) for index, inner in enumerate(part))
    if not is_dataclass(kind):
        return part
    hints = typing.get_type_hints(kind)
    made = {"weight": _weight(part, name, tensors)} if kind is Linear else {}
    for field in fields(kind):
        if field.name not in made:
            made[field.name] = build(hints[field.name], getattr(part, field.name), entry(name, field.name), tensors)
    return kind(**made)  # type: ignore[operator]


def _format(part, name):
    kind, bits = _KINDS[part[0]], part[1]
    try:
        check_kind(kind, bits)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return Format(kind, bits)


def _weight(part, name, tensors):
    """(outputs, inputs) int64 codes of the packed planes."""
    name = entry(name, "weight")
    packed, bits, size = tensors.take(name), part.weight_format[1], -(-part.inputs // 8)
    if packed.dtype != np.uint8:
        raise ValueError(f"{name} must be of type U8, packed bits, not {packed.dtype}")
    if packed.ndim != 3 or packed.shape[0] != bits or packed.shape[2] != size:
        shape = f"({bits}, outputs, {size})"
        raise ValueError(f"{name} must have shape {shape} for its weight_format and inputs, not {packed.shape}")
    return from_planes(unpack_words(packed[..., None], part.inputs), _KINDS[part.weight_format[0]])
