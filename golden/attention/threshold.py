"""Thresholds: the rescale of the scores is a comparison with one threshold per head; {0, 1} out."""

from golden.attention.kind import AttentionKind


class _Threshold(AttentionKind):
    distribution = False

    def score_format(self, block):
        return block.probability

    def weights(self, scores, length, block):
        codes = scores.copy()
        codes[:, length:] = 0
        return codes

    def check(self, block, name):
        if block.probability.bits != 1:
            raise ValueError(f"{name}.probability must have 1 bit, not {block.probability.bits}")


KIND = _Threshold()
