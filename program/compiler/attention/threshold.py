"""Thresholds: the rescale of the scores writes the codes of the weights, keys beyond LENGTH masked."""

from program.compiler.attention.kind import ScoreLowering


class _Threshold(ScoreLowering):
    in_row_unit = False

    def check(self, builder, tokens):
        """Nothing goes through the row buffer."""

    def lower(self, builder, tokens, block, scores):
        tiles = builder.row_tiles(tokens)
        return builder.qmm(scores.name, scores.query, scores.key, tiles, scores.key_tiles, scores.scaling, tokens,
                           target=scores.weights, mask=True, sample=scores.sample).steps  # fmt: skip


KIND = _Threshold()
