"""The Linux transport on device files whose registers are the RTL's: every access of the mapped page is an AXI transfer."""

import os
import socket
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from boards import linux
from boards.board import Window
from driver.accelerator import Accelerator
from driver.errors import RunError, RunTimeout, TransportError, WrongDevice
from isa.errors import Error
from isa.instruction import Opcode
from tb.boards.fake_board import BOARD, MEMORY, MEMORY_BYTES, REGISTERS, FakeBoard, needs_trap
from tb.driver.cases import case, patched

pytestmark = needs_trap


@pytest.fixture
def board(tmp_path, monkeypatch):
    with FakeBoard(tmp_path, monkeypatch) as board:
        yield board


def open_by(board, way):
    if way == "uio":
        return linux.open_uio(board.uio, board.system)
    return linux.open_devmem(BOARD, board.mem)


def works(accelerator):
    accelerator.load(case().program)
    return np.array_equal(accelerator.run(case().inputs, case().lengths), case().logits)


@pytest.mark.parametrize("way", ["uio", "mem"])
def test_a_batch_gives_the_logits_of_the_reference(board, way):
    with Accelerator(open_by(board, way), watchdog=5000) as accelerator:
        assert works(accelerator)
        assert works(accelerator)
        counters = accelerator.counters()
        board.stop()
    assert counters["instructions"] == len(case().program.instructions)
    assert 0 < counters["qmm_busy"] < counters["cycles"]
    assert board.transfers > 100


def test_a_wait_ends_with_the_interrupt_and_not_before(board):
    with Accelerator(open_by(board, "uio")) as accelerator:
        accelerator.load(case().program)
        started = time.monotonic()
        accelerator.transport.wait(0.2)
        assert time.monotonic() - started >= 0.2  # nothing runs
        for _ in range(3):
            waits = []
            wait = accelerator.transport.wait
            accelerator.transport.wait = lambda seconds, wait=wait, waits=waits: waits.append(wait(seconds))
            assert np.array_equal(accelerator.run(case().inputs, case().lengths), case().logits)
            accelerator.transport.wait = wait
            assert 1 <= len(waits) <= 2 * len(case().inputs)  # it slept, and did not poll
        board.stop()


@pytest.mark.parametrize("way", ["uio", "mem"])
def test_errors_are_reported_and_the_next_run_works(board, way):
    program = case().program
    first = {x.opcode: index for index, x in reversed(list(enumerate(program.instructions)))}
    with Accelerator(open_by(board, way), watchdog=5000) as accelerator:
        for opcode, fields, code in (
            (Opcode.LOAD, dict(offset=1 << 24), Error.AXI_READ),
            (Opcode.STORE, dict(offset=1 << 24), Error.AXI_WRITE),
            (Opcode.QMM, dict(wait_row=9999), Error.WATCHDOG),
        ):
            accelerator.load(patched(program, first[opcode], **fields))
            with pytest.raises(RunError, match=code.name) as caught:
                accelerator.run(case().inputs[0])
            assert (caught.value.code, caught.value.instruction) == (code, first[opcode])
            assert works(accelerator)
        board.stop()


def test_a_time_out_ends_and_the_next_run_works(board):
    program = case().program
    index = next(i for i, x in enumerate(program.instructions) if x.opcode is Opcode.QMM)
    with Accelerator(open_by(board, "uio"), timeout=0.05, watchdog=200_000) as accelerator:
        accelerator.load(patched(program, index, wait_row=9999))
        with pytest.raises(RunTimeout, match=r"still busy after 0.05 s"):
            accelerator.run(case().inputs[0])
        accelerator.timeout = 60
        assert works(accelerator)
        board.stop()


def test_an_address_where_no_accelerator_is_is_refused(board):
    elsewhere = replace(BOARD, registers=Window(REGISTERS + 4096, 4096))
    with pytest.raises(WrongDevice, match=r"reads 0x00000000.*name the right device"):
        Accelerator(linux.open_devmem(elsewhere, board.mem))


