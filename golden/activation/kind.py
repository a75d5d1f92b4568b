"""What an activation is on integers: how the sums of a linear layer become codes."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

from golden.codes import check_kind
from golden.model import Format, Linear, Requantization
from golden.rescale import rescale

Sums = TypeVar("Sums")
Rescaled = Callable[[Sums, Requantization, tuple[int, int]], Sums]


def _rescaled(t: Any, constants: Requantization, bounds: tuple[int, int]) -> Any:
    return rescale(t, constants.scale, constants.offset, constants.shift, *bounds)


class ActivationKind(ABC):
    """One per member of `golden.model.Activation`. Those there are cost nothing: they are the clip of a rescale."""

    def check(self, layer: Linear, name: str) -> None:
        """Raise ValueError for codes that there are not, or what else a layer ``name`` with this activation cannot have."""
        if layer.output is not None:
            check_kind(*layer.output)

    @abstractmethod
    def code_format(self, like: Format) -> Format:
        """Format of as many bits as ``like`` whose codes can be results."""

    @abstractmethod
    def bounds(self, output: Format | None) -> tuple[int, int]:
        """Lowest and highest result, codes or (None) 16 bit: how it lowers, for an instruction of the engine has them."""

    def results(self, t: Sums, layer: Linear, rescaled: Rescaled[Sums] = _rescaled) -> Sums:
        """Codes or 16-bit numbers, (rows, outputs), of the sums ``t`` of a layer, of the same shape.

        ``rescaled(t, constants, bounds)`` is `golden.rescale.rescale` on whatever arrays ``t`` is of; numpy's by default.
        """
        return rescaled(t, layer.constants, self.bounds(layer.output))
