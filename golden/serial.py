"""Serial link between host and board: frames, their checksum, and what the board answers; byte for byte.

A frame is its content between two END bytes, with END and ESCAPE inside it replaced by pairs (SLIP, RFC 1055): after any
damage the receiver is in step again at the next END. The last four bytes of the content are the CRC-32 of IEEE 802.3 of
those before, lowest byte first. Numbers are little endian.

    request   command 8, sequence 8, length 16, address 32, data of a write, checksum 32
    answer    status 8, sequence 8, length 16, data of a read, checksum 32

The board takes one request at a time and answers every frame, damaged ones too. ``length`` counts the bytes to read or
write in a request, and those that follow in an answer.
"""

import struct
import zlib
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

END, ESCAPE, ESCAPED_END, ESCAPED_ESCAPE = 0xC0, 0xDB, 0xDC, 0xDD
#: Most bytes that a request reads or writes.
MOST_BYTES = 1024
REQUEST_HEADER, ANSWER_HEADER = struct.Struct("<BBHI"), struct.Struct("<BBH")
CHECKSUM_BYTES = 4
REGISTER_BYTES = 4
#: Registers are at byte addresses below this one.
REGISTER_SPACE = 4096


class Command(IntEnum):
    READ_REGISTER = 1
    WRITE_REGISTER = 2
    READ_MEMORY = 3
    WRITE_MEMORY = 4

    @property
    def writes(self) -> bool:
        return self in (Command.WRITE_REGISTER, Command.WRITE_MEMORY)


class Status(IntEnum):
    DONE = 0
    BAD_FRAME = 1  #: bytes lost or damaged, or not as many as the header says; nothing was done
    BAD_CHECKSUM = 2  #: nothing was done
    BAD_COMMAND = 3  #: no such command, or a length that it does not take
    BAD_ADDRESS = 4  #: outside memory, or no register


class FrameError(ValueError):
    """Content of a frame that is not an answer: too short, a wrong length, or a wrong checksum."""


class Answer(NamedTuple):
    status: int
    sequence: int
    data: bytes


def checksum(content: bytes) -> bytes:
    """CRC-32 of IEEE 802.3 of bytes, as 4 bytes."""
    return zlib.crc32(content).to_bytes(CHECKSUM_BYTES, "little")


def escape(content: bytes) -> bytes:
    """Frame with ``content``: bytes as they travel, END at both ends."""
    inner = content.replace(bytes([ESCAPE]), bytes([ESCAPE, ESCAPED_ESCAPE]))
    inner = inner.replace(bytes([END]), bytes([ESCAPE, ESCAPED_END]))
    return bytes([END]) + inner + bytes([END])


def unescape(inner: bytes) -> tuple[bytes, bool]:
    """Content of a frame, and whether every pair in it was legal; ``inner`` has no END. An illegal pair gives no byte."""
    content, legal, escaped = bytearray(), True, False
    for byte in inner:
        if escaped:
            escaped = False
            if byte in (ESCAPED_END, ESCAPED_ESCAPE):
                content.append(END if byte == ESCAPED_END else ESCAPE)
            else:
                legal = False
        elif byte == ESCAPE:
            escaped = True
        else:
            content.append(byte)
    return bytes(content), legal and not escaped


def request(command: int, sequence: int, address: int, data: bytes = b"", length: int | None = None) -> bytes:
    """Frame of a request; ``length`` is that of ``data`` unless given."""
    length = len(data) if length is None else length
    content = REQUEST_HEADER.pack(command, sequence, length, address) + data
    return escape(content + checksum(content))


def answer(status: int, sequence: int = 0, data: bytes = b"") -> bytes:
    """Content of an answer, checksum included."""
    content = ANSWER_HEADER.pack(status, sequence, len(data)) + data
    return content + checksum(content)


def parse_answer(inner: bytes) -> Answer:
    """`Answer` in the bytes between two END; raises FrameError that says what is wrong with them."""
    content, legal = unescape(inner)
    least = ANSWER_HEADER.size + CHECKSUM_BYTES
    if not legal or len(content) < least:
        raise FrameError(f"an answer of {len(content)} bytes is cut off or damaged; the shortest has {least}")
    body, end = content[:-CHECKSUM_BYTES], content[-CHECKSUM_BYTES:]
    if checksum(body) != end:
        raise FrameError(f"the checksum of an answer is 0x{end[::-1].hex()}, not 0x{checksum(body)[::-1].hex()}")
    status, sequence, length = ANSWER_HEADER.unpack_from(body)
    data = body[ANSWER_HEADER.size :]
    if len(data) != length:
        raise FrameError(f"an answer says that {length} bytes follow, and {len(data)} do")
    return Answer(status, sequence, data)


class ReferenceBoard:
    """What the board does with each frame.

    Parameters
    ----------
    memory : bytearray or uint8 array
    read_register, write_register : functions of the address; of address and 32-bit value
        The first returns the value, both raise LookupError where there is no register.
    """

    def __init__(
        self,
        memory: bytearray | NDArray[np.uint8],
        read_register: Callable[[int], int],
        write_register: Callable[[int, int], object],
    ):
        self.memory, self.read_register, self.write_register = memory, read_register, write_register
        self._last: tuple[int, Status] | None = None  # sequence number and status of the last request that was whole

    def answer(self, inner: bytes, damaged: bool = False) -> bytes | None:
        """Content of the answer to the bytes between two END; None if there are none.

        ``damaged`` tells that the line lost a byte of them. A write with the sequence number of the request before is a
        repetition, whose answer the host has lost: it is answered alike, and not done twice.
        """
        if not inner and not damaged:
            return None
        content, legal = unescape(inner)
        if damaged or not legal or not 0 <= len(content) - REQUEST_HEADER.size - CHECKSUM_BYTES <= MOST_BYTES:
            return answer(Status.BAD_FRAME)
        body, end = content[:-CHECKSUM_BYTES], content[-CHECKSUM_BYTES:]
        if checksum(body) != end:
            return answer(Status.BAD_CHECKSUM)
        command, sequence, length, address = REQUEST_HEADER.unpack_from(body)
        data = body[REQUEST_HEADER.size :]
        if command not in set(Command):
            return answer(self._remember(sequence, Status.BAD_COMMAND), sequence)
        command = Command(command)
        if len(data) != (length if command.writes else 0):
            return answer(Status.BAD_FRAME)
        if command.writes and self._last is not None and self._last[0] == sequence:
            return answer(self._last[1], sequence)
        status, result = self._execute(command, address, length, data)
        return answer(self._remember(sequence, status), sequence, result)

    def _remember(self, sequence, status):
        self._last = (sequence, status)
        return status

    def _execute(self, command, address, length, data):
        registers = command in (Command.READ_REGISTER, Command.WRITE_REGISTER)
        if not 1 <= length <= MOST_BYTES or (registers and length != REGISTER_BYTES):
            return Status.BAD_COMMAND, b""
        if registers:
            if address % REGISTER_BYTES or address >= REGISTER_SPACE:
                return Status.BAD_ADDRESS, b""
            try:
                if command is Command.READ_REGISTER:
                    return Status.DONE, self.read_register(address).to_bytes(REGISTER_BYTES, "little")
                self.write_register(address, int.from_bytes(data, "little"))
                return Status.DONE, b""
            except LookupError:
                return Status.BAD_ADDRESS, b""
        if address + length > len(self.memory):
            return Status.BAD_ADDRESS, b""
        if command is Command.READ_MEMORY:
            return Status.DONE, bytes(self.memory[address : address + length])
        self.memory[address : address + length] = data
        return Status.DONE, b""
