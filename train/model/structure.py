"""What an encoder in PyTorch has beside its shape: what the integer model does not know, or knows in another form."""

from dataclasses import dataclass
from enum import StrEnum

from golden.codes import Kind
from golden.model import Format

#: Format of patches: pixels, which stand for 0..1.
PATCH = Format(Kind.UNSIGNED, 8)


class Activation(StrEnum):
    """Between the matrices of a feed-forward block, see `train.model.activation`: on bits it may be another."""

    RELU = "relu"
    GELU = "gelu"
    #: GELU by its tanh formula.
    GELU_TANH = "gelu-tanh"


class NormKind(StrEnum):
    LAYER = "layer"
    #: RMSNorm: the mean is not subtracted.
    RMS = "rms"


class Pooler(StrEnum):
    """Activation of a square linear layer before the classifier."""

    TANH = "tanh"
    RELU = "relu"


@dataclass(frozen=True)
class Structure:
    """``epsilon`` is that of the norms, in real units; ``pooler`` None is no pooler."""

    activation: Activation = Activation.RELU
    norm: NormKind = NormKind.LAYER
    epsilon: float = 1e-5
    pooler: Pooler | None = None
