"""Thresholds: the rescale of the scores writes the codes of the weights, none for keys beyond the length."""

from program.compiler.attention.kind import ScoreLowering
from program.compiler.graph import Tokens


class _Threshold(ScoreLowering):
    in_row_unit = False

    def check(self, builder, tokens):
        """Nothing goes through the row buffer."""

    def lower(self, builder, tokens, block, scores):
        tiles = builder.row_tiles(tokens)
        return builder.qmm(scores.name, scores.query, scores.key, tiles, scores.key_tiles, scores.scaling, tokens,
                           target=scores.weights, tokens=Tokens(rows=0, columns=True),
                           sample=scores.sample).steps  # fmt: skip


KIND = _Threshold()
