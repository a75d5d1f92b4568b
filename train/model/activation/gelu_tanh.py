"""GELU by its tanh formula, in full precision only: on bits the ReLU stands for it."""

from torch.nn import functional

from golden.model import Activation
from train.model.activation.kind import TrainedActivation


class _TanhGELU(TrainedActivation):
    on_bits = Activation.RELU
    checkpoint_names = ("gelu_new", "gelu_pytorch_tanh", "gelu_fast")

    def real(self, x):
        return functional.gelu(x, approximate="tanh")


KIND = _TanhGELU()
