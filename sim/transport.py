"""Transport to the RTL in Verilator: simulated time passes while the driver waits."""

import time

import numpy as np

from driver.errors import TransportError
from driver.transport import Transport
from sim.simulator import CHUNK, RtlSimulator


class RtlTransport(Transport):
    """An accelerator of ``config`` in Verilator.

    Parameters
    ----------
    config : isa.config.AcceleratorConfig
    memory_bytes, memory_base : int
        External memory: its size, and where the accelerator sees it.
    options
        Passed on to `sim.simulator.RtlSimulator`.

    Raises
    ------
    formats.errors.BuildError
    """

    def __init__(self, config, memory_bytes=1 << 24, memory_base=0, **options):
        self.memory_bytes, self.memory_base = memory_bytes, memory_base
        self.simulator = RtlSimulator(config, memory_bytes, memory_base=memory_base, **options)

    def read_register(self, address):
        return self._transfer(self.simulator.read, address)

    def write_register(self, address, value):
        self._transfer(self.simulator.write, address, value)

    def read_memory(self, offset, size):
        self.check_range(offset, size)
        return self.simulator.memory[offset : offset + size].tobytes()

    def write_memory(self, offset, data):
        self.check_range(offset, len(data))
        self.simulator.memory[offset : offset + len(data)] = np.frombuffer(data, np.uint8)

    def wait(self, seconds):
        deadline = time.monotonic() + seconds
        while not self.simulator.advance(CHUNK) and time.monotonic() < deadline:
            pass

    def close(self):
        self.simulator.close()

    @staticmethod
    def _transfer(action, *arguments):
        try:
            return action(*arguments)
        except RuntimeError as error:
            raise TransportError(f"{error}; see docs/registers.md") from None
