"""Tanh: on bits signed codes stand for it, which clip at -1 and 1 to begin with."""

import torch

from golden.model import Activation
from train.model.activation.kind import TrainedActivation


class _Tanh(TrainedActivation):
    on_bits = Activation.IDENTITY

    def real(self, x):
        return torch.tanh(x)

    def quantizer(self, like, channels=0):
        made = super().quantizer(like, channels)
        if made.format is not None:
            made.alpha.data.fill_(1 / made.format.range[1])
            made.calibrated.fill_(True)
        return made


KIND = _Tanh()
