"""What an attention kind is in training: how scores become weights of the values, and what of that the hardware has."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import nn

from golden.model import AttentionBlock, EncoderConfig, Format
from train.integer.arithmetic import Arithmetic


class Weighting(ABC):
    """One per member of `golden.model.Attention`.

    Members
    -------
    member : str
        What its module is called in an attention block, and so its parameters in checkpoints.
    """

    member: str

    @abstractmethod
    def module(self, config: EncoderConfig, code_format: Format | None) -> nn.Module:
        """The module with the kind's parameters. It gives values of codes of its ``format``; ``step`` is what a code counts,
        a number or what broadcasts to (batch, heads, tokens, keys). None is full precision."""

    @abstractmethod
    def weights(self, module: Any, scores: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Weights from ``scores``, both (batch, heads, tokens, keys); 0 for keys that ``mask`` (batch, keys) has not.

        For a kind whose weights are a distribution the module is given probabilities.
        """

    @abstractmethod
    def export(self, module: Any, unit: float, config: EncoderConfig) -> tuple[dict[str, Any], np.ndarray]:
        """What the integer model has, and what a code of the weights counts.

        Parameters
        ----------
        unit : float
            What the product of two codes of query and key counts, before the division by the root of the head's width.

        Returns
        -------
        fields : dict
            ``score`` and the kind's parameters, as `golden.model.AttentionBlock` has them.
        step : (heads * head_width,) float64
            For each channel of the context.

        Raises
        ------
        ValueError
            For what does not fit the hardware.
        """

    @abstractmethod
    def codes(
        self, arithmetic: Arithmetic, scores: torch.Tensor, keys: torch.Tensor, block: AttentionBlock
    ) -> torch.Tensor:
        """`golden.attention.kind.AttentionKind.weights` of a batch: ``scores`` (batch, heads, tokens, keys) float64, and
        ``keys`` bool, which broadcasts to that."""
