"""The host's side of the serial link, over a real terminal device, against the reference board behind a bad line."""

import errno
import os
import pty
import sys
import threading
import tty
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from boards.serial.link import DamagedLine, NoAnswer, Refused, SerialLink, ShortAnswer
from boards.serial.port import SerialPort, Unplugged, rates
from boards.serial.transport import SerialTransport
from driver.errors import TransportError
from golden.serial import (
    END,
    MOST_BYTES,
    REQUEST_HEADER,
    Command,
    FrameError,
    ReferenceBoard,
    Status,
    answer,
    checksum,
    escape,
    parse_answer,
    request,
    unescape,
)
from tb.boards.serial.serial_line import Line

SIZE = 5000
BAUD = 115_200
QUICK: dict[str, Any] = dict(timeout=0.15, attempts=3)


class Noting(Line):
    """A board with two registers that notes what is written to them."""

    def __init__(self):
        self.registers, self.written = {0: 0x4E525442, 8: 0}, []
        super().__init__(ReferenceBoard(bytearray(SIZE), self.registers.__getitem__, self._write))

    def _write(self, address, value):
        self.registers[address]
        self.written.append((address, value))


@contextmanager
def line_and(transport):
    line = Noting()
    try:
        made = transport(line)
        try:
            yield line, made
        finally:
            made.close()
    finally:
        line.unplug()


@pytest.fixture
def connected():
    with line_and(lambda line: SerialTransport(line.path, BAUD, SIZE, **QUICK)) as both:
        yield both


def faulty(fault, times):
    """Apply ``fault`` to the first ``times`` blocks of bytes that pass, then none."""
    left = [times]

    def pass_on(data):
        left[0] -= 1
        return fault(data) if left[0] >= 0 else data

    return pass_on


def flip(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0x10]) + data[middle + 1 :]


def test_memory_and_registers_pass_unchanged(connected):
    line, transport = connected
    rng = np.random.default_rng(20)
    for offset, size in ((0, SIZE), (1, 1), (700, MOST_BYTES), (3, MOST_BYTES + 1), (SIZE, 0)):
        data = rng.bytes(size)
        transport.write_memory(offset, data)
        assert line.board.memory[offset : offset + size] == data
        assert transport.read_memory(offset, size) == data
    every = bytes(range(256)) * 4
    transport.write_memory(0, every)
    assert transport.read_memory(0, len(every)) == every
    transport.write_register(8, 0xC0DBDCDD)
    assert line.written == [(8, 0xC0DBDCDD)]
    assert transport.read_register(0) == 0x4E525442
    assert transport.link.repeated == 0


@pytest.mark.parametrize("fault", [flip, lambda data: data[:-3], lambda data: b"", lambda data: b"noise" + data])
@pytest.mark.parametrize("way", ["request", "answer"])
def test_one_damaged_transfer_is_repeated_and_done_once(connected, way, fault):
    line, transport = connected
    setattr(line, way, faulty(fault, 1))
    transport.write_register(8, 5)
    assert line.written == [(8, 5)]
    transport.write_memory(10, b"hello")
    assert transport.read_memory(10, 5) == b"hello"


def test_noise_before_a_frame_costs_nothing(connected):
    line, transport = connected
    line.answer = lambda data: b"\x00\xff" + data
    assert transport.read_register(0) == 0x4E525442
    assert transport.link.repeated == 0


@pytest.mark.parametrize(("way", "fault", "error", "words"), [
    ("request", flip, DamagedLine, "receives damaged requests .BAD_CHECKSUM., 3 times in a row; check cable"),
    ("answer", flip, DamagedLine, "the checksum of an answer is 0x[0-9a-f]{8}, not 0x[0-9a-f]{8}; check cable"),
    ("answer", lambda data: data[:4] + data[-1:], DamagedLine, "cut off or damaged; the shortest has 8; check cable"),
    ("answer", lambda data: data[:6], NoAnswer, "it stopped within one, after 5 bytes.; is the bitstream loaded"),
    ("answer", lambda data: b"", NoAnswer, "nothing answers on .* within 0.15 s; is the bitstream loaded"),
])  # fmt: skip
def test_a_line_that_stays_bad_is_told_and_the_next_request_works(connected, way, fault, error, words):
    line, transport = connected
    setattr(line, way, fault)
    with pytest.raises(error, match=words):
        transport.read_memory(0, 20)
    assert transport.link.repeated == QUICK["attempts"] - 1
    setattr(line, way, lambda data: data)
    transport.write_memory(0, b"again")
    assert transport.read_memory(0, 5) == b"again"


