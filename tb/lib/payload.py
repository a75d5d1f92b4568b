"""Numpy arrays to and from the bits of stream payloads, whole batches at a time.

A batch of n payloads looks like its shape: an array ``(n,)`` for a number, ``(n, length, ...)`` for an ``ArrayLayout``, a
dictionary of batches for a ``StructLayout``. Numbers wider than 63 bits are arrays of Python integers (dtype object).
"""

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib import data


def pack(shape, batch):
    """Payload words of ``batch``: list of n Python integers."""
    length = _length(batch)
    bits = np.zeros((length, Shape.cast(shape).width), np.uint8)
    _write(bits, shape, batch, "payload")
    return [int.from_bytes(row.tobytes(), "little") for row in np.packbits(bits, axis=1, bitorder="little")]


def unpack(shape, words):
    """Batch whose payload words are ``words``, non-negative integers. The inverse of `pack`."""
    width = Shape.cast(shape).width
    return _read(_bits_of_words(words, width), shape)


def _length(batch):
    if isinstance(batch, dict):
        return _length(next(iter(batch.values())))
    return len(batch)


def _fields(shape):
    """The fields of a layout as (key, shape, slice of bits), or None for a plain number."""
    if isinstance(shape, (Shape, int, range)):
        return None
    try:
        layout = data.Layout.cast(shape)
    except TypeError:
        return None
    return [(key, field.shape, slice(field.offset, field.offset + field.width)) for key, field in layout]


def _write(bits, shape, batch, name):
    fields = _fields(shape)
    if fields is None:
        bits[:] = _bits_of_numbers(np.asarray(batch), Shape.cast(shape), name)
        return
    keys = set(batch) if isinstance(batch, dict) else set(range(np.shape(batch)[1]))
    if keys != {key for key, _, _ in fields}:
        raise ValueError(f"{name} has fields {[key for key, _, _ in fields]}, not {sorted(keys)}")
    for key, inner, place in fields:
        part = batch[key] if isinstance(batch, dict) else np.asarray(batch)[:, key]
        if _length(part) != len(bits):
            raise ValueError(f"{name}.{key} has {_length(part)} items where other fields have {len(bits)}")
        _write(bits[:, place], inner, part, f"{name}.{key}")


def _read(bits, shape):
    fields = _fields(shape)
    if fields is None:
        return _numbers_of_bits(bits, Shape.cast(shape))
    parts = {key: _read(bits[:, place], inner) for key, inner, place in fields}
    return np.stack(list(parts.values()), axis=1) if all(isinstance(key, int) for key in parts) else parts


def _bits_of_numbers(numbers, shape, name):
    low, high = (-(1 << shape.width - 1), (1 << shape.width - 1) - 1) if shape.signed else (0, (1 << shape.width) - 1)
    if numbers.size and not (low <= numbers.min() and numbers.max() <= high):
        raise ValueError(f"{name} must be in {low}..{high}, not {numbers.min()}..{numbers.max()}")
    if shape.width > 63:
        mask = (1 << shape.width) - 1
        return _bits_of_words([int(number) & mask for number in numbers], shape.width)
    return numbers.astype(np.int64)[:, None] >> np.arange(shape.width) & 1


def _numbers_of_bits(bits, shape):
    if shape.width > 63:
        words = [int.from_bytes(row.tobytes(), "little") for row in np.packbits(bits, axis=1, bitorder="little")]
        return np.array([word - (word >> shape.width - 1 << shape.width if shape.signed else 0) for word in words], object)
    weights = 1 << np.arange(shape.width)
    if shape.signed:
        weights[-1:] *= -1
    return bits.astype(np.int64) @ weights


def _bits_of_words(words, width):
    count = -(-width // 8)
    raw = np.frombuffer(b"".join(int(word).to_bytes(count, "little") for word in words), np.uint8)
    return np.unpackbits(raw.reshape(-1, count), axis=1, bitorder="little", count=width)
