"""The C library, compiled strictly and run as it is on a board, against registers and memory that are the RTL's."""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from boards.c.image import flat_image
from formats.files import ROOT
from golden.model import Input
from isa.errors import Error
from isa.instruction import Opcode
from isa.presets import preset
from program.compiler.compiler import compile_encoder
from program.placement import Placement
from sim.build import build
from tb.boards.fake_board import MEMORY, MEMORY_BYTES, REGISTERS, needs_trap
from tb.driver.cases import CONFIG, case, patched

SOURCES = ROOT / "boards" / "c"
HERE = Path(__file__).parent
TRAPS = HERE.parent
SAMPLE = [(case().inputs[0], 1)]
STRICT = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-O2"]


def compiler(*arguments):
    subprocess.run(["g++", *map(str, arguments)], check=True)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The Linux program, its mmap wrapped so that the device's registers are trapped."""
    folder = tmp_path_factory.mktemp("c")
    for source in (SOURCES / "bittern.c", SOURCES / "bittern_linux.c"):
        compiler("-x", "c", "-std=c99", *STRICT, "-c", source, "-o", folder / f"{source.stem}.o")
    for source in (TRAPS / "trap.c", TRAPS / "trap_mmap.c"):
        compiler(
            "-x", "c", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-c", source, "-o", folder / f"{source.stem}.o"
        )
    compiler(*folder.glob("*.o"), "-Wl,--wrap=mmap64", "-ldl", "-lpthread", "-o", folder / "bittern_linux")
    return folder / "bittern_linux"


