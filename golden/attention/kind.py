"""What an attention kind is on integers: how the products of queries and keys become weights of the values."""

from abc import ABC, abstractmethod

import numpy as np

from golden.model import AttentionBlock, Format


class AttentionKind(ABC):
    """One per member of `golden.model.Attention`.

    Members
    -------
    distribution : bool
        Whether the weights of a token stand for probabilities, which add up to 1.
    """

    distribution: bool

    @abstractmethod
    def score_format(self, block: AttentionBlock) -> Format | None:
        """Format of the scores, which are rescaled products; None: signed 16 bit."""

    @abstractmethod
    def weights(self, scores: np.ndarray, length: int, block: AttentionBlock) -> np.ndarray:
        """Codes (tokens, keys) int64 of the weights of one head from its scores, of that shape; 0 from key ``length`` on."""

    @abstractmethod
    def check(self, block: AttentionBlock, name: str) -> None:
        """Raise ValueError, naming the tensor, for a format or a parameter that the kind cannot have."""


def weights_name(block: str, head: int) -> str:
    """Name of the tensor of a head's weights, in the attention block called ``block``."""
    return f"{block}.probability{head}"
