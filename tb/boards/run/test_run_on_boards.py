"""`bittern run` from its command line to predictions, on devices whose accelerator is the RTL: UIO and a serial line."""

import re
from functools import partial

import numpy as np
import pytest
from PIL import Image

from boards import linux
from cli.main import main
from formats.bundle import load
from golden.encoder import encode
from isa.presets import preset
from tb.boards.fake_board import FakeBoard, needs_trap
from tb.boards.run.test_run import FASHION, SST2, picture
from tb.boards.serial.serial_line import Line, RtlBoard

PRESET = "small"
MEMORY = 1 << 18


@pytest.fixture(scope="module")
def serial_board():
    board = RtlBoard(preset(PRESET), MEMORY)
    yield board
    board.rtl.close()


@pytest.fixture
def serial(serial_board):
    line = Line(serial_board)
    yield line
    line.unplug()


@pytest.fixture
def uio(tmp_path, monkeypatch):
    with FakeBoard(tmp_path, monkeypatch, preset(PRESET)) as board:
        monkeypatch.setattr("boards.linux.open_uio", partial(linux.open_uio, system=board.system))
        yield board


def expected(path, indices):
    """Names of the classes that the reference finds most likely."""
    bundle = load(path)
    samples = bundle.samples
    logits = [encode(bundle.encoder, samples.inputs[i], int(samples.lengths[i]))["logits"] for i in indices]
    return [bundle.labels[int(np.argmax(row))] for row in logits]


def predictions(capsys, command):
    """Labels that the command prints, and its cycles."""
    assert main([*command, "--top", "1"]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    cycles = re.fullmatch(r"(\d+) cycles for the last inference", last)
    assert cycles
    return [re.fullmatch(r".*: (.+) [0-9.]+%", line)[1] for line in lines], int(cycles[1])  # type: ignore[index]


def pictures(folder, count):
    for index in range(count):
        Image.fromarray(picture(index)).save(folder / f"{index}.png")
    return [str(folder / f"{index}.png") for index in range(count)]


@needs_trap
def test_pictures_and_texts_on_a_uio_device(uio, tmp_path, capsys):
    labels, cycles = predictions(capsys, ["run", str(FASHION), *pictures(tmp_path, 3), "--on", uio.uio])
    assert labels == expected(FASHION, range(3))
    assert 1000 < cycles < 100_000
    texts = load(SST2).samples.texts[:2]
    labels, _ = predictions(capsys, ["run", str(SST2), *texts, "--on", uio.uio])
    assert labels == expected(SST2, range(2))
    uio.stop()
    assert uio.transfers > 100


def test_pictures_and_texts_on_a_serial_line(serial, tmp_path, capsys):
    labels, cycles = predictions(capsys, ["run", str(FASHION), *pictures(tmp_path, 2), "--on", serial.path])
    assert labels == expected(FASHION, range(2))
    assert 1000 < cycles < 100_000
    texts = load(SST2).samples.texts[:1]
    labels, _ = predictions(capsys, ["run", str(SST2), *texts, "--on", serial.path, "--baud", "115200"])
    assert labels == expected(SST2, range(1))


def test_what_goes_wrong_is_one_sentence_and_the_next_run_works(serial, tmp_path, capsys):
    command = ["run", str(FASHION), *pictures(tmp_path, 1), "--on", serial.path]

    def fails(*more):
        assert main([*command, *more]) == 2
        output = capsys.readouterr()
        assert output.out == ""
        assert "Traceback" not in output.err
        (line,) = output.err.splitlines()
        return line

    assert "compile it for the bitstream's preset" in fails("--preset", "ecp5")
    assert "cannot be set to 123 baud" in fails("--baud", "123")
    serial.answer = lambda data: b""
    assert "is the bitstream loaded" in fails()
    serial.answer = lambda data: data
    assert predictions(capsys, command)[0] == expected(FASHION, range(1))
    serial.unplug()
    assert "is the board plugged in" in fails()