def run(program, folder, image, samples, memory_bytes=MEMORY_BYTES, registers=REGISTERS):
    """Exit status, lines printed, and lines of errors."""
    device = folder / "mem"
    with open(device, "wb") as file:
        file.truncate(REGISTERS + 8192)
    (folder / "image").write_bytes(image)
    (folder / "inputs").write_bytes(b"".join(np.append(length, x.ravel()).astype("<i4").tobytes() for x, length in samples))
    environment = os.environ | {
        "BITTERN_DEVICE": str(device), "BITTERN_MEMORY_BASE": str(MEMORY), "BITTERN_RTL": str(build(CONFIG)),
    }  # fmt: skip
    arguments = [device, hex(registers), hex(MEMORY), hex(MEMORY), memory_bytes, folder / "image", folder / "inputs"]
    done = subprocess.run(
        [str(program), *map(str, arguments)], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode >= 0, f"killed by signal {-done.returncode}"
    return done.returncode, done.stdout.splitlines(), done.stderr


def logits(lines):
    return np.array([[int(number) for number in line.split(" cycles ")[0].split()] for line in lines])


@needs_trap
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("kind", list(Input))
def test_inferences_give_the_logits_of_the_reference(program, tmp_path, kind, batch):
    """Five samples: the last batch lacks one."""
    sample = case(kind, batch=batch)
    status, lines, errors = run(program, tmp_path, flat_image(sample.program), zip(sample.inputs, sample.lengths))
    assert (status, errors) == (0, "")
    assert np.array_equal(logits(lines), sample.logits)
    assert all(int(line.split()[-1]) > 100 for line in lines)


@needs_trap
def test_what_is_out_of_range_is_refused_and_the_next_sample_runs(program, tmp_path):
    sample = case()
    bad = sample.inputs[1].copy()
    bad[-1, -1] = 256
    samples = [(sample.inputs[0], 8), (bad, 7), (sample.inputs[0], 0), (sample.inputs[0], sample.lengths[0])]
    status, lines, _ = run(program, tmp_path, flat_image(sample.program), samples)
    assert status == 1
    assert all("out of range" in line for line in lines[:3])
    assert np.array_equal(logits(lines[3:]), sample.logits[:1])


@needs_trap
def test_an_error_of_the_accelerator_is_told_for_each_run(program, tmp_path):
    sample = case()
    for opcode, fields, code in (
        (Opcode.LOAD, dict(offset=1 << 24), Error.AXI_READ), (Opcode.STORE, dict(offset=1 << 24), Error.AXI_WRITE),
    ):  # fmt: skip
        index = next(i for i, x in enumerate(sample.program.instructions) if x.opcode is opcode)
        broken = flat_image(patched(sample.program, index, **fields))
        status, lines, _ = run(program, tmp_path, broken, zip(sample.inputs[:2], sample.lengths))
        assert (status, lines) == (1, [f"error {code.value} at instruction {index}"] * 2)


@needs_trap
@pytest.mark.parametrize(("change", "message"), [
    (lambda image: image[:-1], "damaged"),
    (lambda image: image[:10], "damaged"),
    (lambda image: image[:-1] + bytes([image[-1] ^ 1]), "damaged"),
    (lambda image: image[:4] + b"\1" + image[5:], "another version"),
    (lambda image: image[:8] + b"\0\0\0\0" + image[12:], "another configuration"),
    (lambda image: flat_image(compile_encoder(case().encoder, replace(CONFIG, dma_queue=16))), "another configuration"),
    (lambda image: flat_image(compile_encoder(case().encoder, preset("small"))), "another configuration"),
], ids=["short", "cut", "flipped", "version", "checksum", "queue", "preset"])  # fmt: skip
def test_a_wrong_image_is_refused(program, tmp_path, change, message):
    status, lines, errors = run(program, tmp_path, change(flat_image(case().program)), SAMPLE)
    assert (status, lines) == (1, [])
    assert message in errors


@needs_trap
def test_too_little_memory_is_refused(program, tmp_path):
    status, _, errors = run(program, tmp_path, flat_image(case().program), SAMPLE, memory_bytes=8192)
    assert status == 1
    assert "does not fit the memory" in errors


@needs_trap
def test_memory_that_is_no_accelerator_is_refused(program, tmp_path):
    """Nothing is trapped: the registers' page is what the file holds, zeros."""
    other = dict(BITTERN_DEVICE="none", BITTERN_MEMORY_BASE="0", BITTERN_RTL="none")
    (tmp_path / "mem").write_bytes(bytes(16384))
    (tmp_path / "image").write_bytes(flat_image(case().program))
    (tmp_path / "inputs").write_bytes(bytes(4))
    arguments = [tmp_path / "mem", 0, 4096, 0, 8192, tmp_path / "image", tmp_path / "inputs"]
    done = subprocess.run(
        [program, *map(str, arguments)], env=os.environ | other, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "no Bittern at this address; load its bitstream" in done.stderr


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("kind", list(Input))
def test_the_library_lays_out_memory_as_the_other_drivers_do_but_with_one_slot(tmp_path, kind, batch):
    for source in (HERE / "places.c", SOURCES / "bittern.c"):
        compiler("-x", "c", "-std=c99", *STRICT, "-I", SOURCES, "-c", source, "-o", tmp_path / f"{source.stem}.o")
    compiler(*tmp_path.glob("*.o"), "-o", tmp_path / "places")
    sample, image = case(kind, batch=batch).program, tmp_path / "image"
    image.write_bytes(flat_image(sample))
    expected = Placement.of(sample, slots=1)
    command = [tmp_path / "places", image, str(expected.bytes), str(expected.bytes - 1)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (loaded, *places), (refused, *_) = (map(int, line.split()) for line in printed.splitlines())
    base = 0x8_7000_0000
    assert places == [base + offset for offset in (expected.image, *expected.inputs, *expected.outputs)]
    assert loaded == 0
    assert refused != 0


def test_the_library_needs_no_allocator_and_no_operating_system(tmp_path):
    compiler("-x", "c", "-std=c99", "-ffreestanding", *STRICT, "-c", SOURCES / "bittern.c", "-o", tmp_path / "bittern.o")
    if shutil.which("nm") is None:
        pytest.skip("nm, of binutils, is not installed")
    listed = subprocess.run(["nm", "-u", tmp_path / "bittern.o"], capture_output=True, text=True, check=True).stdout
    assert set(listed.replace("U", "").split()) <= {"memcpy", "memset", "_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail"}
