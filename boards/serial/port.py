"""A serial line of this computer as bytes in and out, raw, with time-outs."""

import errno
import os
import select
import termios
import time

from driver.errors import TransportError


class Unplugged(TransportError):
    """The serial line is gone: the cable was pulled, or the adapter reset."""


def rates():
    """Baud rates that this system can set, ascending."""
    return sorted(int(name[1:]) for name in dir(termios) if name[0] == "B" and name[1:].isdigit() and name != "B0")


class SerialPort:
    """A terminal device such as /dev/ttyUSB0: 8 data bits, no parity, one stop bit, no flow control.

    Parameters
    ----------
    path : str
    baud : int

    Raises
    ------
    TransportError
        If it cannot be opened or set up.
    """

    def __init__(self, path, baud):
        self.path = path
        if baud not in rates():
            near = sorted(rates(), key=lambda rate: abs(rate - baud))[:3]
            raise TransportError(
                f"this system cannot set {baud} baud; the nearest it can are {', '.join(map(str, sorted(near)))}: "
                "build the bitstream for one of them"
            )
        try:
            self._file = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as error:
            raise TransportError(
                f"cannot open {path}: {error.strerror}; is the board plugged in, and may you use the device "
                "(on most systems: are you in the group dialout)?"
            ) from None
        try:
            self._set_up(getattr(termios, f"B{baud}"))
        except (termios.error, OSError):
            self.close()
            raise TransportError(f"{path} is not a serial line; name that of the board, such as /dev/ttyUSB0") from None

    def _set_up(self, speed):
        control = termios.CS8 | termios.CREAD | termios.CLOCAL
        characters = termios.tcgetattr(self._file)[6]
        termios.tcsetattr(self._file, termios.TCSANOW, [termios.IGNBRK, 0, control, 0, speed, speed, characters])
        termios.tcflush(self._file, termios.TCIOFLUSH)

    def read(self, timeout):
        """What has come, at least one byte; b"" if nothing comes within ``timeout`` seconds. Raises Unplugged."""
        self._wait([self._file], [], timeout)
        try:
            data = os.read(self._file, 4096)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._unplugged(error) from None
        if not data and self._wait([self._file], [], 0):
            raise self._unplugged(OSError(errno.EIO, "end of file"))
        return data

    def write(self, data, timeout):
        """Write all of ``data``; raises TransportError if that takes longer than ``timeout`` seconds, or Unplugged."""
        deadline, rest = time.monotonic() + timeout, memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._file, rest) :]
            except BlockingIOError:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TransportError(
                        f"{self.path} takes no bytes for {timeout:g} s; does another program use it? Reconnect the board"
                    ) from None
                self._wait([], [self._file], left)
            except OSError as error:
                raise self._unplugged(error) from None

    @staticmethod
    def now():
        """Seconds on the clock of the time-outs."""
        return time.monotonic()

    def close(self):
        """Give the device back; closing twice is harmless."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _wait(self, read, write, timeout):
        if self._file is None:
            raise TransportError(f"{self.path} has been closed; open it again")
        return any(select.select(read, write, [], max(timeout, 0)))

    def _unplugged(self, error):
        return Unplugged(f"{self.path} is gone ({error.strerror}); plug the board in and open it again")
