"""What a board is to everything here: one record, read by scripts, transports and commands."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from formats.errors import UsageError
from isa.presets import PRESETS

#: Bytes of the accelerator's registers, wherever they are: the size of its AXI4-Lite address space.
REGISTER_BYTES = 4096


class Tool(Enum):
    """What makes the bitstream."""

    VIVADO = "Vivado"
    NEXTPNR = "Yosys and nextpnr"


class Window(NamedTuple):
    """Addresses ``address`` to ``address + bytes - 1``."""

    address: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board. Raises ValueError, naming rule and value, for one that cannot be.

    A folder of ``boards/`` with a ``record.py`` that has a `Board` called ``BOARD`` is a board; its kind - a sub-class -
    says how the accelerator is reached.

    Parameters
    ----------
    name : str
        Of its folder and of the command that makes its bitstream.
    title : str
        As people write it.
    part : str
        Of the FPGA, as ``tool`` calls it.
    tool : Tool
    preset : str
        Accelerator unless another one is asked for.
    clock_mhz : float
        Of the accelerator unless another one is asked for.
    clocks_mhz : (float, float)
        Slowest and fastest clock that the board's generator makes.
    """

    name: str
    title: str
    part: str
    tool: Tool
    preset: str
    clock_mhz: float
    clocks_mhz: tuple[float, float]

    def __post_init__(self) -> None:
        self.require(re.fullmatch(r"[a-z][a-z0-9_]*", self.name), "its name must be a folder's in small letters", self.name)
        self.require(self.preset in PRESETS, f"its preset must be one of {', '.join(PRESETS)}", self.preset)
        least, most = self.clocks_mhz
        self.require(0 < least <= self.clock_mhz <= most, f"its clock must be in {least:g}..{most:g} MHz", self.clock_mhz)

    def require(self, condition: object, rule: str, value: object) -> None:
        """Raise ValueError with the board, the rule and the value unless ``condition`` holds."""
        if not condition:
            raise ValueError(f"board {self.name}: {rule}, not {value}")

    def check_clock(self, mhz: float) -> None:
        """Raise UsageError for a clock that the board does not make."""
        least, most = self.clocks_mhz
        if not least <= mhz <= most:
            raise UsageError(f"--clock must be in {least:g}..{most:g} MHz, not {mhz:g}")
