"""A serial line of this computer as bytes in and out, with time-outs; by pyserial, which knows every system's."""

import os
import time
from contextlib import contextmanager
from typing import Any

from driver.errors import TransportError


class Unplugged(TransportError):
    """The serial line is gone: the cable was pulled, or the adapter reset."""


def pyserial() -> Any:
    """The library. Raises TransportError that says how to get it."""
    try:
        import serial
    except ImportError:
        raise TransportError(
            "a serial line needs pyserial, which is not installed; install the extra: pip install -e '.[serial]'"
        ) from None
    return serial


def rates() -> list[int]:
    """Baud rates that lines are usually set to, ascending."""
    return sorted(pyserial().Serial.BAUDRATES)


class SerialPort:
    """A serial line such as /dev/ttyUSB0: 8 data bits, no parity, one stop bit, no flow control; nobody else may open it.

    Parameters
    ----------
    path : str
    baud : int

    Raises
    ------
    TransportError
        If it cannot be opened or set up, or pyserial is missing.
    """

    def __init__(self, path: str, baud: int):
        self.path, self._library = path, pyserial()
        if baud not in rates():
            near = sorted(rates(), key=lambda rate: abs(rate - baud))[:3]
            raise TransportError(
                f"a serial line cannot be set to {baud} baud; the nearest usual rates are "
                f"{', '.join(map(str, sorted(near)))}: build the bitstream for one of them"
            )
        try:
            self._port = self._library.Serial(path, baud, timeout=0, exclusive=True)
        except OSError as error:
            raise TransportError(self._unopened(error)) from None

    def _unopened(self, error):
        """Why the port cannot be opened; pyserial tells a file that is no serial line by an error without a number."""
        if error.errno is None:
            return f"{self.path} is not a serial line; name that of the board, such as /dev/ttyUSB0"
        if isinstance(error.__context__, BlockingIOError):
            return f"{self.path} is in use by another program; end it first"
        return (
            f"cannot open {self.path}: {os.strerror(error.errno)}; is the board plugged in, and may you use the device "
            "(on most systems: are you in the group dialout)?"
        )

    def read(self, timeout: float) -> bytes:
        """What has come, at least one byte; b"" if nothing comes within ``timeout`` seconds. Raises Unplugged."""
        with self._told():
            self._port.timeout = max(timeout, 0)
            first = self._port.read(1)
            return first + self._port.read(self._port.in_waiting) if first else first

    def write(self, data: bytes, timeout: float) -> None:
        """Write all of ``data``; raises TransportError if that takes longer than ``timeout`` seconds, or Unplugged."""
        try:
            with self._told():
                self._port.write_timeout = timeout
                self._port.write(data)
        except self._library.SerialTimeoutException:
            raise TransportError(
                f"{self.path} takes no bytes for {timeout:g} s; does another program use it? Reconnect the board"
            ) from None

    @staticmethod
    def now() -> float:
        """Seconds on the clock of the time-outs."""
        return time.monotonic()

    def close(self) -> None:
        """Give the device back; closing twice is harmless."""
        self._port.close()

    @contextmanager
    def _told(self):
        """What the library or the system says of a line that is closed or gone, as a TransportError."""
        try:
            yield
        except self._library.PortNotOpenError:
            raise TransportError(f"{self.path} has been closed; open it again") from None
        except self._library.SerialTimeoutException:
            raise
        except OSError as error:
            reason = getattr(error.__context__, "strerror", None) or error.strerror or error
            raise Unplugged(f"{self.path} is gone ({reason}); plug the board in and open it again") from None
