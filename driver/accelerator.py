"""The driver: one accelerator, whatever the transport; loads programs, runs inferences, reads counters."""

from typing import Any, Generic, Self, TypeVar

import numpy as np

from driver.errors import RunError, RunTimeout, TransportError, WrongDevice, WrongProgram
from driver.transport import Transport
from golden.model import Input
from isa.errors import Error
from isa.registers import ADDRESS, IDENTIFICATION, LENGTHS, VERSION, Control, Status
from program.memory_image import pack_batch, unpack_output
from program.placement import SLOTS, Placement
from program.program import Program

AnyTransport = TypeVar("AnyTransport", bound=Transport)
_ADVICE = {
    Error.AXI_READ: "the memory does not answer where the program reads: check the memory's address and size",
    Error.AXI_WRITE: "the memory does not answer where the program writes: check the memory's address and size",
    Error.INDEX_RANGE: "an input has a token id outside the vocabulary",
    Error.ABORTED: "it was told to",
    Error.DEADLINE: "the run took as many cycles as the deadline allows: give a later one",
    Error.LOST: "the hardware was upset: run it again, and reload the bitstream if that happens often",
    Error.WATCHDOG: "nothing moved for the watchdog's time: check the memory, or give a larger watchdog",
}
_DEFAULT_ADVICE = "the program in memory is damaged or not for this accelerator: compile and load it again"


