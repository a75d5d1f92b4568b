"""How a host reaches an accelerator: four transfers, a wait, a clock, and how much memory there is; no more."""

import time
from abc import ABC, abstractmethod

from isa.registers import COUNTERS


class Transport(ABC):
    """One accelerator, its registers and the external memory it shares with the host.

    A transport knows nothing of programs. Memory is one block of ``memory_bytes`` bytes; offsets count from its
    beginning, and the accelerator sees byte ``offset`` at address ``memory_base + offset``. Memory may be read and
    written while the accelerator runs. Whatever fails raises `driver.errors.TransportError` with cause and way out, and
    leaves the transport usable unless the message says that it must be opened again.
    """

    #: Address of the memory's first byte as the accelerator sees it, a multiple of 4,096.
    memory_base: int = 0
    #: Size of the memory.
    memory_bytes: int
    #: Names from `isa.registers.COUNTERS` of the counters that this transport really counts.
    counters: tuple[str, ...] = tuple(name for name, _ in COUNTERS)

    @abstractmethod
    def read_register(self, address: int) -> int:
        """The 32-bit register at byte ``address`` (a multiple of 4), as an int."""

    @abstractmethod
    def write_register(self, address: int, value: int) -> None:
        """Write 0 <= ``value`` < 2^32 to the register at byte ``address``."""

    @abstractmethod
    def read_memory(self, offset: int, size: int) -> bytes:
        """``size`` bytes of memory from ``offset`` on, as bytes; exactly so many, or TransportError."""

    @abstractmethod
    def write_memory(self, offset: int, data: bytes) -> None:
        """Write all bytes of ``data`` to memory from ``offset`` on."""

    @abstractmethod
    def wait(self, seconds: float) -> None:
        """Return when the interrupt is raised, or after about ``seconds`` by the clock of `now`.

        It may return early, so the driver looks at the status register; a transport without an interrupt sleeps for a
        short while. A simulation advances here.
        """

    def now(self) -> float:
        """Seconds since some moment: this computer's clock, or the simulated one of an accelerator that is simulated."""
        return time.monotonic()

    @abstractmethod
    def close(self) -> None:
        """Release everything; closing twice is harmless."""

    def check_range(self, offset: int, size: int) -> None:
        """Raise ValueError unless bytes ``offset`` .. ``offset + size - 1`` are inside the memory."""
        if not 0 <= offset <= offset + size <= self.memory_bytes:
            raise ValueError(f"bytes {offset}..{offset + size - 1} are outside the memory of {self.memory_bytes} bytes")
