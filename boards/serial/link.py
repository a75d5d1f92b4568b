"""Host side of the serial link: requests and answers of `golden.serial`, repeated until one comes through."""

from typing import Protocol

from driver.errors import TransportError
from golden.serial import END, Command, FrameError, Status, parse_answer, request


class Port(Protocol):
    """What a link sends over, such as `boards.serial.port.SerialPort`."""

    @property
    def path(self) -> str:
        """Its name, for people."""

    def read(self, timeout: float) -> bytes:
        """What has come, at least one byte; b"" if nothing comes within ``timeout`` seconds."""

    def write(self, data: bytes, timeout: float) -> object:
        """Write all of ``data`` within ``timeout`` seconds."""

    def now(self) -> float:
        """Seconds since some moment."""

    def close(self) -> object:
        """Release it."""


class NoAnswer(TransportError):
    """The board did not answer in time."""


class DamagedLine(TransportError):
    """Requests or answers arrive damaged, again and again."""


class ShortAnswer(TransportError):
    """An answer that is whole but has not as many bytes as were asked for."""


class Refused(TransportError):
    """The board refused a request: outside its memory, no such register, or no such command."""


_REASONS = {
    Status.BAD_COMMAND: "it does not know the request: build bitstream and driver from the same release",
    Status.BAD_ADDRESS: "the address is outside its memory, or no register: check the size that was given for the memory",
}


class SerialLink:
    """Requests over a port, one at a time.

    Parameters
    ----------
    port : Port
    timeout : float
        Seconds to wait for an answer.
    attempts : int
        How often a request is sent before the link gives up. A write is never done twice: the board knows a repetition.

    Attributes
    ----------
    quiet : float
        Seconds without a byte before a request is sent again.
    repeated : int
        Requests that had to be sent again.
    """

    def __init__(self, port: Port, timeout: float = 0.5, attempts: int = 4):
        self.port, self.timeout, self.attempts = port, timeout, attempts
        self.quiet = timeout / 10
        self.repeated = 0
        self._sequence = 0
        self._inner: bytearray | None = None  # bytes since the last END; None before the first
        self._frames: list[bytes] = []

    def connect(self) -> bytes:
        """Get in step with the board: whatever it was sent before, it now answers a read of its first register.

        Being a read, it tells the board the sequence number before our first write's, so that is no repetition.
        """
        return self.ask(Command.READ_REGISTER, 0, length=4)

    def ask(self, command: Command, address: int, data: bytes = b"", length: int | None = None) -> bytes:
        """Data of the answer to a request.

        Raises
        ------
        NoAnswer, DamagedLine
            If no attempt came through.
        ShortAnswer, Refused
        boards.serial.port.Unplugged
        """
        self._sequence = (self._sequence + 1) % 256
        frame = request(command, self._sequence, address, data, length)
        problem: TransportError | None = None
        for attempt in range(self.attempts):
            if attempt:
                self.repeated += 1
            # The board may still be answering what damage left there; it does not listen meanwhile.
            self._forget(self.quiet if attempt else 0)
            self.port.write(frame, self.timeout)
            try:
                return self._accept(self._answer(), command, address, length)
            except (NoAnswer, DamagedLine) as error:
                problem = error
        assert problem is not None
        raise problem

    def _accept(self, answer, command, address, length):
        if answer.status != Status.DONE:
            reason = _REASONS.get(answer.status, f"status {answer.status} is not known: update the driver")
            raise Refused(f"the board refuses {command.name} at 0x{address:X}: {reason}")
        wanted = 0 if command.writes else length
        if len(answer.data) != wanted:
            raise ShortAnswer(
                f"the board answers {command.name} of {wanted} bytes at 0x{address:X} with {len(answer.data)}; "
                "build bitstream and driver from the same release"
            )
        return answer.data

    def _answer(self):
        """The answer with the number of the last request; others are late ones to requests that were sent again."""
        deadline = self.port.now() + self.timeout
        while True:
            while not self._frames:
                self._collect(deadline)
            try:
                answer = parse_answer(self._frames.pop(0))
            except FrameError as error:
                raise DamagedLine(f"{error}; check cable, ground and baud rate of {self.port.path}") from None
            if answer.status in (Status.BAD_FRAME, Status.BAD_CHECKSUM):
                raise DamagedLine(
                    f"the board receives damaged requests ({Status(answer.status).name}), {self.attempts} times in a row; "
                    f"check cable, ground and baud rate of {self.port.path}"
                )
            if answer.sequence == self._sequence:
                return answer

    def _collect(self, deadline):
        """Split what comes into frames."""
        left = deadline - self.port.now()
        data = self.port.read(left) if left > 0 else b""
        if not data and left <= 0:
            cut = f" (it stopped within one, after {len(self._inner)} bytes)" if self._inner else ""
            raise NoAnswer(
                f"nothing answers on {self.port.path} within {self.timeout:g} s{cut}; is the bitstream loaded, "
                "is it the right device, and has it this baud rate?"
            )
        for byte in data:
            if byte != END:
                if self._inner is not None:
                    self._inner.append(byte)
                continue
            if self._inner:
                self._frames.append(bytes(self._inner))
            self._inner = bytearray()

    def _forget(self, quiet):
        """Drop what comes until nothing has for ``quiet`` seconds: an answer to an earlier attempt is no answer to this."""
        while self.port.read(quiet):
            pass
        self._inner, self._frames = None, []