def test_an_answer_of_another_length_is_told(connected):
    line, transport = connected
    line.answer = faulty(lambda data: escape(answer(0, unescape(data[1:-1])[0][1], b"abc")), 1)
    with pytest.raises(ShortAnswer, match="READ_MEMORY of 20 bytes at 0x0 with 3; build bitstream and driver"):
        transport.read_memory(0, 20)
    assert transport.read_memory(0, 20) == bytes(20)


def test_late_answers_to_earlier_requests_are_dropped(connected):
    line, transport = connected
    transport.write_memory(0, b"now")
    late = escape(answer(0, 77, b"old"))
    line.answer = lambda data: late + data
    assert transport.read_memory(0, 3) == b"now"


def test_what_the_board_refuses_is_told(connected):
    _, transport = connected
    with pytest.raises(Refused, match="refuses READ_REGISTER at 0x100: the address is outside its memory, or no register"):
        transport.read_register(0x100)
    transport.memory_bytes = SIZE + 100
    with pytest.raises(Refused, match="refuses WRITE_MEMORY at 0x1388: the address is outside"):
        transport.write_memory(SIZE, b"x")
    with pytest.raises(Refused, match="refuses READ_MEMORY at 0x0: it does not know the request"):
        transport.link.ask(Command.READ_MEMORY, 0, length=0)
    with pytest.raises(ValueError, match="outside the memory of 5100 bytes"):
        transport.read_memory(SIZE, 101)
    assert transport.read_memory(0, 1) == b"\0"


def test_an_unplugged_line_is_told():
    near, far = pty.openpty()
    tty.setraw(far)
    port = SerialPort(os.ttyname(far), BAUD)
    link = SerialLink(port, timeout=5)
    os.close(far)
    os.close(near)
    with pytest.raises(Unplugged, match=r"is gone .*; plug the board in and open it again"):
        link.ask(Command.READ_REGISTER, 0, length=4)
    with pytest.raises(Unplugged):
        port.read(1)
    port.close()
    port.close()
    with pytest.raises(TransportError, match="has been closed; open it again"):
        port.read(0)


def test_a_line_unplugged_while_waiting_is_told():
    near, far = pty.openpty()
    tty.setraw(far)
    port = SerialPort(os.ttyname(far), BAUD)
    os.close(far)
    timer = threading.Timer(0.1, os.close, [near])
    timer.start()
    with pytest.raises(Unplugged):
        SerialLink(port, timeout=5).ask(Command.READ_REGISTER, 0, length=4)
    timer.join()
    port.close()


def test_an_adapter_that_is_gone_fails_its_reads_and_is_told(monkeypatch):
    near, far = pty.openpty()
    tty.setraw(far)
    port = SerialPort(os.ttyname(far), BAUD)

    def gone(file, size):
        raise OSError(errno.ENODEV, "No such device")  # what drivers of USB adapters do; a pair of terminals ends the file

    os.write(near, b"x")
    with monkeypatch.context() as patch:
        patch.setattr("serial.serialposix.os.read", gone)
        with pytest.raises(Unplugged, match=r"is gone .No such device.; plug the board in"):
            port.read(0)
    port.close()
    for file in (near, far):
        os.close(file)


def test_a_line_that_takes_nothing_is_told():
    near, far = pty.openpty()
    tty.setraw(far)
    port = SerialPort(os.ttyname(far), BAUD)
    with pytest.raises(TransportError, match=r"takes no bytes for 0.05 s; does another program use it"):
        port.write(bytes(1 << 20), timeout=0.05)
    for file in (near, far):
        os.close(file)
    port.close()


def test_a_silent_line_is_told_when_it_is_opened_and_closed_again():
    near, far = pty.openpty()
    tty.setraw(far)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(NoAnswer, match="is the bitstream loaded"):
        SerialTransport(os.ttyname(far), BAUD, **QUICK)
    assert len(os.listdir("/proc/self/fd")) == before
    for file in (near, far):
        os.close(file)


