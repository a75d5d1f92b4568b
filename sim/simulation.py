"""The RTL in Verilator as a transport: registers, external memory, events and on-chip memories; time passes in `wait`."""

import ctypes
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from driver.errors import TransportError
from driver.transport import Transport
from isa.config import AcceleratorConfig
from isa.instruction import Memory, Queue
from isa.memory import ROW_MEMORY_BANK, depth_of, word_shape
from isa.memory_timing import PLAIN, MemoryTiming
from isa.registers import ADDRESS, Control
from sim.build import build

#: The clock that simulated time is told by. Only time-outs depend on it.
CLOCK_HZ = 100e6
CHUNK = 1_000  # cycles between two looks at the world: Ctrl-C waits for no more, even at a few thousand cycles a second


class Event(NamedTuple):
    """An instruction was issued to its queue, or completed, in ``cycle``."""

    cycle: int
    queue: Queue
    completed: bool


class Observer:
    """Is told what happens in a `Simulation` while simulated time passes; this one does not care.

    What the simulation holds, memories included, is as it is in the cycle of which the observer is told. An exception
    goes through to whoever lets time pass, and leaves the simulation usable.
    """

    def started(self) -> None:
        """A run has been started; cycles count from here."""

    def advanced(self, cycle: int, events: list[Event]) -> None:
        """Time has passed: a register's transfer, or else at most `CHUNK` cycles and none after an instruction completed.

        ``cycle`` counts from the start of the run; ``events`` are those since the last call, in order.
        """


class Simulation(Transport):
    """An accelerator of ``config`` in Verilator, and the memory beside it.

    It advances during transfers of registers and in `wait`, which takes a second for `CLOCK_HZ` cycles; between them no
    time passes.

    Parameters
    ----------
    config : isa.config.AcceleratorConfig
    memory_bytes : int
        External memory; accesses beyond it are answered with an error.
    memory_base : int
        Address of the memory's first byte.
    timing : isa.memory_timing.MemoryTiming
        Of external memory.
    memory : uint8 array or None
        External memory that somebody else sees too, ``memory_bytes`` of it; by default the simulation has its own.
    library : path or None
        The library of ``config``, if it has been built.
    progress : callable
        See `sim.build.build`.

    Attributes
    ----------
    memory : (memory_bytes,) uint8 array
        External memory.
    observer : Observer
        Is told what happens.
    library, handle
        What `harness.cpp` exports, and its simulation: for callers in C.

    Raises
    ------
    formats.errors.BuildError
    """

    def __init__(
        self,
        config: AcceleratorConfig,
        memory_bytes: int = 1 << 24,
        memory_base: int = 0,
        timing: MemoryTiming = PLAIN,
        memory: np.ndarray | None = None,
        library: Path | None = None,
        progress: Callable[[str], object] = lambda text: None,
    ):
        self.config, self.memory_bytes, self.memory_base = config, memory_bytes, memory_base
        self.observer = Observer()
        self._shared = memory  # kept alive as long as the simulation
        self.library = _load(build(config, progress) if library is None else library)
        address = None if memory is None else memory.ctypes.data
        self.handle = self.library.bittern_new(address, memory_bytes, memory_base, ctypes.byref(_Timing.of(timing)))
        self.memory = np.ctypeslib.as_array(self.library.bittern_memory(self.handle), (memory_bytes,))
        self._started = self._told = 0

    def __enter__(self) -> "Simulation":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self.handle:
            self.library.bittern_delete(self.handle)
            self.handle = None

    @property
    def cycle(self) -> int:
        """Clock cycles simulated so far."""
        return self.library.bittern_cycle(self.handle)

    @property
    def events(self) -> list[Event]:
        """What has happened since a run was last started."""
        return self._events(0)

    def now(self) -> float:
        return self.cycle / CLOCK_HZ

    def read_register(self, address: int) -> int:
        value = ctypes.c_uint32()
        self._require_okay(self.library.bittern_read(self.handle, address, ctypes.byref(value)), address)
        self._tell()
        return value.value

    def write_register(self, address: int, value: int) -> None:
        start = address == ADDRESS["control"] and value >> Control.START & 1
        if start:
            self.library.bittern_clear_events(self.handle)
            self._told = 0
        self._require_okay(self.library.bittern_write(self.handle, address, value), address)
        if start:
            self._started = self.cycle
            self.observer.started()
        self._tell()

    def read_memory(self, offset: int, size: int) -> bytes:
        self.check_range(offset, size)
        return self.memory[offset : offset + size].tobytes()

    def write_memory(self, offset: int, data: bytes) -> None:
        self.check_range(offset, len(data))
        self.memory[offset : offset + len(data)] = np.frombuffer(data, np.uint8)

    def wait(self, seconds: float) -> None:
        end = self.now() + seconds
        while self.now() < end and not self.advance(CHUNK):
            pass

    def advance(self, cycles: int) -> bool:
        """Simulate up to ``cycles`` cycles; returns early, and True, when the interrupt is high."""
        end = self.cycle + cycles
        while (left := end - self.cycle) > 0:
            interrupt = self.library.bittern_run(self.handle, min(left, CHUNK)) == 2
            self._tell()
            if interrupt:
                return True
        return False

    def silence(self, port: int | None) -> None:
        """From now on memory ``port`` neither takes nor answers, until the next call; None: all do."""
        self.library.bittern_silence(self.handle, -1 if port is None else port)

    def dump(self, memory: Memory, first: int = 0, count: int | None = None) -> np.ndarray:
        """Words ``first`` .. of an on-chip memory, as `program.memory_image.unpack_symbol` takes them."""
        depth, _ = depth_of(self.config, memory)
        banks, size = word_shape(self.config, memory)
        count = depth - first if count is None else count
        if not 0 <= first <= first + count <= depth:
            raise ValueError(f"words {first}..{first + count - 1} are outside the {memory.name} memory of {depth}")
        words = np.empty((count, banks, size), np.uint8)
        stacked = ROW_MEMORY_BANK if memory is Memory.RESIDUAL else 0
        self.library.bittern_dump(self.handle, memory.value, first, count, size, stacked, words.ctypes.data)
        return words.view("<i2")[:, 0] if memory is Memory.RESIDUAL else words

    def _tell(self) -> None:
        events = self._events(self._told)
        self._told += len(events)
        self.observer.advanced(self.cycle - self._started, events)

    def _events(self, first: int) -> list[Event]:
        count = self.library.bittern_event_count(self.handle)
        raw = self.library.bittern_events(self.handle)
        return [Event(raw[i].cycle, Queue(raw[i].queue), bool(raw[i].completed)) for i in range(first, count)]

    @staticmethod
    def _require_okay(answer: int, address: int) -> None:
        if answer != 1:
            problem = "does not answer" if answer == 0 else f"answers with AXI response {answer - 1}"
            raise TransportError(f"register 0x{address:03X} {problem}; see docs/registers.md")


