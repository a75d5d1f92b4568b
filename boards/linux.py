"""Transport on the board's own Linux: registers through UIO or /dev/mem, and a physically contiguous buffer.

The accelerator's port is not coherent with the processor's caches, so the buffer must be mapped uncached: /dev/mem and
UIO map it so, u-dma-buf does when it is opened with O_SYNC, and PYNQ's buffers are not cacheable unless asked for.
"""

import mmap
import os
import re
import select
import time
from pathlib import Path
from typing import Protocol

import numpy as np

from boards.board import REGISTER_BYTES
from boards.zynq.board import ZynqBoard
from driver.errors import TransportError
from driver.transport import Transport
from isa.registers import ADDRESS

#: Seconds between two looks at the status register where there is no interrupt.
POLL_SECONDS = 50e-6
#: Copies move whole blocks: memory mapped as device memory takes aligned accesses only.
BLOCK = 64


class MappedFile:
    """``size`` bytes of a device file from byte ``offset`` on, mapped uncached. Raises TransportError."""

    def __init__(self, path: str, size: int, offset: int = 0):
        self.path = path
        try:
            self.file = os.open(path, os.O_RDWR | os.O_SYNC)
        except OSError as error:
            raise TransportError(
                f"{path} cannot be opened: {error.strerror}; is the overlay loaded, and may this user read and write it?"
            ) from None
        try:
            self._map = mmap.mmap(self.file, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=offset)
        except (OSError, ValueError) as error:
            os.close(self.file)
            raise TransportError(
                f"{size} bytes of {path} at 0x{offset:X} cannot be mapped: {error}; check the address and the size, and "
                "that the kernel allows it"
            ) from None
        self.bytes: np.ndarray | None = np.frombuffer(self._map, np.uint8)

    def close(self) -> None:
        """Unmap; closing twice is harmless."""
        if self.bytes is not None:
            self.bytes = None
            self._map.close()
            os.close(self.file)


class Mapped(Protocol):
    """What a transport reaches: ``bytes``, a uint8 array that the accelerator sees, until it is closed."""

    bytes: np.ndarray | None

    def close(self) -> None:
        """Give it back."""


