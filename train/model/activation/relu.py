"""ReLU."""

from torch.nn import functional

from golden.model import Activation
from train.model.activation.kind import TrainedActivation


class _ReLU(TrainedActivation):
    on_bits = Activation.RELU
    checkpoint_names = ("relu",)

    def real(self, x):
        return functional.relu(x)


KIND = _ReLU()
