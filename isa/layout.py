"""Bytes of the memory images: operands, constants, norms and residuals as LOAD writes them to the chip."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from golden.codes import pack_words, planes

Scalar = TypeVar("Scalar", bound=np.generic)

CONSTANT_BYTES = 8
NORM_BYTES = 8


def ceil_div(value: int, divisor: int) -> int:
    return -(-value // divisor)


def round_up(value: int, multiple: int) -> int:
    return ceil_div(value, multiple) * multiple


def pad_to(array: NDArray[Scalar], *shape: int) -> NDArray[Scalar]:
    """``array`` with zeros after it along every axis, up to ``shape``."""
    return np.pad(array, [(0, size - have) for size, have in zip(shape, array.shape, strict=True)])


def spread(
    matrix: NDArray[np.integer],
    row_positions: NDArray[np.integer],
    column_positions: NDArray[np.integer],
    shape: tuple[int, int],
) -> NDArray[np.int64]:
    """``matrix`` with its rows and columns moved to the given positions of a zero matrix of ``shape``."""
    wide = np.zeros(shape, np.int64)
    wide[np.ix_(row_positions, column_positions)] = matrix
    return wide


def pack_operand(codes: NDArray[np.integer], bits: int, banks: int, word_bits: int) -> bytes:
    """An operand as its memory holds it, planes outermost, then tiles, then words.

    Parameters
    ----------
    codes : int array, (rows, depth)
    banks : int
        R for the left memory, C for the right one. Missing rows of the last tile are 0.
    word_bits : int
        K.

    Returns
    -------
    bytes
        ``bits * ceil(rows / banks) * ceil(depth / K)`` memory words of ``banks * K`` bits.
    """
    codes = np.asarray(codes, np.int64)
    codes = pad_to(codes, round_up(codes.shape[0], banks), codes.shape[1])
    words = pack_words(planes(codes, bits), word_bits)
    tiles = words.reshape(bits, -1, banks, *words.shape[2:])
    return np.ascontiguousarray(tiles.swapaxes(2, 3)).tobytes()


def pack_constants(scale: NDArray[np.integer], offset: NDArray[np.integer]) -> bytes:
    """Requantization parameters, ``(channels,)`` each: scale in bits 15:0, offset in 55:16 of 8 bytes per channel."""
    scale, offset = np.asarray(scale, np.int64), np.asarray(offset, np.int64)
    return (scale & 0xFFFF | (offset & (1 << 40) - 1) << 16).astype("<u8").tobytes()


def pack_norm(
    residual_scale: NDArray[np.integer],
    residual_offset: NDArray[np.integer],
    code_scale: NDArray[np.integer],
    code_offset: NDArray[np.integer],
) -> bytes:
    """Norm constants, ``(channels,)`` each: four signed 16-bit numbers per channel."""
    return np.stack([residual_scale, residual_offset, code_scale, code_offset], axis=1).astype("<i2").tobytes()


def pack_residual(residual: NDArray[np.integer], columns: int) -> bytes:
    """A residual ``(rows, width)`` with its rows padded to ``columns`` elements."""
    return pad_to(np.asarray(residual, np.int64), len(residual), columns).astype("<i2").tobytes()