def test_what_is_no_serial_line_is_told(tmp_path):
    with pytest.raises(TransportError, match=r"cannot open .*: No such file or directory; is the board plugged in"):
        SerialTransport(str(tmp_path / "ttyUSB9"))
    (tmp_path / "file").write_text("")
    with pytest.raises(TransportError, match="is not a serial line; name that of the board"):
        SerialTransport(str(tmp_path / "file"))
    with pytest.raises(TransportError, match="123457 baud; the nearest usual rates are 38400, 57600, 115200"):
        SerialPort("/dev/null", 123_457)
    assert BAUD in rates()


def test_a_line_that_is_in_use_is_told_and_can_be_opened_once_it_is_not():
    line = Noting()
    first = SerialTransport(line.path, BAUD, SIZE, **QUICK)
    with pytest.raises(TransportError, match=r"/dev/pts/\d+ is in use by another program; end it first"):
        SerialTransport(line.path, BAUD, SIZE, **QUICK)
    assert first.read_register(0) == 0x4E525442
    first.close()
    SerialTransport(line.path, BAUD, SIZE, **QUICK).close()
    line.unplug()


def test_a_line_that_may_not_be_used_is_told(monkeypatch):
    def refused(*arguments):
        raise PermissionError(errno.EACCES, "Permission denied", "/dev/ttyUSB0")

    monkeypatch.setattr("serial.serialposix.os.open", refused)
    with pytest.raises(TransportError, match=r"cannot open /dev/ttyUSB0: Permission denied; .*are you in the group dialout"):
        SerialPort("/dev/ttyUSB0", BAUD)


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "serial", None)
    with pytest.raises(TransportError, match=r"needs pyserial, which is not installed; install the extra: .*\.\[serial\]"):
        SerialTransport("/dev/ttyUSB0")


def test_a_new_host_is_not_taken_for_a_repetition():
    line = Noting()
    for value in (1, 2, 3):
        transport = SerialTransport(line.path, BAUD, SIZE, **QUICK)
        transport.write_register(8, value)
        transport.close()
    assert line.written == [(8, 1), (8, 2), (8, 3)]
    line.unplug()


def test_the_checksum_is_that_of_the_standard():
    assert checksum(b"123456789") == 0xCBF43926.to_bytes(4, "little")


def test_frames_hold_any_content_and_are_told_apart():
    rng = np.random.default_rng(21)
    for _ in range(50):
        content = rng.choice(np.array([END, 0xDB, 0xDC, 0xDD, 1], np.uint8), int(rng.integers(1, 30))).tobytes()
        frame = escape(content)
        assert frame[0] == frame[-1] == END
        assert END not in frame[1:-1]
        assert unescape(frame[1:-1]) == (content, True)


def test_the_length_in_an_answer_must_be_true():
    body = bytes([0, 1, 9, 0]) + b"abc"
    with pytest.raises(FrameError, match="says that 9 bytes follow, and 3 do"):
        parse_answer(escape(body + checksum(body))[1:-1])


def test_the_reference_board_refuses_what_it_should():
    board = ReferenceBoard(bytearray(10), {0: 1}.__getitem__, lambda address, value: {0: 1}[address])

    def ask(*arguments, **options):
        return board.answer(request(*arguments, **options)[1:-1])[0]

    assert board.answer(b"") is None
    assert board.answer(b"", damaged=True)[0] == Status.BAD_FRAME
    assert board.answer(b"\xdb\x01")[0] == Status.BAD_FRAME
    assert ask(9, 0, 0) == Status.BAD_COMMAND
    assert ask(Command.READ_REGISTER, 0, 0, length=3) == Status.BAD_COMMAND
    assert ask(Command.READ_REGISTER, 0, 2, length=4) == Status.BAD_ADDRESS
    assert ask(Command.WRITE_REGISTER, 0, 4, bytes(4)) == Status.BAD_ADDRESS
    assert ask(Command.READ_MEMORY, 0, 7, length=4) == Status.BAD_ADDRESS
    assert ask(Command.READ_MEMORY, 0, 6, length=4) == Status.DONE
    assert board.answer(escape(bytes(REQUEST_HEADER.size + 3))[1:-1])[0] == Status.BAD_FRAME
