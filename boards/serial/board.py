"""Boards at a serial line: the accelerator and its memory are all on the FPGA."""

from dataclasses import dataclass

from boards.board import Board


@dataclass(frozen=True, kw_only=True)
class SerialBoard(Board):
    """A board whose host is at the other end of a serial line.

    Parameters
    ----------
    oscillator_mhz : float
        On the board.
    baud : int
        Of the line, unless another one is asked for.
    memory_bytes : int
        Of the accelerator's memory, in blocks of the FPGA.
    """

    oscillator_mhz: float
    baud: int
    memory_bytes: int

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.oscillator_mhz > 0, "its oscillator must have more than 0 MHz", self.oscillator_mhz)
        self.require(self.baud > 0, "its line must have at least 1 baud", self.baud)
        self.require(self.memory_bytes > 0, "its memory must have at least 1 byte", self.memory_bytes)
