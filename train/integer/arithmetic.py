"""Exact integers in PyTorch, for batches and on any device: what golden computes sample by sample.

Integers are held in floating point where it is exact: products of codes in float32 if they stay under 2^24, what is
rescaled in float64. What is one number for a row comes from golden itself.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from golden.codes import Kind
from golden.codes import values as code_values
from golden.model import Format, Linear, Requantization

FLOAT32_EXACT = 1 << 24


def values(codes: torch.Tensor, code_format: Format) -> torch.Tensor:
    """What codes stand for, of the same shape and type."""
    return 2 * codes - 1 if code_format.kind is Kind.BIPOLAR else codes


def _bound(code_format):
    low, high = code_format.range
    return 1 if code_format.kind is Kind.BIPOLAR else max(-low, high)


def matmul(a: torch.Tensor, b: torch.Tensor, a_format: Format, b_format: Format) -> torch.Tensor:
    """``a @ b`` of code values, exact."""
    exact = a.shape[-1] * _bound(a_format) * _bound(b_format) < FLOAT32_EXACT
    dtype = torch.float32 if exact else torch.float64
    return a.to(dtype) @ b.to(dtype)


def shifted(x: torch.Tensor, half: torch.Tensor, shift: torch.Tensor | float) -> torch.Tensor:
    """``(x + half) >> n``: ``x`` float64, which is overwritten; ``half`` of 2^n and ``shift``, 2^-n, broadcast to it."""
    return x.add_(half).mul_(shift).floor_()


class Arithmetic:
    """Constants of golden on a device, kept there, and what is computed with them.

    Parameters
    ----------
    device : torch.device
    """

    def __init__(self, device: torch.device):
        self.device = device
        self._kept = {}

    def tensor(self, array: NDArray[np.integer]) -> torch.Tensor:
        """A constant, float64."""
        key = id(array)
        if key not in self._kept:
            # The array too, so that its id stays its own.
            self._kept[key] = array, torch.from_numpy(np.asarray(array)).to(self.device, torch.float64)
        return self._kept[key][1]

    def weight(self, linear: Linear) -> torch.Tensor:
        """Values of the weights (inputs, outputs), as float32: they are small."""
        key = id(linear)
        if key not in self._kept:
            array = code_values(linear.weight, linear.weight_format.kind).astype(np.float32)
            self._kept[key] = linear, torch.from_numpy(array).to(self.device).T
        return self._kept[key][1]

    def rescale(
        self,
        t: torch.Tensor,
        constants: Requantization,
        bounds: tuple[int, int],
        channels: tuple[slice | torch.Tensor | None, ...] = (),
    ) -> torch.Tensor:
        """`golden.rescale`; ``channels`` indexes the constants, to what broadcasts to ``t``; nothing is one per column."""
        scale, offset = (self.tensor(part)[channels] for part in (constants.scale, constants.offset))
        t = t.double() * scale
        return shifted(t, offset + ((1 << constants.shift) >> 1), 2.0**-constants.shift).clamp_(*bounds)

    def row(self, numbers: NDArray[np.integer] | NDArray[np.floating]) -> torch.Tensor:
        """Numbers of rows, an integer array, float64."""
        return torch.from_numpy(np.asarray(numbers)).to(self.device, torch.float64)

    def shift(self, amounts: NDArray[np.integer]) -> tuple[torch.Tensor, torch.Tensor]:
        """``half`` and ``shift`` for `shifted`, from shifts that are numbers of rows."""
        return self.row((1 << amounts) >> 1), self.row(2.0 ** -amounts.astype(np.float64))
