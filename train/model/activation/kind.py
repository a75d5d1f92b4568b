"""What an activation is in training: of real numbers, and of codes what stands for it."""

from abc import ABC, abstractmethod

import torch

from golden.activation.kinds import ACTIVATION_KINDS
from golden.model import Activation, Format
from train.model.quantizers import Quantizer


class TrainedActivation(ABC):
    """One per member of `train.model.structure.Activation` and `Pooler`.

    Members
    -------
    on_bits : golden.model.Activation
        What the integer model, and a model on bits in training, has in its place.
    checkpoint_names : tuple of str
        What a config.json in Hugging Face layout calls it.
    """

    on_bits: Activation
    checkpoint_names: tuple[str, ...] = ()

    @abstractmethod
    def real(self, x: torch.Tensor) -> torch.Tensor:
        """The activation itself."""

    def quantizer(self, like: Format | None, channels: int = 0) -> Quantizer:
        """The quantizer of its results, of as many bits as ``like``; None is full precision."""
        return Quantizer(like and ACTIVATION_KINDS[self.on_bits].code_format(like), channels)

    def results(self, x: torch.Tensor, quantizer: Quantizer) -> torch.Tensor:
        """Values of the codes of ``quantizer``, whose clip is the activation; in full precision, the activation of ``x``."""
        return self.real(x) if quantizer.format is None else quantizer(x)
