"""The serial line of a simulated board at its two pins, as the port that `boards.serial.link` talks to."""

import cocotb
from cocotb.task import resume
from cocotb.triggers import ClockCycles, FallingEdge
from cocotb.utils import get_sim_time

IDLE_BITS = 3


class PinPort:
    """Bytes to and from the pins ``uart_rx`` and ``uart_tx`` of ``dut``; ``divisor`` cycles of ``clk25`` a bit.

    Attributes
    ----------
    fault : function of bytes
        What the line makes of each request on its way; tests put damage here.
    """

    path = "the simulated board"

    def __init__(self, dut, divisor):
        self._dut, self.divisor, self._now = dut, divisor, 0.0
        self.fault = bytes
        self._received = bytearray()
        dut.uart_rx.value = 1
        cocotb.start_soon(self._listen())

    async def _listen(self):
        wire, clock = self._dut.uart_tx, self._dut.clk25
        while True:
            await FallingEdge(wire)
            # The middle of the first data bit, or the end of the cycle that holds it.
            await ClockCycles(clock, self.divisor + self.divisor // 2 + 1)
            byte = 0
            for place in range(9):
                byte |= int(wire.value) << place
                if place < 8:
                    await ClockCycles(clock, self.divisor)
            assert byte >> 8, "the stop bit of a byte is low"
            self._received.append(byte & 255)

    async def send(self, data):
        """Send bytes, with a short pause behind them."""
        wire, clock = self._dut.uart_rx, self._dut.clk25
        for byte in data:
            bits = 1 << 9 | byte << 1
            place = 0
            while place < 10:
                level, length = bits >> place & 1, 1
                while place + length < 10 and bits >> place + length & 1 == level:
                    length += 1
                wire.value = level
                await ClockCycles(clock, self.divisor * length)
                place += length
        await ClockCycles(clock, IDLE_BITS * self.divisor)

    def now(self):
        """Simulated seconds, as of the last read or write."""
        return self._now

    @resume
    async def write(self, data, timeout):
        await self.send(self.fault(bytes(data)))
        self._now = get_sim_time("sec")

    @resume
    async def read(self, timeout):
        """What has come; waits for some up to ``timeout`` simulated seconds."""
        deadline = get_sim_time("sec") + timeout
        while not self._received and get_sim_time("sec") < deadline:
            await ClockCycles(self._dut.clk25, 10 * self.divisor)
        self._now = get_sim_time("sec")
        data = bytes(self._received)
        self._received.clear()
        return data

    def close(self):
        pass
