"""How a host reaches an accelerator: four transfers, a wait, and how much memory there is. The driver needs no more."""

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
    def read_register(self, address):
        """The 32-bit register at byte ``address`` (a multiple of 4), as an int."""

    @abstractmethod
    def write_register(self, address, value):
        """Write 0 <= ``value`` < 2^32 to the register at byte ``address``."""

    @abstractmethod
    def read_memory(self, offset, size):
        """``size`` bytes of memory from ``offset`` on, as bytes; exactly so many, or TransportError."""

    @abstractmethod
    def write_memory(self, offset, data):
        """Write all bytes of ``data`` to memory from ``offset`` on."""

    @abstractmethod
    def wait(self, seconds):
        """Return when the interrupt is raised, or after about ``seconds``.

        It may return early, so the driver looks at the status register; a transport without an interrupt sleeps for a
        short while. A simulation advances here.
        """

    @abstractmethod
    def close(self):
        """Release everything; closing twice is harmless."""

    def check_range(self, offset, size):
        """Raise ValueError unless bytes ``offset`` .. ``offset + size - 1`` are inside the memory."""
        if not 0 <= offset <= offset + size <= self.memory_bytes:
            raise ValueError(f"bytes {offset}..{offset + size - 1} are outside the memory of {self.memory_bytes} bytes")
