"""Plain values, as JSON and TOML have them, become typed ones; what does not fit is named in one sentence.

A format is a class: a `Part`, or a dataclass. Its annotations say what a value may be, with ranges beside the fields as
`msgspec.Meta`; a key that no field has is refused. So a format grows by a field with a default: what was written before it
still loads. What changes the meaning of a field takes a new version of the format.
"""

import dataclasses
import functools
import json
import math
import re
import reprlib
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from msgspec import inspect

#: Lists and tables in each other: far more than any format has, and few enough for whoever prints them.
MAX_NESTING = 32
_PATH = re.compile(r" - at `\$(.*)`$")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
#: How msgspec begins what it says itself; anything else comes from the class that is built.
_OWN = ("Expected", "Invalid", "Object")

Kind = TypeVar("Kind")


class Part(msgspec.Struct, forbid_unknown_fields=True):
    """A table of a format: exactly these keys."""


def parse(text: str | bytes) -> Any:
    """The plain value of a JSON text. Raises ValueError where it is none."""
    try:
        return json.loads(text, object_pairs_hook=_table)
    except RecursionError:
        raise ValueError(f"lists and tables may be nested {MAX_NESTING} deep, not thousands") from None


def _table(pairs):
    table = dict(pairs)
    if len(table) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"a table must have each key once, not {twice!r} twice")
    return table


def decode(kind: type[Kind], value: Any, name: str, path: str = "") -> Kind:
    """``value`` as a ``kind``.

    Parameters
    ----------
    kind : type
        A `Part`, a dataclass, or what msgspec takes.
    value : plain value
        Of dictionaries, lists, strings, numbers, truths and None.
    name : str
        Of the value as a whole, for the sentence, such as ``the recipe``; what is in it goes by its path.
    path : str
        Of the value, where it is a part of another.

    Raises
    ------
    ValueError
        One sentence with key, rule and value.
    """
    _check_plain(value, path, name, 0)
    for where, known, key in _unknown(kind, value, path):
        raise ValueError(f"{where or name} knows no {key!r}, only {', '.join(known)}")
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ValueError(_sentence(_Place(path, kind, value), name, str(error))) from None


def shown(value: Any) -> str:
    """A value in a sentence: short, on one line."""
    return json.dumps(value) if value is None or isinstance(value, bool) else reprlib.repr(value)


def entry(path: str, key: Any) -> str:
    """The path of what a table has under a key, or a list at an index."""
    step = str(key) if isinstance(key, int) or str(key).isidentifier() else repr(key)
    return f"{path}.{step}" if path else step


