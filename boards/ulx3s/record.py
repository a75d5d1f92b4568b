"""The ULX3S with an ECP5-85F."""

from boards.board import Tool
from boards.serial.board import SerialBoard

BOARD = SerialBoard(
    name="ulx3s",
    title="ULX3S",
    part="LFE5U-85F-6BG381C",
    tool=Tool.NEXTPNR,
    preset="ecp5",
    clock_mhz=60,
    clocks_mhz=(3.125, 400),  # what an output of the PLL may have
    oscillator_mhz=25,
    baud=1_000_000,
    memory_bytes=1 << 18,  # as much as blocks are left for, in two banks
)