class Accelerator(Generic[AnyTransport]):
    """An accelerator behind a `driver.transport.Transport`; a context manager that closes it.

    Parameters
    ----------
    transport : driver.transport.Transport
        Belongs to the accelerator from now on, and is closed if it does not lead to one.
    timeout : float
        Seconds that one inference may take, by the transport's clock.
    watchdog : int
        Clock cycles without any progress after which the accelerator gives up by itself; 0: never.
    deadline : int
        Clock cycles that one inference may take before the accelerator gives up by itself; 0: any number.

    Attributes
    ----------
    transport : driver.transport.Transport
    program : program.program.Program or None
        What is loaded.
    placement : program.placement.Placement
        Where in the transport's memory that is.

    Raises
    ------
    WrongDevice, TransportError
    """

    placement: Placement

    def __init__(self, transport: AnyTransport, timeout: float = 10.0, watchdog: int = 1 << 20, deadline: int = 0xFFFFFFFF):
        self.transport, self.timeout, self.watchdog, self.deadline = transport, timeout, watchdog, deadline
        self.program: Program | None = None
        try:
            self._identify()
        except BaseException:
            transport.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the transport; the object cannot be used afterwards."""
        self.transport.close()

    def load(self, program: Program) -> None:
        """Put a `program.program.Program` into memory; it stays until the next one.

        Raises
        ------
        WrongProgram
            If it was compiled for another configuration, or the memory is too small for it.
        RunTimeout
            If the accelerator is still busy with an earlier run.
        """
        self._check(program)
        placement = Placement.of(program)
        if placement.bytes > self.transport.memory_bytes:
            raise WrongProgram(
                f"the program needs {placement.bytes} bytes of memory, and the transport has {self.transport.memory_bytes}; "
                "give it more, or use a smaller model"
            )
        self._wait_until_idle()
        self.program = None  # if the transfer fails, there is none
        self.placement = placement
        self.transport.write_memory(placement.image, program.image)
        self._write_address("image_base", placement.image)
        self._write("program_offset", program.program_offset)
        self._write("program_length", len(program.instructions))
        self._write("watchdog", self.watchdog)
        self._write("deadline", self.deadline)
        self._write("interrupt_enable", 1)
        self.program = program

    def run(self, inputs: Any, lengths: Any = None) -> np.ndarray:
        """Run one sample, or several in order, as many together as the program computes in a run; the next inputs and the
        last outputs move while the accelerator computes.

        Parameters
        ----------
        inputs : int array
            Token ids (tokens,) or patch codes (tokens, input_size), or samples of them with one axis more in front.
        lengths : int, int array or None
            Tokens of each sample that are not padding, (samples,) for several; None: all.

        Returns
        -------
        int64 array
            Logits (classes,), or (tokens, classes) for a per-token head; (samples, ...) for several.

        Raises
        ------
        ValueError
            For inputs that the program does not take.
        RunError
            If the accelerator reports an error, RunTimeout if it takes longer than ``timeout`` seconds, after which it is
            told to abort; the samples before are lost, and the next call starts afresh.
        """
        if self.program is None:
            raise WrongProgram("no program is loaded; call load(program) first")
        inputs = np.asarray(inputs)
        several = inputs.ndim == (2 if self.program.input.input is Input.TOKENS else 3)
        samples = inputs if several else inputs[None]
        program, tokens = self.program, self.program.input.tokens
        lengths = np.broadcast_to(tokens if lengths is None else np.asarray(lengths), len(samples)).tolist()
        runs = [slice(first, first + program.batch) for first in range(0, len(samples), program.batch)]
        # All of them before any runs: a bad sample must not cost those before it.
        packed = [pack_batch(program, samples[run], lengths[run]) for run in runs]
        outputs = []
        for run, data in zip(runs, self._stream(packed, [lengths[run] for run in runs])):
            outputs += [unpack_output(program, data, length, sample) for sample, length in enumerate(lengths[run])]
        return np.stack(outputs) if several else outputs[0]

    def abort(self) -> None:
        """End what is running with error ABORTED, whatever it waits for; nothing happens if nothing runs. The next `run` or
        `load` waits until it has ended. Before the accelerator alone is reset, abort it and wait: memory that still
        answers would answer the wrong run."""
        self._write("control", 1 << Control.ABORT)

    def counters(self) -> dict[str, int]:
        """Performance counters of the last inference, by their names in `isa.registers`: those the transport has."""
        return {name: self._read(f"counter_{name}") for name in self.transport.counters}

    def _stream(self, packed, lengths):
        """Content of region OUTPUT for each packed input, one run ahead; ``lengths`` are those of the samples of each."""
        if not packed:
            return
        self._wait_until_idle()
        self._write("interrupt", 1)  # of a run that was given up, whose interrupt would keep the next one's from coming
        self._send(0, packed[0])
        self._start(0, lengths[0])
        for index in range(len(packed)):
            if more := index + 1 < len(packed):
                self._send(index + 1, packed[index + 1])
            self._finish()
            if more:
                self._start(index + 1, lengths[index + 1])
            yield self.transport.read_memory(self.placement.outputs[index % SLOTS], self.program.output_bytes)

    def _send(self, index, data):
        self.transport.write_memory(self.placement.inputs[index % SLOTS], data)

    def _start(self, index, lengths):
        self._write_address("input_base", self.placement.inputs[index % SLOTS])
        self._write_address("output_base", self.placement.outputs[index % SLOTS])
        assert self.program is not None, "there is one while it runs"
        # Of samples that are not there nothing is computed.
        for name, length in zip(LENGTHS, [*lengths, *[0] * (self.program.batch - len(lengths))]):
            self._write(name, length)
        self._write("control", 1 << Control.START)

    def _finish(self):
        """Wait for the end of the run, acknowledge it, and raise RunError if it failed."""
        try:
            status = self._wait_until_idle()
        except RunTimeout:
            self.abort()
            raise
        self._write("interrupt", 1)
        if status >> Status.ERROR & 1:
            number, instruction = self._read("error_code"), self._read("error_instruction")
            if number not in set(Error):
                raise TransportError(f"register error_code reads {number}, which is no error; reload the bitstream")
            names = self.program.names
            name = names[instruction] if instruction < len(names) else "beyond the program"
            owner = self._read("error_port")
            advice = _ADVICE.get(Error(number), _DEFAULT_ADVICE)
            raise RunError(Error(number), instruction, name, advice, owner - 1 if owner else None)
        if not status >> Status.DONE & 1:
            raise TransportError("the accelerator neither runs nor is done: was it reset? Load the program again")

    def _wait_until_idle(self):
        """Wait until the accelerator is not busy; returns its status. Raises RunTimeout."""
        deadline = self.transport.now() + self.timeout
        while (status := self._read("status")) >> Status.BUSY & 1:
            left = deadline - self.transport.now()
            if left <= 0:
                raise RunTimeout(
                    f"the accelerator is still busy after {self.timeout:g} s; give a longer timeout, or abort the run, "
                    "and reload the bitstream if it stays busy"
                )
            self.transport.wait(left)
        return status

    def _identify(self):
        found = self._read("identification")
        if found != IDENTIFICATION:
            raise WrongDevice(
                f"register identification reads 0x{found:08X}, not 0x{IDENTIFICATION:08X}: there is no Bittern at this "
                "address; load its bitstream, or name the right device"
            )
        version = self._read("version")
        if version != VERSION:
            raise WrongDevice(
                f"the accelerator has version {version} of the register map and this driver version {VERSION}; "
                "build the bitstream and the driver from the same release"
            )

    def _check(self, program):
        """Raise WrongProgram unless ``program`` is for this accelerator; the sizes that registers tell are named."""
        config = program.config
        if self._read("configuration") == config.checksum:
            return
        shape, lanes = self._read("shape"), self._read("lanes")
        values = [shape & 0xFF, shape >> 8 & 0xFF, shape >> 16 & 0xFF, shape >> 24, lanes & 0xFF, lanes >> 8 & 0xFF]
        names = ("rows", "columns", "depth", "drain", "row_lanes", "axi_bits")
        different = [
            f"{name} is {getattr(config, name)} there and {1 << value} here"
            for name, value in zip(names, values)
            if getattr(config, name) != 1 << value
        ]
        raise WrongProgram(
            "the program is for another configuration than the accelerator's: "
            f"{', '.join(different) or 'the depths of memories and queues differ'}; compile it for the bitstream's preset"
        )

    def _read(self, name):
        return self.transport.read_register(ADDRESS[name])

    def _write(self, name, value):
        self.transport.write_register(ADDRESS[name], value)

    def _write_address(self, name, offset):
        address = self.transport.memory_base + offset
        self._write(f"{name}_low", address & 0xFFFFFFFF)
        self._write(f"{name}_high", address >> 32)
