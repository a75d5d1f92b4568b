"""Program files: what is written is read, and everything else is refused in one sentence that names the file."""

from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy

from golden.model import Head, Input
from isa.presets import preset
from program.file import FILE, load, save
from program.program import ProgramError
from tb.formats.bundles import put
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
    refused(path, "not of format bittern-program-2 but 'bittern-bundle-1'")


def test_an_unsafe_program_is_refused(program, path):
    save(changed(program, len(program.instructions) - 2, wait_dma=60000), path)
    refused(path, "waits for 60000 instructions of queue DMA")


A = "symbols.'embedding.residual'"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("config.rows", "x", "config.rows must be a whole number, not 'x'"),
        ("config.rows", 3, "config is not possible: rows must be a power of two, not 3"),
        ("config.colour", 1, "config knows no 'colour', only rows, columns"),
        ("config", None, "config must be a table of keys and values, not null"),
        ("batch", 0, "batch must be a whole number in 1..8, not 0"),
        ("batch", 9, "batch must be a whole number in 1..8, not 9"),
        ("symbols.logits.base", 8, "symbols.logits.base must be that of one of 1 outputs of 8 bytes each, not 8"),
        ("symbols.logits.base", 4, "symbols.logits.base must be that of one of 1 outputs of 8 bytes each, not 4"),
        ("program_offset", -64, "program_offset must be a whole number of at least 0, not -64"),
        ("program_offset", 1 << 40, "program_offset and names tell of .* in an image of"),
        ("names", "abc", "names must be a list, not 'abc'"),
        ("names.0", 3, "names.0 must be a text, not 3"),
        ("input.input", "sounds", "input.input must be one of tokens, patches, not 'sounds'"),
        ("input.format", [1, 9], "input.format: a code has 1..8 bits, not 9"),
        ("input.format", [7, 1], "input.format.0 must be one of 0, 1, 2, not 7"),
        ("input.tokens", 0, "input.tokens must be a whole number in 1..281474976710655, not 0"),
        ("output.head", "tail", "output.head must be one of cls, mean, token, not 'tail'"),
        ("output.row_bytes", 2.0, "output.row_bytes must be a whole number in 1.."),
        ("symbols", [], "symbols must be a table of keys and values, not \\[\\]"),
        ("symbols.NAME.memory", 9, f"{A}.memory must be one of 0, 1, 2, 3, 4 or null, not 9"),
        ("symbols.NAME.memory", 2, f"{A}.memory must be null or one of 0 .LEFT., 1 .RIGHT., 4 .RESIDUAL., which hold"),
        ("symbols.NAME.base", 1 << 30, f"{A}.base must be below the 512 words of RESIDUAL, not 1073741824"),
        ("symbols.NAME.base", -1, f"{A}.base must be a whole number in 0..281474976710655, not -1"),
        ("symbols.NAME.format", [0, 2], f"{A}.format: a bipolar code has 1 bit, not 2"),
        ("symbols.NAME.format", [1, 2], f"{A}.format must be that of the codes in LEFT and RIGHT, null elsewhere, not Form"),
        ("symbols.NAME.memory", 0, f"{A}.format must be that of the codes in LEFT and RIGHT, null elsewhere, not None"),
        ("symbols.NAME.row_segment", 0, f"{A}.row_segment must be a whole number in 1..281474976710655, not 0"),
        ("symbols.NAME.transposed", 1, f"{A}.transposed must be true or false, not 1"),
        ("symbols.NAME.writers", [], f"{A}.writers must be a list of at least 1, not "),
        ("symbols.NAME.writers", [10**6], f"{A}.writers must be below the number of instructions, .*, not 1000000"),
        ("symbols.NAME.bits", 1, f"{A} knows no 'bits', only memory, base"),
        ("pieces.0.size", 1 << 40, "pieces: .* must end inside the image of .* bytes, not at"),
        ("pieces.0.size", None, "pieces.0.size must be a whole number in 0..281474976710655, not null"),
        ("licence", "free", "it knows no 'licence', only config, batch, program_offset"),
    ],
)
def test_a_description_that_cannot_be_is_refused_by_name(path, value, words, program, tmp_path):
    file = tmp_path / "model.program"
    save(program, file)
    description, tensors = FILE.read(file)
    assert "embedding.residual" in description["symbols"]
    description["symbols"]["NAME"] = description["symbols"].pop("embedding.residual")
    put(description, path, value)
    if isinstance(description["symbols"], dict):
        description["symbols"]["embedding.residual"] = description["symbols"].pop("NAME")
    FILE.write(file, description, tensors)
    refused(file, words)


@pytest.mark.parametrize("image", [np.zeros(64, np.int16), np.zeros((8, 8), np.uint8)], ids=["words", "rows"])
def test_an_image_that_is_not_bytes_is_refused(image, program, path):
    FILE.write(path, FILE.read(path)[0], {"image": image})
    refused(path, "it must hold one tensor, the image, of bytes")


def test_a_second_tensor_is_refused(path):
    description, tensors = FILE.read(path)
    FILE.write(path, description, tensors | {"more": np.zeros(3, np.uint8)})
    refused(path, "it must hold one tensor, the image, of bytes")
