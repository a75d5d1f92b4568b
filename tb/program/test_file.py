"""Program files: what is written is read, and everything else is refused in one sentence that names the file."""

from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy

from golden.model import Head, Input
from isa.config import preset
from program.file import load, save
from program.program import ProgramError
from tb.models import random_encoder
from tb.program.cases import assert_right, changed, compiled


@pytest.fixture(scope="module")
def encoder():
    return random_encoder(np.random.default_rng(2), input=Input.TOKENS, head=Head.MEAN)


@pytest.fixture(scope="module")
def program(encoder):
    return compiled(encoder, preset("tiny"))


@pytest.fixture
def path(program, tmp_path):
    save(program, tmp_path / "model.program")
    return tmp_path / "model.program"


def refused(path, words):
    with pytest.raises(ProgramError, match=words) as caught:
        load(path)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_written_is_read(program, encoder, path):
    read = load(path)
    assert read.symbols == program.symbols
    assert read.image == program.image
    assert replace(read, instructions=()) == replace(program, instructions=())
    assert_right(read, encoder, np.random.default_rng(0))
    assert sorted(path.parent.iterdir()) == [path]


def test_a_file_that_is_not_there_is_refused(tmp_path):
    refused(tmp_path / "none.program", "there is no program")


def test_a_directory_is_refused(tmp_path):
    refused(tmp_path, "cannot be read|corrupt")


@pytest.mark.parametrize("part", [0, 0.001, 0.3, 0.9999])
def test_a_truncated_file_is_refused(path, part):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    refused(path, "corrupt or truncated|cannot be read")


def test_any_flipped_bit_is_refused(path):
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(8, len(data), 40):
        flipped = bytearray(data)
        flipped[place] ^= 1 << rng.integers(8)
        path.write_bytes(flipped)
        refused(path, "compile it again")


def test_another_kind_of_file_is_refused(path):
    path.write_bytes(safetensors.numpy.save({"image": np.zeros(3, np.uint8)}, {"format": "bittern-bundle-1"}))
    refused(path, "not of format bittern-program-1 but 'bittern-bundle-1'")


def test_an_unsafe_program_is_refused(program, path):
    save(changed(program, len(program.instructions) - 2, wait_dma=60000), path)
    refused(path, "waits for 60000 instructions of queue DMA")
