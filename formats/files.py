"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: The checkout.
ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def whole(path: Path | str) -> Iterator[Path]:
    """A path to write to: it takes the place of ``path`` when the block ends, and is gone when the block fails."""
    path = Path(path)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        if str(error.filename) == str(partial):
            error.filename = str(path)  # the name that its user knows
        raise
    finally:
        partial.unlink(missing_ok=True)


def write_whole(path: Path | str, content: str | bytes) -> None:
    """Write text or bytes, and make the folders they are in."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as partial:
        partial.write_bytes(content if isinstance(content, bytes) else content.encode())
