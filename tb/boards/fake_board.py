"""Device files of a board whose accelerator is the RTL simulation: /dev/uio0 and /dev/mem, seen from sysfs as Linux does."""

import ctypes
import mmap
import os
import platform
import socket
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from boards.board import Window
from boards.zcu102.record import BOARD as ZCU102
from sim.simulation import Simulation
from tb.driver.cases import CONFIG

MEMORY_BYTES = 1 << 19
#: The record that says at which physical addresses everything is; with less memory, which is a file here.
BOARD = replace(ZCU102, memory=Window(ZCU102.memory.address, MEMORY_BYTES))
REGISTERS, MEMORY = BOARD.registers.address, BOARD.memory.address
SOURCE = Path(__file__).with_name("trap.c")

needs_trap = pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"),
    reason="accesses of mapped registers are trapped by means of x86-64 Linux",
)


@cache
def trap_library(folder):
    """`trap.c` as a shared library in ``folder``."""
    path = Path(folder) / "libtrap.so"
    command = ["g++", "-x", "c", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC"]
    subprocess.run([*command, SOURCE, "-lpthread", "-o", path], check=True)
    lib = ctypes.CDLL(str(path))
    lib.trap_start.argtypes = [ctypes.c_void_p] * 5 + [ctypes.c_int]
    return lib


class FakeBoard:
    """Files in ``folder`` that behave like the devices of a board; a context manager.

    While it lasts, whoever maps the registers' page of one of them talks to the RTL: an access is an AXI4-Lite transfer.
    The memory's part of a file is what the accelerator reads and writes. Time passes by itself.

    Members
    -------
    uio, mem, system : str
        Stand-ins for /dev/uio0, /dev/mem and /sys.
    transfers : int
        Of registers, when it is over.
    """

    def __init__(self, folder, monkeypatch, config=CONFIG):
        self.uio, self.mem, self.system = (str(folder / name) for name in ("uio0", "mem", "sys"))
        self._files = {self.uio: (0, mmap.PAGESIZE), self.mem: (REGISTERS, MEMORY)}
        for path, (_, memory) in self._files.items():
            with open(path, "wb") as file:  # sparse: what is not written takes no space
                file.truncate(max(memory + MEMORY_BYTES, REGISTERS + 2 * mmap.PAGESIZE if path == self.mem else 0))
        maps = folder / "sys" / "class" / "uio" / "uio0" / "maps"
        for name, address, size in (("map0", REGISTERS, 4096), ("map1", MEMORY, MEMORY_BYTES)):
            (maps / name).mkdir(parents=True)
            (maps / name / "addr").write_text(f"0x{address:016x}\n")
            (maps / name / "size").write_text(f"0x{size:016x}\n")
        self._trap = trap_library(str(folder))
        self._config, self._running, self.transfers = config, None, 0
        self._real = mmap.mmap
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        monkeypatch.setattr("boards.linux.mmap.mmap", self._map)
        # A file on disk cannot wait for an interrupt; one end of a socket can.
        monkeypatch.setattr("boards.linux.interrupts_of", lambda device: self.ours.fileno())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.ours.close()
        self.theirs.close()

    def stop(self):
        """The accelerator goes away; what is mapped stays, as plain memory."""
        if self._running:
            self.transfers += self._trap.trap_stop()
            self._running.close()
            self._running = None

    def _map(self, file, size, *arguments, offset=0, **options):
        mapped = self._real(file, size, *arguments, offset=offset, **options)  # type: ignore[misc]
        path = os.path.realpath(f"/proc/self/fd/{file}")
        registers, memory = self._files.get(path, (None, None))
        if offset == registers:
            self.stop()
            with open(path, "r+b") as other:
                shared = np.frombuffer(self._real(other.fileno(), MEMORY_BYTES, offset=memory), np.uint8)  # type: ignore[arg-type]
            self._running = Simulation(self._config, MEMORY_BYTES, memory_base=MEMORY, memory=shared)
            page = np.frombuffer(mapped, np.uint8).ctypes.data
            lib = self._running.library
            calls = [ctypes.cast(f, ctypes.c_void_p) for f in (lib.bittern_read, lib.bittern_write, lib.bittern_run)]
            self._trap.trap_start(page, self._running.handle, *calls, self.theirs.fileno())
        return mapped
