"""Attention kinds in training."""

from golden.model import Attention
from golden.registry import Registry
from train.model.attention.kind import Weighting

WEIGHTINGS: Registry[Weighting] = Registry("train.model.attention", Weighting, Attention)
