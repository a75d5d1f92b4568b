"""Files of checkpoints and bundles: their hash and their size."""

import hashlib
from pathlib import Path

from train.errors import CheckpointError

MEBIBYTE = 1 << 20


def digest(path: Path | str) -> str:
    """sha256 of a checkpoint's file, hexadecimal. Raises CheckpointError."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}); fetch the checkpoint again") from None


def size(path: Path | str) -> str:
    """How large a file is, for people."""
    return f"{Path(path).stat().st_size / MEBIBYTE:.2f} MiB"
