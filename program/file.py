"""Program files: image, symbols and layouts in safetensors plus JSON metadata, like bundles."""

import hashlib
import json
from dataclasses import asdict

import numpy as np
import safetensors
import safetensors.numpy

from formats.files import whole
from golden.codes import Kind
from golden.model import Format, Head, Input
from isa.config import AcceleratorConfig
from isa.instruction import INSTRUCTION_BYTES, Memory, decode
from program.program import InputLayout, OutputLayout, Piece, Program, ProgramError, Symbol
from program.verify.checker import check

FORMAT = "bittern-program-1"


def save(program, path):
    """Write a program; the file appears whole or not at all. The instructions are those in the image."""
    structure = json.dumps(
        {
            "config": asdict(program.config),
            "program_offset": program.program_offset,
            "names": program.names,
            "input": asdict(program.input),
            "output": asdict(program.output),
            "symbols": {name: asdict(symbol) for name, symbol in program.symbols.items()},
            "pieces": [asdict(piece) for piece in program.pieces],
        }
    )
    image = np.frombuffer(program.image, np.uint8)
    metadata = {"format": FORMAT, "structure": structure, "sha256": _digest(structure, image)}
    with whole(path) as partial:
        partial.write_bytes(safetensors.numpy.save({"image": image}, metadata))


def load(path):
    """Read a program and check it. Raises ProgramError, naming the file, for anything that is not a whole, safe one."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            image = file.get_tensor("image") if metadata.get("format") == FORMAT else None
    except FileNotFoundError:
        raise ProgramError(f"there is no program at {path}; give the path of a .program file") from None
    except OSError as error:
        raise ProgramError(f"program {path} cannot be read: {error.strerror or error}") from None
    except safetensors.SafetensorError as error:
        raise ProgramError(f"program {path} is corrupt or truncated ({error}); compile it again") from None
    if image is None:
        raise ProgramError(f"{path} is not of format {FORMAT} but {metadata.get('format')!r}; compile it again")
    try:
        if _digest(metadata["structure"], image) != metadata["sha256"]:
            raise ValueError("its content does not match its checksum; compile it again")
        program = _build(json.loads(metadata["structure"]), image.tobytes())
        check(program)
    except (KeyError, TypeError, IndexError) as error:
        raise ProgramError(f"program {path} lacks or misplaces {error}; compile it again") from None
    except ValueError as error:
        raise ProgramError(f"program {path} is invalid: {error}") from None
    return program


def _digest(structure, image):
    digest = hashlib.sha256(structure.encode())
    digest.update(image.tobytes())
    return digest.hexdigest()


def _build(structure, image):
    """The program of a JSON structure and an image."""
    names, offset = tuple(structure["names"]), structure["program_offset"]
    parts = (image[offset + i * INSTRUCTION_BYTES :][:INSTRUCTION_BYTES] for i in range(len(names)))
    return Program(
        config=AcceleratorConfig(**structure["config"]),
        instructions=tuple(decode(part) for part in parts),
        names=names,
        image=image,
        program_offset=offset,
        input=InputLayout(**_typed(structure["input"], input=Input, format=_format)),
        output=OutputLayout(**_typed(structure["output"], head=Head)),
        symbols={
            name: Symbol(**_typed(fields, memory=_memory, format=_format, writers=tuple))
            for name, fields in structure["symbols"].items()
        },
        pieces=tuple(Piece(**fields) for fields in structure["pieces"]),
    )


def _typed(fields, **types):
    """Fields of a dataclass, those in ``types`` converted back from what JSON has."""
    return fields | {name: convert(fields[name]) for name, convert in types.items()}


def _format(value):
    return None if value is None else Format(Kind(value[0]), value[1])


def _memory(value):
    return None if value is None else Memory(value)
