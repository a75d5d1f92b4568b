"""The ZCU102 evaluation board."""

from boards.board import Window
from boards.zynq.board import ZynqBoard
from isa.memory_timing import BOARD_MEMORIES

BOARD = ZynqBoard(
    name="zcu102",
    title="ZCU102",
    part="xczu9eg-ffvb1156-2-e",
    board_part="xilinx.com:zcu102:part0:3.4",
    preset="zcu102",
    clock_mhz=150,
    external=BOARD_MEMORIES["zcu102"],
    memory=Window(0x7000_0000, 0x0400_0000),  # 64 MiB in the lower 2 GiB of DDR, out of the kernel's way
)
