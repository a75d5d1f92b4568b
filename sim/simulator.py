"""Runs programs on the Verilated RTL: external memory, registers, events, and the contents of on-chip memories."""

import ctypes
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from isa.instruction import Memory, Queue, queue_of
from isa.memory import ROW_MEMORY_BANK, depth_of, word_shape
from isa.registers import ADDRESS, COUNTERS, IDENTIFICATION, Error, Status
from program.memory_image import pack_input, unpack_output
from sim.build import build

PAGE = 4096
CHUNK = 1_000  # cycles between two looks at the world: Ctrl-C waits for no more, even at a few thousand cycles a second
FULL_BANDWIDTH = 256


class Event(NamedTuple):
    """An instruction was issued to its queue, or completed, in ``cycle``."""

    cycle: int
    queue: Queue
    completed: bool


class RunError(RuntimeError):
    """A run that ended with an error: ``code`` of `isa.registers.Error` and the ``instruction``'s index."""

    def __init__(self, code, instruction, name):
        super().__init__(f"the accelerator stopped with {code.name} at instruction {instruction} ({name})")
        self.code, self.instruction = code, instruction


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a run, which cannot go on: at which ``cycle``, how many instructions were ``completed``, of how many.

    ``last`` is the index of the instruction that completed last, or None, and ``name`` what it computes.
    """

    def __init__(self, cycle, completed, total, last, name):
        place = "" if last is None else f", the last of them instruction {last} ({name})"
        super().__init__(f"at cycle {cycle}, {completed} of {total} instructions completed{place}")
        self.cycle, self.completed, self.last = cycle, completed, last


@dataclass(frozen=True)
class Run:
    """One inference: logits, cycles from START to the end, counters by name, and what happened when."""

    logits: np.ndarray
    cycles: int
    counters: dict[str, int]
    events: list[Event]


class _Event(ctypes.Structure):
    _fields_ = [("cycle", ctypes.c_uint64), ("queue", ctypes.c_uint32), ("completed", ctypes.c_uint32)]


def _library(path):
    lib = ctypes.CDLL(str(path))
    handle = ctypes.c_void_p
    signatures = {
        "bittern_new": (handle, [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint32]),
        "bittern_delete": (None, [handle]),
        "bittern_memory": (ctypes.POINTER(ctypes.c_uint8), [handle]),
        "bittern_cycle": (ctypes.c_uint64, [handle]),
        "bittern_interrupt": (ctypes.c_int, [handle]),
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


class RtlSimulator:
    """An accelerator of ``config`` in Verilator, and the memory beside it. A context manager.

    Parameters
    ----------
    config : isa.config.AcceleratorConfig
    memory_bytes : int
        External memory; accesses beyond it are answered with an error.
    latency : int
        Cycles from a read's address to its first beat.
    bandwidth : int
        Beats per 256 cycles, at most 256.
    watchdog : int
        Cycles without progress before the accelerator gives up.
    progress : callable
        See `sim.build.build`.
    library : path or None
        The library of ``config``, if it has been built.
    memory_base : int
        Address of the memory's first byte.
    memory : uint8 array or None
        External memory that somebody else sees too, ``memory_bytes`` of it; by default the simulation has its own.
    """

    def __init__(
        self,
        config,
        memory_bytes=1 << 24,
        latency=40,
        bandwidth=FULL_BANDWIDTH,
        watchdog=100_000,
        progress=lambda text: None,
        library=None,
        memory_base=0,
        memory=None,
    ):
        self.config, self.memory_bytes, self.watchdog = config, memory_bytes, watchdog
        self._lib = _library(build(config, progress) if library is None else library)
        self.memory_base, self._shared = memory_base, memory  # kept alive as long as the simulation
        address = None if memory is None else memory.ctypes.data
        self._handle = self._lib.bittern_new(address, memory_bytes, memory_base, latency, bandwidth)
        self.memory = np.ctypeslib.as_array(self._lib.bittern_memory(self._handle), (memory_bytes,))
        self.program: Any = None  # a program.program.Program from `load` on
        if self.read_register("identification") != IDENTIFICATION:
            raise RuntimeError("the RTL does not answer with its identification")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Free the simulation; the object cannot be used afterwards."""
        if self._handle:
            self._lib.bittern_delete(self._handle)
            self._handle = None

    @property
    def cycle(self):
        """Clock cycles simulated so far."""
        return self._lib.bittern_cycle(self._handle)

    def read(self, address):
        """Value of the register at a byte address. Raises RuntimeError for an answer other than OKAY, or none."""
        value = ctypes.c_uint32()
        self._require_okay(self._lib.bittern_read(self._handle, address, ctypes.byref(value)), address)
        return value.value

    def write(self, address, value):
        """Write the register at a byte address; raises as `read`."""
        self._require_okay(self._lib.bittern_write(self._handle, address, value), address)

    @staticmethod
    def _require_okay(answer, address):
        if answer != 1:
            problem = "does not answer" if answer == 0 else f"answers with AXI response {answer - 1}"
            raise RuntimeError(f"register 0x{address:03X} {problem}")

    def read_register(self, name):
        """Value of a register by its name in `isa.registers`."""
        return self.read(ADDRESS[name])

    def write_register(self, name, value):
        """Write a register by its name."""
        self.write(ADDRESS[name], value)

    def advance(self, cycles):
        """Simulate up to ``cycles`` cycles; returns early, and True, when the interrupt is high."""
        end = self.cycle + cycles
        while self.cycle < end:
            if self._lib.bittern_run(self._handle, end - self.cycle) == 2:
                return True
        return False

    def load(self, program, image=None):
        """Put a program in memory: ``image`` in place of its own image, if given."""
        image = program.image if image is None else image
        self._input = -(-len(image) // PAGE) * PAGE
        self._output = self._input + -(-program.input.bytes // PAGE) * PAGE
        if self._output + program.output.bytes > self.memory_bytes:
            raise ValueError(
                f"the program needs {self._output + program.output.bytes} bytes of external memory, but the simulation "
                f"has {self.memory_bytes}; create it with more memory_bytes"
            )
        self.memory[: len(image)] = np.frombuffer(image, np.uint8)
        self.program = program
        for name, value in (
            ("image_base", 0), ("input_base", self._input), ("output_base", self._output),
        ):  # fmt: skip
            self.write_register(f"{name}_low", (self.memory_base + value) & 0xFFFFFFFF)
            self.write_register(f"{name}_high", (self.memory_base + value) >> 32)
        self.write_register("program_offset", program.program_offset)
        self.write_register("program_length", len(program.instructions))
        self.write_register("watchdog", self.watchdog)
        self.write_register("interrupt_enable", 1)
        self._place = {}
        counts = dict.fromkeys(Queue, 0)
        for index, instruction in enumerate(program.instructions):
            queue = queue_of(instruction)
            if queue is not None:
                counts[queue] += 1
                self._place[queue, counts[queue]] = index

    def run(self, inputs, length, on_completed=lambda index: None, on_progress=lambda cycle, completed: None):
        """One inference.

        Parameters
        ----------
        inputs, length
            See `program.memory_image.pack_input`.
        on_completed : callable
            Called with the index of each instruction when it has completed, to look into memories.
        on_progress : callable
            Called often, with the cycles since START and the number of instructions completed; HALT is none of them.

        Raises
        ------
        RunError
            If the accelerator reports an error.
        Interrupted
            On Ctrl-C.
        """
        data = pack_input(self.program, inputs, length)
        self.memory[self._input : self._input + len(data)] = np.frombuffer(data, np.uint8)
        self.memory[self._output : self._output + self.program.output.bytes] = 0
        self.write_register("length", length)
        self._lib.bittern_clear_events(self._handle)
        self.write_register("control", 1)
        started, done = self.cycle, []
        try:
            self._run_to_the_end(started, done, on_completed, on_progress)
        except KeyboardInterrupt:
            last = done[-1] if done else None
            name = None if last is None else self._name(last)
            raise Interrupted(self.cycle - started, len(done), len(self._place), last, name) from None
        self.write_register("interrupt", 1)
        counters = {name: self.read_register(f"counter_{name}") for name, _ in COUNTERS}
        if self.read_register("status") >> Status.ERROR & 1:
            index = self.read_register("error_instruction")
            raise RunError(Error(self.read_register("error_code")), index, self._name(index))
        output = self.memory[self._output : self._output + self.program.output.bytes].tobytes()
        return Run(unpack_output(self.program, output), counters["cycles"], counters, self._events(0))

    def _run_to_the_end(self, started, done, on_completed, on_progress):
        """Run until the interrupt rises; appends to ``done`` the indices of instructions as they complete."""
        completed = dict.fromkeys(Queue, 0)
        seen, ended = 0, False
        while not ended:
            ended = self._lib.bittern_run(self._handle, CHUNK) == 2
            events = self._events(seen)
            seen += len(events)
            for event in events:
                if event.completed:
                    completed[event.queue] += 1
                    index = self._place.get((event.queue, completed[event.queue]))
                    if index is not None:  # a corrupted image may hold more instructions than its program
                        done.append(index)
                        on_completed(index)
            on_progress(self.cycle - started, len(done))

    def _name(self, index):
        return self.program.names[index] if index < len(self.program.names) else "beyond the program"

    def _events(self, first):
        count = self._lib.bittern_event_count(self._handle)
        raw = self._lib.bittern_events(self._handle)
        return [Event(raw[i].cycle, Queue(raw[i].queue), bool(raw[i].completed)) for i in range(first, count)]

    def dump(self, memory, first=0, count=None):
        """Words ``first`` .. of an on-chip memory, as `program.memory_image.unpack_symbol` takes them."""
        depth, _ = depth_of(self.config, memory)
        banks, size = word_shape(self.config, memory)
        count = depth - first if count is None else count
        if not 0 <= first <= first + count <= depth:
            raise ValueError(f"words {first}..{first + count - 1} are outside the {memory.name} memory of {depth}")
        words = np.empty((count, banks, size), np.uint8)
        stacked = ROW_MEMORY_BANK if memory is Memory.RESIDUAL else 0
        self._lib.bittern_dump(self._handle, memory.value, first, count, size, stacked, words.ctypes.data)
        return words.view("<i2")[:, 0] if memory is Memory.RESIDUAL else words
