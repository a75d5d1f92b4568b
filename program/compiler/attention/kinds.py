"""Attention kinds in the compiler."""

from golden.model import Attention
from golden.registry import Registry
from program.compiler.attention.kind import ScoreLowering

SCORE_LOWERINGS: Registry[ScoreLowering] = Registry("program.compiler.attention", ScoreLowering, Attention)
