"""What an attention kind is lowered to: the instructions from the products of queries and keys to a head's weights."""

from abc import ABC, abstractmethod
from typing import NamedTuple

from golden.model import AttentionBlock
from program.compiler.builder import Builder, Scaling
from program.compiler.graph import Draft, Operand


class Scores(NamedTuple):
    """The product of queries and keys of a head, of a sample.

    ``name`` is that of the weights, ``product`` that of the scores themselves. ``key_tiles`` are tiles of C keys; ``bands``
    (tile, tiles) of the row tiles that are computed together.
    """

    name: str
    product: str
    query: Operand
    key: Operand
    key_tiles: int
    scaling: Scaling
    weights: Operand
    bands: list[tuple[int, int]]
    sample: int


class ScoreLowering(ABC):
    """One per member of `golden.model.Attention`.

    Members
    -------
    in_row_unit : bool
        Whether the weights of a head come out of a row unit, while which the engine has something else to do.
    """

    in_row_unit: bool

    @abstractmethod
    def check(self, builder: Builder, tokens: int) -> None:
        """Raise CompileError for more tokens than there is room for in the units."""

    @abstractmethod
    def lower(self, builder: Builder, tokens: int, block: AttentionBlock, scores: Scores) -> list[Draft]:
        """Add the operations of one head; returns the steps that write its weights."""
