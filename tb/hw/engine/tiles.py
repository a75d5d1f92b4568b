"""Tiles as the sequencer sends them to the array: operand words and control, step by step, and random operands."""

import numpy as np
from amaranth.lib import data

from golden.codes import Kind, code_range, planes
from golden.qmm import plane_pairs
from tb.lib.payload import pack

CONTROL = ("first", "twice", "subtract", "last")


def random_format(rng):
    """Kind and width of an operand, mostly narrow."""
    kind = Kind(rng.integers(0, 3))
    return kind, 1 if kind is Kind.BIPOLAR else int(rng.integers(1, 9 if rng.random() < 0.2 else 4))


def random_codes(rng, shape, kind, bits):
    """Codes of any value, now and then all the lowest or all the highest."""
    low, high = code_range(kind, bits)
    if rng.random() < 0.2:
        return np.full(shape, rng.choice([low, high]))
    return rng.integers(low, high + 1, shape)


def tile_steps(left, right, left_format, right_format, word_bits):
    """One tile of the product of ``left`` (rows, depth) and ``right`` (columns, depth).

    Returns
    -------
    dict of arrays, an item a step
        ``left`` (steps, rows, word_bits) and ``right`` (steps, columns, word_bits) of 0 and 1, and those of `CONTROL`.
    """
    left_words = _words(planes(left, left_format[1]), word_bits)
    right_words = _words(planes(right, right_format[1]), word_bits)
    words = left_words.shape[1]
    steps = []
    for p, q, double, subtract in plane_pairs(*left_format, *right_format):
        for word in range(words):
            steps.append((left_words[p, word], right_words[q, word], not steps, double and word == 0, subtract, False))
    steps[-1] = (*steps[-1][:-1], True)
    return {name: np.array(values) for name, values in zip(("left", "right", *CONTROL), zip(*steps))}


def _words(bit_planes, word_bits):
    """``(planes, words, rows, word_bits)`` of ``(planes, rows, depth)``, padded with 0."""
    count, rows, depth = bit_planes.shape
    words = -(-depth // word_bits)
    padded = np.zeros((count, rows, words * word_bits), np.uint8)
    padded[:, :, :depth] = bit_planes
    return padded.reshape(count, rows, words, word_bits).swapaxes(1, 2)


def timed_steps(tiles, stall, rng, apart=1):
    """Steps of all ``tiles`` as values of the array's ports, with pauses, the ends of tiles at least ``apart`` cycles apart.

    In a pause everything but ``enable`` is random; the last cycle is a pause.

    Returns
    -------
    ports : dict of lists of integers;  ends : list of cycles with the last step of each tile
    """
    steps = {name: np.concatenate([tile[name] for tile in tiles]) for name in tiles[0]}
    pauses = rng.geometric(1 - stall, len(steps["last"])) - 1
    cycles, ends, now = [], [], -1
    for pause, last in zip(pauses, steps["last"]):
        now += 1 + int(pause)
        if last:
            now = max(now, ends[-1] + apart) if ends else now
            ends.append(now)
        cycles.append(now)
    length = now + 2
    ports = {}
    for name, values in steps.items():
        spread = rng.integers(0, 2, (length, *values.shape[1:]))
        spread[cycles] = values
        flat = spread.reshape(length, -1)
        ports[name] = pack(data.ArrayLayout(1, flat.shape[1]), flat)
    ports["enable"] = np.isin(np.arange(length), cycles).tolist()
    return ports, ends
