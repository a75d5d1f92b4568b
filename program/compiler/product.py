"""Products with the weights of a `Linear`: cut by output channels in pieces, by rows in tiles, one QMM for each part."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.activation.kinds import ACTIVATION_KINDS
from golden.model import Linear
from golden.rescale import clip_bounds
from isa.instruction import Memory
from isa.layout import ceil_div, round_up, spread
from program.compiler.builder import Builder, Scaling
from program.compiler.graph import At, Draft, Operand, Tokens, WeightCut
from program.compiler.limits import check_product


@dataclass(frozen=True)
class ChannelRange:
    """Output channels ``start`` .. ``end`` - 1 of a product, as positions in its result."""

    name: str
    start: int
    end: int
    weight: Operand
    constant: At
    split: WeightCut | None


class Product:
    """The inputs of all samples times the weights of a `Linear`; ``parts`` are its pieces, by cut.

    Parameters
    ----------
    builder : Builder
    name : str
    x : sequence of Operand
        Of each sample, on the left, rows in its tiles; on the right if ``transposed``, where the weights are on the left
        and output channels become rows of the result.
    layer : golden.model.Linear
    inputs, outputs : int array
        Positions of the weight's columns and rows in the words of ``x`` and in the result; what lies between has
        weight and code 0.
    target : sequence of Operand, or None
        Where the codes of each sample go; None: 16 bit to the row buffer.
    cuts : list of (start, end), optional
        Channels that are to be computed by themselves, each cut a whole number of tiles; by default all at once. Cuts
        are cut further where the builder's ``splits`` say so, to fit the memories; those to the row buffer cannot be.

    Attributes
    ----------
    steps : list of list of Draft
        The QMMs so far, by sample.
    """

    def __init__(
        self, builder: Builder, name: str, x: Sequence[Operand], layer: Linear, inputs: NDArray[np.int64],
        outputs: NDArray[np.int64], target: Sequence[Operand] | None = None, *,
        cuts: Sequence[tuple[int, int]] | None = None, transposed: bool = False,
    ):  # fmt: skip
        c, x_format = builder.config, x[0].format
        check_product(name, c, x_format, layer.weight_format, len(inputs), layer.weight)
        self.builder, self.name, self.x, self.layer = builder, name, x, layer
        self.target, self.transposed = target, transposed
        kind = ACTIVATION_KINDS[layer.activation]
        self.bounds = clip_bounds(None) if target is None else kind.bounds(target[0].format)
        self.steps: list[list[Draft]] = [[] for _ in x]
        self.channels = outputs[-1] + 1
        #: Channels that are computed together.
        self.unit = max(c.rows, c.columns) if transposed else c.columns
        total = round_up(self.channels, self.unit)
        cuts = cuts or [(0, total)]
        matrix = spread(layer.weight, outputs, inputs, (max(total, cuts[-1][1]), x[0].words * c.depth))
        formats = (layer.weight_format, x_format) if transposed else (x_format, layer.weight_format)
        scale, offset = builder.fold(layer.constants, *formats, len(inputs))
        scale, offset = builder.place(scale, outputs, len(matrix)), builder.place(offset, outputs, len(matrix))
        ranges = [(label, part) for label, cut in self._labelled(cuts) for part in self._cut(label, *cut)]
        constants = self._constants(ranges, scale, offset)
        self.parts: dict[str, list[ChannelRange]] = {}
        for (label, (piece, start, end)), constant in zip(ranges, constants, strict=True):
            memory = Memory.LEFT if transposed else Memory.RIGHT
            weight = builder.weight(f"{piece}.weight", memory, matrix[start:end], layer.weight_format)
            split = None if target is None else WeightCut(name, (end - start) // self.unit)
            self.parts.setdefault(label, []).append(ChannelRange(piece, start, end, weight, constant, split))

    def _labelled(self, cuts):
        return [(self.name if len(cuts) == 1 else f"{self.name}{index}", cut) for index, cut in enumerate(cuts)]

    def _constants(self, ranges, scale, offset):
        """Where the constants of each piece are: one load for all, unless they have to be cut."""
        builder, columns = self.builder, self.builder.config.columns
        parts = [part for _, part in ranges]
        if self._count() > 1:
            return [At(builder.constants(piece, scale[start:end], offset[start:end])) for piece, start, end in parts]
        used = np.concatenate([np.arange(start, end) for _, start, end in parts])
        buffer = builder.constants(self.name, scale[used], offset[used])
        sizes = [(end - start) // columns for _, start, end in parts]
        return [At(buffer, sum(sizes[:index])) for index in range(len(sizes))]

    def _count(self):
        return 1 if self.target is None else self.builder.splits.get(self.name, 1)

    def _cut(self, label, start, end):
        """``(name, start, end)`` of the pieces of a cut."""
        count = self._count()
        size = ceil_div(ceil_div(end - start, self.unit), count) * self.unit
        for index, first in enumerate(range(start, end, size)):
            yield (f"{label}.part{index}" if count > 1 else label), first, min(first + size, end)

    @property
    def whole(self) -> bool:
        """Whether no cut had to be cut further, so that samples can be computed at different times."""
        return self._count() == 1

    def compute(
        self, rows: int, samples: Iterable[int] | None = None, cut: int | None = None, tile: int = 0,
        tiles: int | None = None, row: Draft | None = None,
    ) -> None:  # fmt: skip
        """Add the QMMs for a cut, all by default, some samples, all by default, and some row tiles, all by default and if
        transposed. What is cut further is computed for all these samples while a piece of the weights is there.

        ``rows`` is the number of rows of the result; for a transposed product, of its columns. ``row`` is the step that
        takes what goes to the row buffer.
        """
        samples = list(range(len(self.x)) if samples is None else samples)
        parts = list(self.parts.values())
        for pieces in parts if cut is None else [parts[cut]]:
            for piece in pieces:
                for sample in samples:
                    if self.transposed:
                        op = self._transposed(piece, sample, rows)
                    else:
                        op = self._plain(piece, sample, rows, tile, tiles, row)
                    self.steps[sample].append(op.steps[0])

    def _plain(self, piece, sample, rows, tile, tiles, row):
        c, builder = self.builder.config, self.builder
        tiles = builder.row_tiles(rows) - tile if tiles is None else tiles
        scaling = Scaling(piece.constant, False, self.layer.constants.shift, *self.bounds)
        return builder.qmm(
            piece.name, self.x[sample].part(tile=tile), piece.weight, tiles, (piece.end - piece.start) // c.columns, scaling,
            min(piece.end, self.channels) - piece.start, split=piece.split, row=row, sample=sample,
            target=None if self.target is None else self.target[sample].part(tile=tile), column=piece.start,
            tokens=Tokens(rows=tile * c.rows),
        )  # fmt: skip

    def _transposed(self, piece, sample, rows):
        c, builder = self.builder.config, self.builder
        assert self.target is not None, "a transposed product gives codes"
        scaling = Scaling(piece.constant, True, self.layer.constants.shift, *self.bounds)
        return builder.qmm(
            piece.name, piece.weight, self.x[sample], (piece.end - piece.start) // c.rows, ceil_div(rows, c.columns),
            scaling, rows, target=self.target[sample].part(tile=piece.start // c.columns), split=piece.split,
            sample=sample, tokens=Tokens(columns=True),
        )  # fmt: skip