class _Event(ctypes.Structure):
    _fields_ = [("cycle", ctypes.c_uint64), ("queue", ctypes.c_uint32), ("completed", ctypes.c_uint32)]


class _Timing(ctypes.Structure):
    _fields_ = [(field.name, ctypes.c_uint32) for field in fields(MemoryTiming)]

    @classmethod
    def of(cls, timing):
        return cls(**asdict(timing))


def _load(path: Path) -> Any:
    """The library at ``path`` with the types of what it exports."""
    lib = ctypes.CDLL(str(path))
    handle = ctypes.c_void_p
    signatures = {
        "bittern_new": (handle, [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64, ctypes.POINTER(_Timing)]),
        "bittern_delete": (None, [handle]),
        "bittern_memory": (ctypes.POINTER(ctypes.c_uint8), [handle]),
        "bittern_cycle": (ctypes.c_uint64, [handle]),
        "bittern_interrupt": (ctypes.c_int, [handle]),
        "bittern_silence": (None, [handle, ctypes.c_int]),
        "bittern_queue_new": (handle, [ctypes.POINTER(_Timing)]),
        "bittern_queue_begin": (ctypes.c_uint64, [handle, ctypes.c_uint64, ctypes.c_uint64]),
        "bittern_queue_delete": (None, [handle]),
        "bittern_run": (ctypes.c_int, [handle, ctypes.c_uint64]),
        "bittern_event_count": (ctypes.c_uint64, [handle]),
        "bittern_events": (ctypes.POINTER(_Event), [handle]),
        "bittern_clear_events": (None, [handle]),
        "bittern_write": (ctypes.c_int, [handle, ctypes.c_uint32, ctypes.c_uint32]),
        "bittern_read": (ctypes.c_int, [handle, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint32)]),
        "bittern_dump": (None, [handle] + [ctypes.c_uint32] * 5 + [ctypes.c_void_p]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib
