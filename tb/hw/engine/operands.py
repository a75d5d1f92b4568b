"""Operand matrices as words of the operand memories, and what is needed to send them there."""

import numpy as np

from golden.codes import pack_words, planes


def operand_words(codes, bits, banks, depth):
    """Words of a matrix as the operand memory holds it.

    ``codes`` (rows, depth of contraction); returns uint8 (planes, row tiles, words, banks, depth / 8).
    """
    rows = -(-codes.shape[0] // banks) * banks
    padded = np.zeros((rows, codes.shape[1]), np.int64)
    padded[: len(codes)] = codes
    words = pack_words(planes(padded, bits), depth)
    return words.reshape(bits, rows // banks, banks, *words.shape[2:]).swapaxes(2, 3)


def load_batch(words, first_address, axi_bits):
    """Batch of LOAD transfers that write ``words`` (any shape ending in banks and bytes) from ``first_address`` on."""
    words = np.ascontiguousarray(words).reshape(-1, words.shape[-2] * words.shape[-1])
    chunks = words.reshape(len(words), -1, axi_bits // 8)
    count = chunks.shape[1]
    flat = chunks.reshape(-1, axi_bits // 8)
    return {
        "address": np.repeat(np.arange(len(words)) + first_address, count),
        "chunk": np.tile(np.arange(count), len(words)),
        "data": np.array([int.from_bytes(row.tobytes(), "little") for row in flat], object),
    }


def constant_words(scale, offset, columns, multiple=1):
    """Rescale constants as words of C entries of 64 bits, zero up to a multiple of entries: uint8 (words, C, 8)."""
    step = max(columns, multiple)
    count = -(-len(scale) // step) * step
    entries = np.zeros(count, object)
    for index, (m, o) in enumerate(zip(scale, offset, strict=True)):
        entries[index] = (int(m) & 0xFFFF) | (int(o) & ((1 << 40) - 1)) << 16
    raw = b"".join(int(entry).to_bytes(8, "little") for entry in entries)
    return np.frombuffer(raw, np.uint8).reshape(-1, columns, 8)