def _check_plain(value, path, name, depth):
    """Refuse what no file of ours holds: endless nesting, and texts and numbers that cannot be written again."""
    if isinstance(value, str):
        if _is_broken(value):
            raise ValueError(f"{path or name} must be a text of whole characters, not {value[:20]!r} with half a pair")
    elif isinstance(value, (dict, list, tuple)):
        if depth == MAX_NESTING:
            raise ValueError(f"lists and tables may be nested {MAX_NESTING} deep; {'.'.join(path.split('.')[:2])} is deeper")
        for key, item in _items(value):
            if isinstance(key, str) and _is_broken(key):
                raise ValueError(f"a key of {path or name} must be a text of whole characters, not {key[:20]!r}")
            if not isinstance(item, int):  # of which a vocabulary has many
                _check_plain(item, entry(path, key), name, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{path or name} must be a finite number, not {value}")


def _is_broken(text):
    """Whether there is half a surrogate pair, which JSON can write and nothing can print."""
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


def _items(value):
    """What is in a plain value, by key or index."""
    return value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else ()


def _unknown(kind: Any, value: Any, path: str) -> Iterator[tuple[str, list[str], str]]:
    """Keys that a dataclass in ``kind`` has no field for, which msgspec overlooks: path, fields, key."""
    kind = _arm(kind)
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        fields = [field.name for field in dataclasses.fields(kind)]
        yield from ((path, fields, key) for key in value if key not in fields)
    for key, item in _items(value):
        if isinstance(item, (dict, list, tuple)) and (inner := _inner(kind, key)) is not None:
            yield from _unknown(inner, item, entry(path, key))


class _Place(NamedTuple):
    """What does not fit: its path, the type it must have, and the value."""

    path: str
    kind: Any
    value: Any


def _sentence(root, name, message):
    """One sentence for what msgspec says: it names the place by type only, and of a range only the end that is passed."""
    found = _PATH.search(message)
    place = _follow(root, found[1] if found else "")
    where = place.path or name
    if not message.startswith(_OWN):
        return f"{where} is not possible: {message[: found.start()] if found else message}"
    if message.startswith("Object"):
        fields = {field.encode_name: field for field in _fields(place.kind)}
        if message.startswith("Object contains"):
            unknown = next(key for key in place.value if key not in fields)
            return f"{where} knows no {unknown!r}, only {', '.join(fields)}"
        missing = next(key for key, field in fields.items() if field.required and key not in place.value)
        return f"{where} lacks {missing!r}"
    return f"{where} must be {_rule(inspect.type_info(place.kind))}, not {shown(place.value)}"


def _fields(kind):
    info = inspect.type_info(_arm(kind))
    return info.fields if isinstance(info, (inspect.StructType, inspect.DataclassType)) else ()


def _follow(place, steps):
    """The place that steps such as ``.layers[2].shift`` lead to."""
    for step in _STEP.finditer(steps):
        kind, value = _arm(place.kind), place.value
        key: str | int
        if step[1]:
            key = step[1]
        elif step[2] != "...":
            key = int(step[2])
        else:
            key = next(key for key, item in value.items() if not _fits(_inner(kind, key), item))
        place = _Place(entry(place.path, key), _inner(kind, key), value[key])
    return place


def _fits(kind, value):
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _arm(kind):
    """A type without its annotations, and without None where it may be that."""
    while True:
        if typing.get_origin(kind) is Annotated:
            kind = typing.get_args(kind)[0]
        elif typing.get_origin(kind) in (typing.Union, types.UnionType):
            kind = next(arm for arm in typing.get_args(kind) if arm is not types.NoneType)
        else:
            return kind


def _inner(kind, key):
    """The type of what a value of type ``kind`` has under ``key``; None where nothing is said."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, type) and issubclass(kind, tuple) and isinstance(key, int):  # a NamedTuple
        return dict(enumerate(_hints(kind).values())).get(key)
    if origin is list:
        return arguments[0]
    if origin is tuple:
        fixed = {index: item for index, item in enumerate(arguments) if item is not Ellipsis}
        return arguments[0] if arguments[-1] is Ellipsis and isinstance(key, int) else fixed.get(key)
    if origin is dict:
        return arguments[1]
    if dataclasses.is_dataclass(kind) or (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return _hints(typing.cast(type, kind)).get(key)
    return None


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


def _rule(info):
    """What a value must be, in words."""
    match info:
        case inspect.IntType():
            return "a whole number" + _range(info)
        case inspect.FloatType():
            return "a number" + _range(info)
        case inspect.StrType():
            return "a text" + (f" like {info.pattern}" if info.pattern else _length(info))
        case inspect.BoolType():
            return "true or false"
        case inspect.NoneType():
            return "null"
        case inspect.EnumType():
            return "one of " + ", ".join(str(member.value) for member in info.cls)
        case inspect.TupleType():
            return f"a list of {len(info.item_types)}"
        case inspect.ListType() | inspect.VarTupleType():
            return "a list" + _length(info)
        case inspect.UnionType():
            return " or ".join(_rule(part) for part in info.types)
        case _:
            return "a table of keys and values"


def _range(info):
    if info.ge is not None and info.le is not None:
        return f" in {info.ge}..{info.le}"
    return "" if info.ge is None else f" of at least {info.ge}"


def _length(info):
    return f" of at least {info.min_length}" if info.min_length else ""
