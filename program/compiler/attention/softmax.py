"""Softmax: scores of 16 bit to the row buffer, from where a SOFTMAX for each band of row tiles makes the codes."""

from isa.instruction import Opcode
from program.compiler.attention.kind import ScoreLowering
from program.compiler.graph import Draft, Tokens


class _Softmax(ScoreLowering):
    in_row_unit = True

    def check(self, builder, tokens):
        self._groups(builder, tokens)

    @staticmethod
    def _groups(builder, tokens):
        return builder.row_groups(tokens, "the number of tokens")

    def lower(self, builder, tokens, block, scores):
        rows, steps = builder.config.rows, []
        for tile, tiles in scores.bands:
            first = tile * rows
            present = Tokens(rows=first, columns=True)
            fields = {
                "rows": min(tiles * rows, tokens - first), "first_row": first, "groups": self._groups(builder, tokens),
                "columns": tokens, "left_enable": 1, "bits": block.probability.bits, "step": block.step,
                "step_shift": block.step_shift,
            } | scores.weights.write_fields("left") | present.fields()  # fmt: skip
            written = (scores.weights.use(tiles, tile=tile),)
            name = builder.of(scores.sample, scores.name)
            steps.append(Draft(name, Opcode.SOFTMAX, fields, writes=written, sample=scores.sample))
            builder.qmm(scores.product, scores.query.part(tile=tile), scores.key, tiles, scores.key_tiles, scores.scaling,
                        tokens, row=steps[-1], sample=scores.sample, tokens=present)  # fmt: skip
        return steps


KIND = _Softmax()
