"""External memory for benches: cocotbext-axi's slave over bytes, with random pauses, bad ranges, and silence."""

import logging

import numpy as np
from cocotbext.axi import AxiReadBus, AxiSlaveRead, AxiSlaveWrite, AxiWriteBus


class AxiMemory:
    """``size`` random bytes behind the AXI4 ports ``{prefix}_araddr`` and so on (those that exist).

    Parameters
    ----------
    prefix : str
        Without the last underscore, which cocotbext-axi puts there.
    stall : float
        Probability of a pause, in each cycle on each channel.

    Members
    -------
    bytes : uint8 array
    bad : range of addresses
        Accesses there are answered with SLVERR.
    """

    def __init__(self, dut, prefix, size, stall, rng):
        self.bytes = rng.integers(0, 256, size, np.uint8)
        self.bad = range(0)
        self._rng, self._stall = rng, stall
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.ERROR)
        self._channels = []
        if hasattr(dut, f"{prefix}_araddr"):
            reader = AxiSlaveRead(AxiReadBus.from_prefix(dut, prefix), dut.clk, dut.rst, target=self)
            self._channels += [reader.ar_channel, reader.r_channel]
        if hasattr(dut, f"{prefix}_awaddr"):
            writer = AxiSlaveWrite(AxiWriteBus.from_prefix(dut, prefix), dut.clk, dut.rst, target=self)
            self._channels += [writer.aw_channel, writer.w_channel, writer.b_channel]
        self.speak()

    def silence(self):
        """Stop taking and answering, in the middle of whatever it is."""
        for channel in self._channels:
            channel.clear_pause_generator()
            channel.pause = True

    def speak(self):
        """Go on."""
        for channel in self._channels:
            channel.pause = False
            if self._stall:
                channel.set_pause_generator(self._pauses())

    def beats(self, address, count, axi_bits):
        """``count`` beats from ``address`` on as Python integers."""
        width = axi_bits // 8
        content = self.bytes[address : address + count * width].reshape(count, width)
        return [int.from_bytes(row.tobytes(), "little") for row in content]

    async def read(self, address, length):
        self._check(address)
        return self.bytes[address : address + length].tobytes()

    async def write(self, address, data):
        self._check(address)
        self.bytes[address : address + len(data)] = np.frombuffer(data, np.uint8)

    def _check(self, address):
        if address in self.bad or address >= len(self.bytes):
            raise IndexError(address)

    def _pauses(self):
        while True:
            yield from (self._rng.random(1000) < self._stall).tolist()
