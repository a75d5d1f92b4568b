"""Files: written whole or not at all, and told apart by hash."""

import hashlib
import os
from pathlib import Path

from train.errors import ExportError


def write_whole(path, content):
    """Write text or bytes; the file appears whole or not at all, the folders it is in as well."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_bytes(content if isinstance(content, bytes) else content.encode())
    partial.replace(path)


def digest(path):
    """sha256 of a file, hexadecimal. Raises ExportError."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ExportError(f"{path} cannot be read ({error.strerror})") from None
