"""Program images for the C library: 17 little-endian 32-bit words that describe a program, then its memory image."""

import struct
import zlib
from pathlib import Path

from formats.files import whole
from golden.model import Input
from isa.registers import VERSION
from program.program import Program

MAGIC = 0x49525442  # "BTRI"


def flat_image(program: Program) -> bytes:
    """Bytes of the image of a `program.program.Program`; `struct bittern_image` in boards/c/bittern.h names the words."""
    c, layout, output = program.config, program.input, program.output
    bits = 0 if layout.input is Input.TOKENS else layout.format.bits
    words = (
        MAGIC, VERSION, c.checksum, len(program.image), program.program_offset, len(program.instructions), layout.bytes,
        output.bytes, output.rows, output.columns, output.row_bytes, layout.tokens, layout.size, bits,
        c.rows | c.depth << 16, program.batch, zlib.crc32(program.image),
    )  # fmt: skip
    return struct.pack("<17I", *words) + program.image


def write_image(program: Program, path: Path | str) -> None:
    """Write the image; the file appears whole or not at all."""
    with whole(path) as partial:
        partial.write_bytes(flat_image(program))
