"""Activations in training, of feed-forward blocks and of poolers."""

from golden.registry import Registry
from train.model.activation.kind import TrainedActivation
from train.model.structure import Activation, Pooler

TRAINED_ACTIVATIONS: Registry[TrainedActivation] = Registry("train.model.activation", TrainedActivation, Activation, Pooler)
