"""Files, told apart by their hash."""

import hashlib
from pathlib import Path

from train.errors import ExportError


def digest(path):
    """sha256 of a file, hexadecimal. Raises ExportError."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ExportError(f"{path} cannot be read ({error.strerror})") from None
