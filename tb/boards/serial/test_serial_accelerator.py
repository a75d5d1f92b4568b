"""The driver over a serial line to a board that has the RTL: results, every error typed, and the run after it."""

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from boards.serial.link import DamagedLine, NoAnswer, Refused, ShortAnswer
from boards.serial.port import Unplugged
from boards.serial.transport import SerialTransport
from driver.accelerator import Accelerator
from driver.errors import RunError, RunTimeout, TransportError, WrongDevice, WrongProgram
from golden.model import Input
from golden.serial import answer, escape, unescape
from isa.errors import Error
from isa.instruction import Opcode
from isa.presets import preset
from isa.registers import ADDRESS, Status
from program.compiler.compiler import compile_encoder
from tb.boards.serial.serial_line import Line, RtlBoard
from tb.driver.cases import CONFIG, case, patched

MEMORY = 1 << 17
BAUD = 115_200
QUICK: dict[str, Any] = dict(timeout=0.3, attempts=3)


@pytest.fixture(scope="module")
def board():
    made = RtlBoard(CONFIG, MEMORY)
    yield made
    made.rtl.close()


@pytest.fixture
def line(board):
    made = Line(board)
    yield made
    board.override.clear()
    made.unplug()


def connect(line, **options):
    return Accelerator(SerialTransport(line.path, BAUD, MEMORY, **QUICK), **{"watchdog": 5000, **options})


@pytest.fixture
def accelerator(line):
    with connect(line) as made:
        yield made


def works(accelerator, kind=Input.PATCHES):
    accelerator.load(case(kind).program)
    return np.array_equal(accelerator.run(case(kind).inputs, case(kind).lengths), case(kind).logits)


def first(opcode):
    return next(index for index, x in enumerate(case().program.instructions) if x.opcode is opcode)


@pytest.mark.parametrize("kind", list(Input))
def test_a_batch_gives_the_logits_of_the_reference(accelerator, kind):
    assert works(accelerator, kind)
    counters = accelerator.counters()
    assert counters["instructions"] == len(case(kind).program.instructions)
    assert 0 < counters["qmm_busy"] < counters["cycles"]


@pytest.mark.parametrize(("register", "value", "message"), [
    ("identification", 0x12345678, "reads 0x12345678, not 0x4E525442.*load its bitstream, or name the right device"),
    ("version", 1, "version 1 of the register map.*same release"),
])  # fmt: skip
def test_another_bitstream_or_version_is_refused(board, line, register, value, message):
    board.override[ADDRESS[register]] = value
    with pytest.raises(WrongDevice, match=message):
        connect(line)
    board.override.clear()
    with connect(line) as accelerator:
        assert works(accelerator)


def test_a_program_for_another_preset_or_too_large_is_refused(accelerator):
    with pytest.raises(WrongProgram, match=r"rows is 16 there and 4 here.*compile it for the bitstream's preset"):
        accelerator.load(compile_encoder(case().encoder, preset("small")))
    accelerator.transport.memory_bytes = 4096
    with pytest.raises(WrongProgram, match=r"needs \d+ bytes of memory, and the transport has 4096; give it more"):
        accelerator.load(case().program)
    accelerator.transport.memory_bytes = MEMORY
    assert works(accelerator)


@pytest.mark.parametrize(("opcode", "fields", "code"), [
    (Opcode.LOAD, dict(offset=1 << 24), Error.AXI_READ), (Opcode.STORE, dict(offset=1 << 24), Error.AXI_WRITE),
    (Opcode.QMM, dict(wait_row=9999), Error.WATCHDOG), (Opcode.QMM, dict(words=0), Error.SHAPE),
])  # fmt: skip
def test_an_error_of_the_accelerator_names_code_and_instruction(accelerator, opcode, fields, code):
    program = case().program
    accelerator.load(patched(program, first(opcode), **fields))
    port = " on memory port 0" if code in (Error.AXI_READ, Error.AXI_WRITE) else ""
    with pytest.raises(RunError, match=f"{code.name}{port} at instruction {first(opcode)} ") as caught:
        accelerator.run(case().inputs[0])
    assert (caught.value.code, caught.value.name) == (code, program.names[first(opcode)])
    assert works(accelerator)


