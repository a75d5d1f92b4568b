"""Softmax: scores in 1/64 of base 2 through `golden.softmax`, which ``step`` and ``step_shift`` quantize."""

from golden.attention.kind import AttentionKind
from golden.softmax import softmax


class _Softmax(AttentionKind):
    distribution = True

    def score_format(self, block):
        return None

    def weights(self, scores, length, block):
        return softmax(scores, length, block.step, block.step_shift, block.probability.bits)

    def check(self, block, name):
        if not 1 << 15 <= block.step < 1 << 16:
            raise ValueError(f"{name}.step must be in 2^15..2^16-1, not {block.step}")
        if not 0 <= block.step_shift <= 31:
            raise ValueError(f"{name}.step_shift must be in 0..31, not {block.step_shift}")


KIND = _Softmax()
