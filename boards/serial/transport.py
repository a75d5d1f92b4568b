"""Transport over a serial line, to a board such as the ULX3S, whose record has the defaults."""

import time
from typing import Any

from boards.serial.link import Port, SerialLink
from boards.serial.port import SerialPort
from boards.ulx3s.record import BOARD
from driver.transport import Transport
from golden.serial import MOST_BYTES, REGISTER_BYTES, Command

#: Seconds between two looks at the status register: about as long as one takes.
POLL = 0.002


class SerialTransport(Transport):
    """The board at the other end of a serial line.

    Parameters
    ----------
    path : str
        Such as /dev/ttyUSB0.
    baud, memory_bytes : int
        As the bitstream was built.
    port
        What stands in the place of `boards.serial.port.SerialPort`, if given.
    options
        Passed on to `boards.serial.link.SerialLink`.

    Raises
    ------
    TransportError
        If there is no such line, or nothing answers.
    """

    def __init__(
        self,
        path: str,
        baud: int = BOARD.baud,
        memory_bytes: int = BOARD.memory_bytes,
        port: Port | None = None,
        **options: Any,
    ):
        self.memory_bytes = memory_bytes
        self.port = port or SerialPort(path, baud)
        self.link = SerialLink(self.port, **options)
        try:
            self.link.connect()
        except BaseException:
            self.port.close()
            raise

    def read_register(self, address: int) -> int:
        return int.from_bytes(self.link.ask(Command.READ_REGISTER, address, length=REGISTER_BYTES), "little")

    def write_register(self, address: int, value: int) -> None:
        self.link.ask(Command.WRITE_REGISTER, address, int(value).to_bytes(REGISTER_BYTES, "little"))

    def read_memory(self, offset: int, size: int) -> bytes:
        self.check_range(offset, size)
        parts = (
            self.link.ask(Command.READ_MEMORY, offset + first, length=min(MOST_BYTES, size - first))
            for first in range(0, size, MOST_BYTES)
        )
        return b"".join(parts)

    def write_memory(self, offset: int, data: bytes) -> None:
        self.check_range(offset, len(data))
        for first in range(0, len(data), MOST_BYTES):
            self.link.ask(Command.WRITE_MEMORY, offset + first, bytes(data[first : first + MOST_BYTES]))

    def wait(self, seconds: float) -> None:
        time.sleep(min(seconds, POLL))

    def close(self) -> None:
        self.port.close()
