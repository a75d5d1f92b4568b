"""Precision of a model: the formats of its tensors, and how the weights of its layers become codes."""

from dataclasses import dataclass
from enum import StrEnum
from typing import final

from golden.codes import Kind
from golden.model import Format

BINARY = Format(Kind.BIPOLAR, 1)
TERNARY = Format(Kind.SIGNED, 2)
ENDS = Format(Kind.SIGNED, 8)
FULL = 32


class Weights(StrEnum):
    """How the weights of the layers are quantized."""

    #: Not at all.
    REAL = "real"
    #: ``m * sign(w - mean w)``, ``m = mean |w|``.
    BINARY = "binary"
    #: -1, 0 or 1 times a scale, by a threshold on |w|.
    TERNARY = "ternary"
    #: The sum of two binary matrices of one common scale: a ternary operand. Comes from splitting a ternary one.
    SPLIT = "split"


@dataclass(frozen=True)
class WeightScheme:
    """How a matrix of weights becomes codes and scales.

    Parameters
    ----------
    method : Weights
    per_channel : bool
        One scale for each output, which costs the hardware nothing: its requantization parameters are per output anyway.
        Otherwise one for the matrix.
    weighted : bool
        Threshold, scales and split count each weight by its importance, `train.run.importance`.
    trained_scale : bool
        The scale of a split matrix is a parameter, and not the mean magnitude of its weights.
    free : bool
        The two halves of a split matrix may have scales in a ratio other than 1, see `train.model.splitting.RATIOS`.
    """

    method: Weights = Weights.BINARY
    per_channel: bool = False
    weighted: bool = False
    trained_scale: bool = False
    free: bool = False


@final  # so that ``precision and precision.codes`` is a format or None
@dataclass(frozen=True)
class Precision:
    """Formats of a model's tensors, and the scheme of its layers' weights.

    ``ends`` is of the patch projection, the pooled codes and the classifier; ``table`` of the word embeddings.
    """

    weight: WeightScheme
    codes: Format
    attention: Format
    probability: Format
    hidden: Format
    ends: Format = ENDS
    table: Format = BINARY


def precision(activation_bits: int, weight: WeightScheme | None = None, table_bits: int = 1) -> Precision | None:
    """Activations of 1..8 bits with weights of a scheme, binary by default; or None (full precision) for 32.

    Parameters
    ----------
    weight : WeightScheme, optional
    table_bits : int
        Bits of the word embeddings: 1 is the binary table, up to 8 are signed codes.
    """
    if activation_bits == FULL:
        return None
    signed = BINARY if activation_bits == 1 else Format(Kind.SIGNED, activation_bits)
    unsigned = Format(Kind.UNSIGNED, activation_bits)
    table = BINARY if table_bits == 1 else Format(Kind.SIGNED, table_bits)
    return Precision(weight or WeightScheme(), signed, signed, unsigned, unsigned, table=table)
