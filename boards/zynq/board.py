"""Boards with a Zynq UltraScale+: Linux on the processors, the accelerator as a UIO device beside them."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from boards.board import REGISTER_BYTES, Board, Tool, Window
from isa.config import AcceleratorConfig
from isa.memory_timing import ZYNQ_ULTRASCALE, BoardMemory

#: What M_AXI_HPM0_FPD reaches, and what S_AXI_HP0_FPD to S_AXI_HP3_FPD reach at the addresses of the processors: DDR's lower
#: part.
CONTROL, LOW_MEMORY = Window(0xA000_0000, 0x1000_0000), Window(0, 0x8000_0000)
REGISTERS = Window(CONTROL.address, REGISTER_BYTES)
PAGE = 4096
#: Numbers of the high-performance ports.
HP_PORTS = (0, 1, 2, 3)


class Slave(NamedTuple):
    """S_AXI_HP``hp``_FPD, which Vivado's settings call SAXIGP``gp``."""

    gp: int
    hp: int


@dataclass(frozen=True, kw_only=True)
class ZynqBoard(Board):
    """A Zynq UltraScale+ board that Vivado has board files of. What all of these chips share has its value here.

    Parameters
    ----------
    board_part : str
        What Vivado calls the board.
    memory : Window
        Of DDR, which Linux leaves to the accelerator.
    registers : Window
        Behind M_AXI_HPM0_FPD.
    external : isa.memory_timing.BoardMemory
        S_AXI_HP0_FPD and those after it, through which the accelerator reaches memory.
    interrupt : int
        Shared peripheral interrupt of pl_ps_irq0[0].
    clock_index : int
        Of pl_clk0 in the device tree's zynqmp_clk.
    templates : Path or None
        Folder of the board's own templates: further ones, or in the place of those in ``boards/zynq/templates``.
    """

    tool: Tool = Tool.VIVADO
    clocks_mhz: tuple[float, float] = (1, 333)
    board_part: str
    memory: Window
    external: BoardMemory = ZYNQ_ULTRASCALE
    registers: Window = REGISTERS
    interrupt: int = 89
    clock_index: int = 71
    templates: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, window, within in (("registers", self.registers, CONTROL), ("memory", self.memory, LOW_MEMORY)):
            inside = within.address <= window.address and sum(window) <= sum(within) and window.bytes > 0
            rule = f"its {name} must lie in 0x{within.address:X}..0x{sum(within) - 1:X}"
            self.require(inside, rule, f"0x{window.address:X}..0x{sum(window) - 1:X}")
            self.require(not any(part % PAGE for part in window), f"its {name} must be whole pages of {PAGE} bytes", window)
        register_bytes = self.registers.bytes
        self.require(register_bytes == REGISTER_BYTES, f"its registers must take {REGISTER_BYTES} bytes", register_bytes)
        ports, bits = self.external.ports, self.external.port_bits
        self.require(1 <= ports <= len(HP_PORTS), f"it must have 1 to {len(HP_PORTS)} memory ports", ports)
        self.require(bits in (32, 64, 128), "its memory ports must have 32, 64 or 128 bits", bits)

    def slaves(self, config: AcceleratorConfig) -> list[Slave]:
        """The processing system's ports that the masters of an accelerator are connected to, in their order.

        Raises UsageError for an accelerator that has more of them than the board, or wider ones.
        """
        self.external.check(f"the {self.title}", config)
        return [Slave(2 + port, port) for port in HP_PORTS[: config.ports]]
