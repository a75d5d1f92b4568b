"""The state that instructions change, as the reference models it, and the few ways in which they do."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.codes import Kind, from_planes, planes, unpack_words
from isa.config import AcceleratorConfig
from isa.errors import Error
from isa.instruction import Memory, Region
from isa.layout import ceil_div


class Fault(Exception):
    """What the hardware reports as an error, with its code."""

    def __init__(self, code: Error, message: str):
        super().__init__(message)
        self.code = code


class Machine:
    """Memories, row buffer and regions of an accelerator.

    Parameters
    ----------
    config : isa.config.AcceleratorConfig
    regions : mapping of Region to bytes or memoryview
        What can be read: IMAGE and INPUT.
    output_bytes : int
        Size of region OUTPUT.
    lengths : sequence of int
        Of each sample; 0 for those behind the last.

    Attributes
    ----------
    memories : LEFT (words, R, K/8) and RIGHT (words, C, K/8) uint8, CONSTANT (words, C) uint64, NORM (words, L, 4) int16,
        RESIDUAL (words, L) int16 and, under None, the bytes of region OUTPUT
    row_buffer : row tiles on their way to the row units, (R, columns) int64 each
    saturated : residual elements that saturated so far
    """

    def __init__(
        self,
        config: AcceleratorConfig,
        regions: Mapping[Region, bytes | memoryview],
        output_bytes: int,
        lengths: Sequence[int],
    ):
        c = self.config = config
        self.regions, self.lengths = regions, tuple(lengths)
        self.memories: dict[Memory | None, Any] = {
            Memory.LEFT: np.zeros((c.left_depth, c.rows, c.depth // 8), np.uint8),
            Memory.RIGHT: np.zeros((c.right_depth, c.columns, c.depth // 8), np.uint8),
            Memory.CONSTANT: np.zeros((c.constant_depth, c.columns), np.uint64),
            Memory.NORM: np.zeros((c.norm_depth, c.row_lanes, 4), np.int16),
            Memory.RESIDUAL: np.zeros((c.residual_depth, c.row_lanes), np.int16),
            None: bytearray(output_bytes),
        }
        self.row_buffer: list[NDArray[np.int64]] = []
        self.saturated = 0

    def fetch(self, region: int, offset: int, size: int) -> NDArray[np.uint8]:
        """``size`` bytes of external memory, (size,)."""
        data = self.regions[Region(region)]
        if offset + size > len(data):
            raise Fault(Error.AXI_READ, f"byte {offset + size - 1} is outside region {Region(region).name}")
        return np.frombuffer(data, np.uint8, size, offset)

    def store(self, offset: int, data: bytes) -> None:
        """Write to region OUTPUT."""
        output = self.memories[None]
        if offset + len(data) > len(output):
            raise Fault(Error.AXI_WRITE, f"byte {offset + len(data) - 1} is outside region OUTPUT")
        output[offset : offset + len(data)] = data

    def rescale_constants(self, base: int, words: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Scales and offsets, (words * C,) each, as `golden.rescale.rescale_folded` takes them."""
        entries = self.memories[Memory.CONSTANT][base + np.arange(words)].ravel()
        scale = entries.astype(np.uint16).view(np.int16).astype(np.int64)
        return scale, (entries << np.uint64(8)).view(np.int64) >> 24

    def read_codes(self, memory: Memory, address: NDArray[np.int64], kind: Kind) -> NDArray[np.int64]:
        """Codes (tiles * banks, words * K) from an operand memory, whose words are at ``address`` (bits, tiles, words)."""
        words = self.memories[memory][address].swapaxes(2, 3)
        width = address.shape[2] * self.config.depth
        return from_planes(unpack_words(words, width).reshape(address.shape[0], -1, width), kind)

    def write_codes(
        self,
        memory: Memory,
        codes: NDArray[np.int64],
        bits: int,
        base: int,
        plane: int,
        tile: int,
        column: int = 0,
        first_row: int = 0,
    ) -> None:
        """Write codes (rows, columns) to an operand memory, from ``column`` and row ``first_row`` on.

        A write of a word's first bits clears the others; otherwise they stay.
        """
        stored_in = self.memories[memory]
        k, banks = self.config.depth, stored_in.shape[1]
        rows = first_row + np.arange(len(codes))
        first, end = column // k, ceil_div(column + codes.shape[1], k)
        address = base + np.arange(bits)[:, None, None] * plane + (rows // banks)[:, None] * tile + np.arange(first, end)
        bank = (rows % banks)[:, None]
        stored = unpack_words(stored_in[address, bank], (end - first) * k)
        start = column - first * k
        stored[..., -(-start // k) * k :] = 0
        stored[..., start : start + codes.shape[1]] = planes(codes, bits)
        packed = np.packbits(stored, axis=-1, bitorder="little")
        stored_in[address, bank] = packed.reshape(*address.shape, k // 8)

    def take_rows(self, rows: int, width: int) -> NDArray[np.int64]:
        """Rows (rows, width) from the row buffer, which loses all of the row tiles that they are in."""
        tiles = ceil_div(rows, self.config.rows)
        if len(self.row_buffer) < tiles:
            raise Fault(Error.WATCHDOG, f"the row buffer has {len(self.row_buffer)} row tiles, not {tiles}")
        taken, self.row_buffer = self.row_buffer[:tiles], self.row_buffer[tiles:]
        values = np.concatenate(taken)[:rows]
        return np.pad(values, [(0, 0), (0, max(0, width - values.shape[1]))])[:, :width]
