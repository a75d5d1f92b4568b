"""ReLU: the clip below 0, which unsigned codes have anyway."""

from golden.activation.kind import ActivationKind
from golden.codes import Kind
from golden.model import Format
from golden.rescale import clip_bounds


class _ReLU(ActivationKind):
    def code_format(self, like):
        return Format(Kind.UNSIGNED, like.bits)

    def bounds(self, output):
        low, high = clip_bounds(output)
        return max(low, 0), high


KIND = _ReLU()
