"""Constants of the integer model from real numbers, folded unit by unit."""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from golden import residual
from golden.codes import Kind
from golden.layernorm import NORMAL_FRACTION, quantize_affine
from golden.model import Format, Requantization
from golden.rescale import quantize_constants

#: The farthest threshold of a normalised value: an offset of 16 bits, 16 standard deviations.
FIRST_MAX = (1 << 15) - 2
#: The farthest threshold of an accumulator; no accumulator gets there.
ACCUMULATOR_MAX = 1 << 23


class Quantizes(Protocol):
    """What is read of a `train.model.quantizers.Quantizer` that has a format; ``bias`` is (channels,), or None."""

    @property
    def codes(self) -> Format: ...
    @property
    def step(self) -> float: ...
    @property
    def bias(self) -> torch.Tensor | None: ...


def real(tensor: torch.Tensor) -> NDArray[np.float64]:
    """A parameter as float64 array."""
    return tensor.detach().cpu().double().numpy()


def to_residual(scale: NDArray[np.floating], offset: NDArray[np.floating], fraction: int) -> Requantization:
    """Constants for ``t * scale + offset`` in units of 2^-fraction; both (channels,)."""
    unit = 2.0**fraction
    return Requantization(*quantize_constants(scale * unit, offset * unit))


def position_to_residual(position: NDArray[np.floating], fraction: int) -> NDArray[np.int64]:
    """Positions (tokens, width) in units of 2^-fraction, int64, clipped to 16 bit."""
    return np.clip(np.floor(position * 2.0**fraction + 0.5), residual.LOW, residual.HIGH).astype(np.int64)


def to_codes(scale: NDArray[np.floating] | float, offset: NDArray[np.floating], quantizer: Quantizes) -> Requantization:
    """Constants for ``codes(quantizer(t * scale + offset))``; scale > 0 is one number or (channels,), offset (channels,)."""
    if quantizer.bias is not None:
        offset = offset + real(quantizer.bias)
    if quantizer.codes.kind is Kind.BIPOLAR:
        return reaches(np.ceil(-offset / scale))
    scale = np.broadcast_to(scale / quantizer.step, np.shape(offset))
    return Requantization(*quantize_constants(scale, offset / quantizer.step))


def reaches(first: NDArray[np.floating]) -> Requantization:
    """Constants of a 1-bit code of the integer t: 1 from ``first`` on, exactly; ``first`` integral float (channels,)."""
    first = np.clip(first, -ACCUMULATOR_MAX, ACCUMULATOR_MAX)
    return Requantization(*quantize_constants(np.ones_like(first), 1 - first))


def to_mean(scale: float, tokens: int) -> Requantization:
    """Constants of the mean over 1..tokens codes, one channel for each length; that of 0 is not used."""
    return Requantization(*quantize_constants(scale / np.maximum(np.arange(tokens + 1), 1), 0.0))


def norm_to_residual(scale: NDArray[np.floating], offset: NDArray[np.floating], fraction: int) -> Requantization:
    """Constants for ``normal * scale + offset`` in units of 2^-fraction; both (channels,)."""
    unit = 2.0**fraction
    return Requantization(*quantize_affine(scale * unit, offset * unit))


def norm_to_codes(scale: NDArray[np.floating], offset: NDArray[np.floating], quantizer: Quantizes) -> Requantization:
    """Constants for ``codes(quantizer(normal * scale + offset))``; both (channels,)."""
    shifted = offset + real(quantizer.bias)
    if quantizer.codes.kind is Kind.BIPOLAR:
        return norm_thresholds(scale, shifted)
    return Requantization(*quantize_affine(scale / quantizer.step, shifted / quantizer.step))


def norm_thresholds(scale: NDArray[np.floating], offset: NDArray[np.floating]) -> Requantization:
    """Constants of a 1-bit code: 1 where ``normal * scale + offset >= 0``, exactly for every integer ``normal``."""
    rising = scale >= 0
    slope = np.where(scale == 0, 1e-30, np.abs(scale))
    # The first normal that gives a 1 (its negative where the scale falls), in units of 2^-11.
    first = np.clip(np.ceil(-offset / slope * (1 << NORMAL_FRACTION)), -FIRST_MAX, FIRST_MAX).astype(np.int64)
    # normal and offset both count 2^11; the rounding half at the next higher shift makes a 1 of a sum of 1.
    return Requantization(np.where(rising, 1, -1) << NORMAL_FRACTION, 1 - first, NORMAL_FRACTION + 1)


def integer_epsilon(epsilon: float, width: int, fraction: int) -> int:
    """What the integer norm adds to ``width^2 * variance``: ``epsilon`` in squared units of the stream, 1 .. 2^32 - 1."""
    return min(max(1, round(epsilon * width**2 * 4**fraction)), (1 << 32) - 1)