def test_a_device_that_is_not_there_is_refused(board, tmp_path):
    with pytest.raises(TransportError, match=r"map0/size cannot be read.*load the overlay"):
        linux.open_uio(str(tmp_path / "uio7"), board.system)
    os.unlink(board.uio)
    with pytest.raises(TransportError, match=r"uio0 cannot be opened.*is the overlay loaded"):
        linux.open_uio(board.uio, board.system)
    os.truncate(board.mem, MEMORY)
    with pytest.raises(TransportError, match=r"4096 bytes of .* at 0xA0000000 cannot be mapped"):
        linux.open_devmem(BOARD, board.mem)


def test_sysfs_that_holds_no_number_is_refused(board, tmp_path):
    (tmp_path / "sys" / "class" / "uio" / "uio0" / "maps" / "map1" / "addr").write_text("none\n")
    with pytest.raises(TransportError, match="holds 'none' and no number"):
        linux.open_uio(board.uio, board.system)
    board.stop()


def test_a_short_read_of_an_interrupt_is_an_error_and_not_a_result(board):
    with Accelerator(open_by(board, "uio")) as accelerator:
        accelerator.load(case().program)
        board.theirs.send(b"\1\0")
        with pytest.raises(TransportError, match="gave 2 bytes, not 4"):
            accelerator.transport.wait(1)
        assert works(accelerator)
        board.stop()


def test_a_device_that_goes_away_ends_the_wait(board):
    with Accelerator(open_by(board, "uio")) as accelerator:
        accelerator.load(case().program)
        board.theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(TransportError, match="gave 0 bytes, not 4: the device went away"):
            accelerator.transport.wait(1)
        board.stop()


def test_a_udmabuf_gives_memory_in_place_of_the_second_map(board, tmp_path, monkeypatch):
    folder = tmp_path / "sys" / "class" / "u-dma-buf" / "udmabuf0"
    folder.mkdir(parents=True)
    (folder / "size").write_text("4096\n")
    (folder / "phys_addr").write_text("0x0000000070000000\n")
    (tmp_path / "udmabuf0").write_bytes(bytes(4096))
    mapping, base = linux.open_udmabuf(str(tmp_path / "udmabuf0"), board.system)
    assert mapping.bytes is not None
    assert (len(mapping.bytes), base) == (4096, 0x7000_0000)
    mapping.close()


def test_a_pynq_buffer_is_used_where_there_is_pynq(board, monkeypatch):
    with pytest.raises(TransportError, match="PYNQ is not installed"):
        linux.open_pynq(BOARD, MEMORY_BYTES, board.mem)
    made = []

    class Buffer(np.ndarray):
        """What PYNQ documents of its buffers."""

        device_address = MEMORY

        def freebuffer(self):
            made.append("freed")

    def allocate(shape, dtype, cacheable):
        assert not cacheable
        board_memory = np.memmap(board.mem, dtype, "r+", MEMORY, shape)  # where the allocator's memory really is
        return board_memory.view(Buffer)

    monkeypatch.setitem(sys.modules, "pynq", SimpleNamespace(allocate=allocate))
    with Accelerator(linux.open_pynq(BOARD, MEMORY_BYTES, board.mem), watchdog=5000) as accelerator:
        assert works(accelerator)
        board.stop()
    assert made == ["freed"]


def test_memory_moves_in_aligned_blocks_whatever_the_offset(tmp_path):
    transport = linux.LinuxTransport(
        SimpleNamespace(bytes=np.zeros(4096, np.uint8), close=lambda: None),
        SimpleNamespace(bytes=np.zeros(1024, np.uint8), close=lambda: None), 0,
    )  # fmt: skip
    rng, expected = np.random.default_rng(91), bytearray(1024)
    for _ in range(200):
        start, end = sorted(rng.integers(0, 1025, 2).tolist())
        data = rng.bytes(end - start)
        transport.write_memory(start, data)
        expected[start:end] = data
        assert transport.read_memory(start, end - start) == data
    assert transport.read_memory(0, 1024) == expected
    transport.close()
    transport.close()
