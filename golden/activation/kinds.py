"""Activations on integers."""

from golden.activation.kind import ActivationKind
from golden.model import Activation
from golden.registry import Registry

ACTIVATION_KINDS: Registry[ActivationKind] = Registry("golden.activation", ActivationKind, Activation)