class LinuxTransport(Transport):
    """Registers and memory that are mapped into this process.

    Parameters
    ----------
    registers, memory : Mapped
        Such as a `MappedFile`.
    memory_base : int
        Physical address of its first byte.
    interrupt : int or None
        File that counts interrupts as UIO does: reading gives 4 bytes when one has come, writing a 1 allows the next one.
    """

    def __init__(self, registers: Mapped, memory: Mapped, memory_base: int, interrupt: int | None = None):
        assert registers.bytes is not None, "closed"
        assert memory.bytes is not None, "closed"
        self._mappings = (registers, memory)
        self._registers = registers.bytes[:REGISTER_BYTES].view(np.uint32)
        self._memory = memory.bytes
        self._interrupt = interrupt
        self.memory_base, self.memory_bytes = memory_base, len(memory.bytes) // BLOCK * BLOCK

    def read_register(self, address: int) -> int:
        return int(self._registers[address // 4])

    def write_register(self, address: int, value: int) -> None:
        if address == ADDRESS["interrupt"] and value and self._interrupt is not None:
            # First the accelerator's, then the kernel's: the line must be low when the kernel listens again.
            self._registers[address // 4] = value
            self._allow_interrupt()
        else:
            self._registers[address // 4] = value

    def read_memory(self, offset: int, size: int) -> bytes:
        self.check_range(offset, size)
        first, end = offset // BLOCK * BLOCK, -(-(offset + size) // BLOCK) * BLOCK
        return self._memory[first:end].copy()[offset - first :][:size].tobytes()

    def write_memory(self, offset: int, data: bytes) -> None:
        self.check_range(offset, len(data))
        end = offset + len(data)
        first, last = offset // BLOCK * BLOCK, -(-end // BLOCK) * BLOCK
        blocks = np.empty(last - first, np.uint8)
        if first < offset:
            blocks[:BLOCK] = self._memory[first : first + BLOCK]
        if end < last:
            blocks[-BLOCK:] = self._memory[last - BLOCK : last]
        blocks[offset - first : end - first] = np.frombuffer(data, np.uint8)
        self._memory[first:last] = blocks

    def wait(self, seconds: float) -> None:
        if self._interrupt is None:
            time.sleep(min(seconds, POLL_SECONDS))
        elif select.select([self._interrupt], [], [], seconds)[0]:
            self._take_interrupt()

    def close(self) -> None:
        if self._registers is not None:
            self._registers = self._memory = None
            for mapping in self._mappings:
                mapping.close()

    def _take_interrupt(self):
        assert self._interrupt is not None, "there is no interrupt"
        count = os.read(self._interrupt, 4)
        if len(count) != 4:
            raise TransportError(
                f"reading an interrupt gave {len(count)} bytes, not 4: the device went away; load the overlay again"
            )

    def _allow_interrupt(self):
        assert self._interrupt is not None, "there is no interrupt"
        if os.write(self._interrupt, (1).to_bytes(4, "little")) != 4:
            raise TransportError("the interrupt cannot be enabled; load the overlay and open the device again")


def interrupts_of(device: MappedFile) -> int:
    """The file that tells interrupts of a mapped UIO device: the device's own."""
    return device.file


def open_uio(path: str = "/dev/uio0", system: str = "/sys", buffer: str | None = None) -> LinuxTransport:
    """The accelerator that a UIO device stands for, as the overlay of `boards/zynq` declares it.

    Parameters
    ----------
    path : str
        The device. Its first map is the registers; interrupts come through it.
    system : str
        Where sysfs is mounted.
    buffer : str or None
        A u-dma-buf device that gives the memory. By default that is the UIO device's second map.

    Raises
    ------
    TransportError
    """
    maps = Path(system) / "class" / "uio" / Path(path).name / "maps"
    registers = MappedFile(path, max(_number(maps / "map0" / "size"), REGISTER_BYTES))
    try:
        if buffer is not None:
            memory, base = open_udmabuf(buffer, system)
        else:
            base = _number(maps / "map1" / "addr")
            # UIO's map number n is at page n of the file.
            memory = MappedFile(path, _number(maps / "map1" / "size"), mmap.PAGESIZE)
        transport = LinuxTransport(registers, memory, base, interrupts_of(registers))
        transport.write_register(ADDRESS["interrupt"], 1)
    except BaseException:
        registers.close()
        raise
    return transport


def open_devmem(board: ZynqBoard, path: str = "/dev/mem") -> LinuxTransport:
    """The accelerator of a `boards.zynq.board.ZynqBoard`, at the addresses of its record; needs root, has no interrupt."""
    mapped = MappedFile(path, REGISTER_BYTES, board.registers.address)
    try:
        return LinuxTransport(mapped, MappedFile(path, board.memory.bytes, board.memory.address), board.memory.address)
    except BaseException:
        mapped.close()
        raise


def open_pynq(board: ZynqBoard, memory_bytes: int, path: str = "/dev/mem") -> LinuxTransport:
    """As `open_devmem`, but with memory from PYNQ's allocator. Raises TransportError where there is no PYNQ."""
    try:
        from pynq import allocate
    except ImportError:
        raise TransportError("PYNQ is not installed; use a reserved region or u-dma-buf for the memory") from None
    mapped = MappedFile(path, REGISTER_BYTES, board.registers.address)
    memory = _PynqBuffer(allocate, memory_bytes)
    return LinuxTransport(mapped, memory, memory.base)


class _PynqBuffer:
    def __init__(self, allocate, size):
        self._buffer = allocate(shape=(size,), dtype=np.uint8, cacheable=False)
        self.base = self._buffer.device_address
        self.bytes: np.ndarray | None = np.asarray(self._buffer)

    def close(self):
        self.bytes = None
        self._buffer.freebuffer()


def open_udmabuf(path: str, system: str = "/sys") -> tuple[MappedFile, int]:
    """``(MappedFile, physical address)`` of a u-dma-buf device."""
    folder = Path(system) / "class" / "u-dma-buf" / Path(path).name
    return MappedFile(path, _number(folder / "size")), _number(folder / "phys_addr")


def _number(path):
    """The number in a file of sysfs."""
    try:
        text = path.read_text().strip()
    except OSError as error:
        raise TransportError(
            f"{path} cannot be read: {error.strerror}; load the overlay, and give the device that it makes"
        ) from None
    if not re.fullmatch(r"0x[0-9a-fA-F]+|[0-9]+", text):
        raise TransportError(f"{path} holds {text!r} and no number; load the overlay again")
    return int(text, 0)