def test_a_run_that_takes_too_long_is_given_up(accelerator):
    accelerator.timeout, accelerator.watchdog = 0.05, 100_000
    accelerator.load(patched(case().program, first(Opcode.QMM), wait_row=9999))
    with pytest.raises(RunTimeout, match=r"still busy after 0.05 s; give a longer timeout"):
        accelerator.run(case().inputs[0])
    accelerator.timeout, accelerator.watchdog = 60, 5000
    assert works(accelerator)  # when the watchdog has ended the run before


@pytest.mark.parametrize("moment", ["while a program is loaded", "while the accelerator computes"])
def test_a_line_that_is_pulled_is_told_and_after_plugging_it_in_the_next_run_works(board, moment):
    line = Line(board)
    accelerator = connect(line, timeout=60, watchdog=200_000)
    pulled = threading.Event()

    def pull():
        if not pulled.is_set():
            pulled.set()
            threading.Thread(target=line.unplug).start()

    if moment == "while a program is loaded":
        accelerator.load(case(Input.TOKENS).program)  # which is lost, too
        requests = iter(range(1000))
        line.request = lambda data: (pull() if next(requests) == 5 else None, data)[1]  # type: ignore[func-returns-value]
        with pytest.raises(Unplugged, match=r"is gone .*; plug the board in and open it again"):
            accelerator.load(case().program)
        with pytest.raises(WrongProgram, match="no program is loaded"):
            accelerator.run(case().inputs)
    else:
        accelerator.load(patched(case().program, first(Opcode.QMM), wait_row=9999))
        timer = threading.Timer(0.2, pull)
        timer.start()
        with pytest.raises(Unplugged, match=r"is gone .*; plug the board in and open it again"):
            accelerator.run(case().inputs[0])
        timer.join()
    accelerator.close()
    again = Line(board)
    with connect(again, timeout=120) as accelerator:
        assert works(accelerator)
    again.unplug()


def flip(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0x10]) + data[middle + 1 :]


@pytest.mark.parametrize(("way", "fault", "error"), [
    ("request", flip, DamagedLine), ("answer", flip, DamagedLine), ("answer", lambda data: b"", NoAnswer),
    ("answer", lambda data: escape(answer(0, unescape(data[1:-1])[0][1], b"abc")), ShortAnswer),
])  # fmt: skip
def test_a_line_that_goes_bad_in_a_run_is_told_and_the_next_run_works(accelerator, line, way, fault, error):
    accelerator.load(case().program)
    seen = iter(range(1 << 20))
    setattr(line, way, lambda data: fault(data) if next(seen) >= 8 else data)
    with pytest.raises(error, match=";"):
        accelerator.run(case().inputs, case().lengths)
    setattr(line, way, lambda data: data)
    assert works(accelerator)


def test_single_damaged_transfers_cost_nothing_but_time(accelerator, line):
    accelerator.load(case().program)
    seen = iter(range(1 << 20))
    line.request = lambda data: flip(data) if next(seen) % 7 == 3 else data
    assert np.array_equal(accelerator.run(case().inputs[:2], case().lengths[:2]), case().logits[:2])
    assert accelerator.transport.link.repeated > 3


def test_memory_that_the_board_lacks_is_refused(board, line):
    with Accelerator(SerialTransport(line.path, BAUD, 2 * MEMORY, **QUICK)) as accelerator:
        with pytest.raises(Refused, match=r"the address is outside its memory.*check the size"):
            accelerator.transport.write_memory(MEMORY, b"x")
        assert works(accelerator)


def test_a_board_that_was_reset_in_a_run_is_told(board, accelerator):
    accelerator.load(case().program)
    board.override[ADDRESS["status"]] = 0
    with pytest.raises(TransportError, match="neither runs nor is done: was it reset"):
        accelerator.run(case().inputs[0])
    board.override.clear()
    while accelerator.transport.read_register(ADDRESS["status"]) >> Status.BUSY & 1:
        pass
    assert works(accelerator)


def test_a_damaged_image_is_an_error_and_not_a_result(accelerator):
    image = bytearray(case().program.image)
    image[case().program.program_offset] = 0xEE
    accelerator.load(replace(case().program, image=bytes(image)))
    with pytest.raises(RunError, match=r"ILLEGAL_OPCODE.*compile and load it again"):
        accelerator.run(case().inputs[0])
    assert works(accelerator)
