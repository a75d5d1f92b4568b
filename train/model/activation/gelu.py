"""GELU, in full precision only: on bits the ReLU stands for it."""

from torch.nn import functional

from golden.model import Activation
from train.model.activation.kind import TrainedActivation


class _GELU(TrainedActivation):
    on_bits = Activation.RELU
    checkpoint_names = ("gelu",)

    def real(self, x):
        return functional.gelu(x)


KIND = _GELU()
