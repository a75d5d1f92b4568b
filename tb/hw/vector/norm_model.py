"""Residual stream and norm constants as the accelerator holds them, and what a NORM makes of them."""

import numpy as np

from golden import layernorm, residual
from hw.vector.layernorm import NORM_CONSTANTS
from tb.lib.payload import pack


class NormModel:
    """``residual`` (words, lanes) and ``constants``, by name (words, lanes); int64."""

    def __init__(self, residual_depth, norm_depth, lanes):
        self.lanes = lanes
        self.residual = np.zeros((residual_depth, lanes), np.int64)
        self.constants = {name: np.zeros((norm_depth, lanes), np.int64) for name, _ in NORM_CONSTANTS}

    def fill(self, rng, magnitude=2**15):
        """Random content; the residual stream within ``magnitude``."""
        self.residual[:] = rng.integers(-magnitude, magnitude, self.residual.shape)
        for array in self.constants.values():
            array[:] = rng.integers(-(2**15), 2**15, array.shape)

    def loads(self, axi_bits):
        """Batches of `load_chunk` that load it all: residual stream, norm constants."""
        words = pack(NORM_CONSTANTS, {name: array.reshape(-1) for name, array in self.constants.items()})
        constants = np.array(words, np.uint64).reshape(-1, self.lanes)
        return [_chunks(words, axi_bits // 8) for words in (self.residual.astype(np.int16), constants)]

    def random_command(self, rng, rows, groups, **fields):
        """Fields of a NORM that fits, random where not given."""
        words, constant_words = len(self.residual), len(self.constants["code_scale"])
        low, high = sorted(rng.integers(-256, 256, 2).tolist())
        command = {
            "rows": rows,
            "columns": int(rng.integers(2, groups * self.lanes + 1)),
            "rms": int(rng.integers(2)),
            "keep_sum": int(rng.integers(2)),
            "epsilon": int(rng.integers(1, 2**32)),
            "residual_shift": int(rng.integers(5, 20)),
            "code_shift": int(rng.integers(8, 26)),
            "low": low,
            "high": high,
            "residual_base": int(rng.integers(0, words - rows * groups + 1)),
            "constant_base": int(rng.integers(0, constant_words - groups + 1)),
            **fields,
        }
        return command | {"width_reciprocal": layernorm.width_reciprocal(command["columns"])}

    def run(self, updates, command):
        """Codes (rows, columns) of a NORM and how many elements saturate; ``residual`` becomes what it leaves."""
        rows, groups, d = command["rows"], updates.shape[1] // self.lanes, command["columns"]
        words = slice(command["residual_base"], command["residual_base"] + rows * groups)
        used = slice(command["constant_base"], command["constant_base"] + groups)
        constant = {name: array[used].reshape(-1)[:d] for name, array in self.constants.items()}
        before = self.residual[words].reshape(rows, -1)[:, :d]
        total, saturated = residual.add_residual(before, updates[:, :d])
        normal = layernorm.normalise(total, command["epsilon"], bool(command["rms"]))
        codes = layernorm.affine(
            normal, constant["code_scale"], constant["code_offset"], command["code_shift"], command["low"], command["high"]
        )
        if not command["keep_sum"]:
            total, clipped = layernorm.affine_to_residual(
                normal, constant["residual_scale"], constant["residual_offset"], command["residual_shift"]
            )
            saturated += clipped
        padding = ((0, 0), (0, updates.shape[1] - d))
        self.residual[words] = np.pad(total, padding).reshape(-1, self.lanes)
        return np.pad(codes, padding), saturated


def _chunks(words, chunk_bytes):
    beats = np.ascontiguousarray(words).view(np.uint8).reshape(len(words), -1, chunk_bytes)
    count, chunks, _ = beats.shape
    return {
        "address": np.repeat(np.arange(count), chunks),
        "chunk": np.tile(np.arange(chunks), count),
        "data": np.array([int.from_bytes(beat.tobytes(), "little") for beat in beats.reshape(count * chunks, -1)], object),
    }
