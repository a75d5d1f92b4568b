"""Attention kinds on integers."""

from golden.attention.kind import AttentionKind
from golden.model import Attention
from golden.registry import Registry

ATTENTION_KINDS: Registry[AttentionKind] = Registry("golden.attention", AttentionKind, Attention)
