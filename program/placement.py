"""Where a program's image, inputs and outputs lie in external memory: the one layout of drivers, simulation and models."""

from dataclasses import dataclass
from itertools import accumulate

from isa.sizes import AXI_PAGE
from program.program import Program

#: Inputs and outputs are double buffered: one inference computes while the next one's input and the last one's output move.
SLOTS = 2


@dataclass(frozen=True)
class Placement:
    """Byte offsets in external memory, multiples of `AXI_PAGE`: the image, then all inputs, then all outputs.

    ``inputs`` and ``outputs`` have one place a slot; ``bytes`` is what everything takes, whole pages.
    """

    image: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    bytes: int

    @classmethod
    def of(cls, program: Program, slots: int = SLOTS) -> "Placement":
        """The layout of ``program`` with so many places for inputs, and as many for outputs."""
        sizes = [len(program.image), *[program.input_bytes] * slots, *[program.output_bytes] * slots]
        image, *places, end = accumulate((-(-size // AXI_PAGE) * AXI_PAGE for size in sizes), initial=0)
        return cls(image, tuple(places[:slots]), tuple(places[slots:]), end)
