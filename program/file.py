"""Program files: an image of memory in safetensors, and what the host must know of it in JSON metadata."""

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
from msgspec import Meta

from formats.container import Container
from formats.decode import Part, decode, entry
from golden.codes import check_kind
from isa.config import AcceleratorConfig
from isa.instruction import INSTRUCTION_BYTES, SAMPLES, Memory
from isa.instruction import decode as decode_instruction
from isa.memory import depth_of
from program.program import ImagePart, InputLayout, OutputLayout, Program, ProgramError, Symbol
from program.verify.checker import check

FORMAT = "bittern-program-2"
#: Memories that a symbol can be in, beside region OUTPUT.
TENSORS = (Memory.LEFT, Memory.RIGHT, Memory.RESIDUAL)


class ProgramFile(Part):
    """The JSON of a program: the fields of `program.program.Program` but for what the image holds."""

    config: AcceleratorConfig
    batch: Annotated[int, Meta(ge=1, le=SAMPLES)]
    program_offset: Annotated[int, Meta(ge=0)]
    names: tuple[str, ...]
    input: InputLayout
    output: OutputLayout
    symbols: dict[str, Symbol]
    pieces: tuple[ImagePart, ...]


def _digest(text, description, tensors):
    digest = hashlib.sha256(text.encode())
    digest.update(tensors["image"].tobytes() if "image" in tensors else b"")
    return digest.hexdigest()


FILE = Container("program", ".program", FORMAT, "compile it again", ProgramError, _digest)


def save(program: Program, path: str | Path) -> None:
    """Write a program; the file appears whole or not at all. The instructions are those in the image."""
    description = {
        "config": asdict(program.config),
        "batch": program.batch,
        "program_offset": program.program_offset,
        "names": program.names,
        "input": asdict(program.input),
        "output": asdict(program.output),
        "symbols": {name: asdict(symbol) for name, symbol in program.symbols.items()},
        "pieces": [asdict(piece) for piece in program.pieces],
    }
    FILE.write(path, description, {"image": np.frombuffer(program.image, np.uint8)})


def load(path: str | Path) -> Program:
    """Read a program and check it. Raises ProgramError, naming the file, for anything that is not a whole, safe one."""
    description, tensors = FILE.read(path)
    with FILE.naming(path):
        if list(tensors) != ["image"] or tensors["image"].dtype != np.uint8 or tensors["image"].ndim != 1:
            raise ValueError("it must hold one tensor, the image, of bytes")
        program = _build(decode(ProgramFile, description, "it"), tensors["image"].tobytes())
    try:
        check(program)
    except ProgramError as error:
        raise ProgramError(f"program {path} is invalid: {error}") from None
    return program


def _build(file, image):
    """The program of its two parts. Raises ValueError."""
    offset, size = file.program_offset, len(file.names) * INSTRUCTION_BYTES
    if offset + size > len(image):
        raise ValueError(f"program_offset and names tell of {size} bytes at {offset} in an image of {len(image)}")
    _check_format(file.input.format, "input.format")
    for piece in file.pieces:
        if piece.offset + piece.size > len(image):
            end = piece.offset + piece.size
            raise ValueError(f"pieces: {piece.name!r} must end inside the image of {len(image)} bytes, not at {end}")
    for name, symbol in file.symbols.items():
        _check_symbol(symbol, file, entry("symbols", name))
    parts = (image[start : start + INSTRUCTION_BYTES] for start in range(offset, offset + size, INSTRUCTION_BYTES))
    return Program(
        config=file.config,
        batch=file.batch,
        instructions=tuple(map(decode_instruction, parts)),
        names=file.names,
        image=image,
        program_offset=offset,
        input=file.input,
        output=file.output,
        symbols=file.symbols,
        pieces=file.pieces,
    )


def _check_symbol(symbol, file, name):
    if symbol.memory is not None:
        if symbol.memory not in TENSORS:
            held = ", ".join(f"{memory.value} ({memory.name})" for memory in TENSORS)
            raise ValueError(f"{name}.memory must be null or one of {held}, which hold tensors, not {symbol.memory.value}")
        words, _ = depth_of(file.config, symbol.memory)
        if symbol.base >= words:
            raise ValueError(f"{name}.base must be below the {words} words of {symbol.memory.name}, not {symbol.base}")
    elif symbol.base % file.output.bytes or symbol.base >= file.batch * file.output.bytes:
        size = file.output.bytes
        raise ValueError(f"{name}.base must be that of one of {file.batch} outputs of {size} bytes each, not {symbol.base}")
    if symbol.format is not None:
        _check_format(symbol.format, entry(name, "format"))
    if (symbol.format is not None) != (symbol.memory in (Memory.LEFT, Memory.RIGHT)):
        raise ValueError(f"{name}.format must be that of the codes in LEFT and RIGHT, null elsewhere, not {symbol.format}")
    for index in symbol.writers:
        if index >= len(file.names):
            raise ValueError(f"{name}.writers must be below the number of instructions, {len(file.names)}, not {index}")


def _check_format(form, name):
    try:
        check_kind(*form)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
