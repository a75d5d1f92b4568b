"""Files of tensors with a description in JSON beside them, under a checksum: what bundles and programs are kept in."""

import json
import reprlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from formats.decode import parse
from formats.errors import UserError
from formats.files import whole

#: Types of tensors, as the file names them.
INTEGERS = {"U8": np.uint8, "I8": np.int8, "I16": np.int16, "I32": np.int32, "I64": np.int64}


@dataclass(frozen=True)
class Container:
    """A kind of file.

    ``noun`` and ``suffix`` name it; ``version`` is that of the format, ``advice`` what to do with a bad file, ``error`` what
    is raised for it. ``digest`` gives the checksum of the description, as text and as plain value, and the tensors.
    """

    noun: str
    suffix: str
    version: str
    advice: str
    error: type[UserError]
    digest: Callable[[str, Any, dict[str, np.ndarray]], str]

    def write(self, path: str | Path, description: Any, tensors: dict[str, np.ndarray]) -> None:
        """Write a file; it appears whole or not at all."""
        text = json.dumps(description)
        metadata = {"format": self.version, "structure": text, "sha256": self.digest(text, description, tensors)}
        with whole(path) as partial:
            partial.write_bytes(safetensors.numpy.save(tensors, metadata))

    def read(self, path: str | Path) -> tuple[Any, dict[str, np.ndarray]]:
        """Description, a plain value, and tensors of integers. Raises ``error``, naming the file."""
        with self.naming(path):
            metadata, tensors = self._open(path)
            for key in ("structure", "sha256"):
                if key not in metadata:
                    raise ValueError(f"its header lacks {key!r}")
            description = parse(metadata["structure"])
            if self.digest(metadata["structure"], description, tensors) != metadata["sha256"]:
                raise ValueError("its content does not match its checksum")
        return description, tensors

    @contextmanager
    def naming(self, path: str | Path) -> Iterator[None]:
        """What is wrong in the block is said of the file, as ``error``."""
        try:
            yield
        except self.error:
            raise
        except ValueError as error:
            raise self.error(f"{self.noun} {path} is invalid: {error}; {self.advice}") from None
        except RecursionError:
            raise self.error(f"{self.noun} {path} is invalid: its description is nested too deep; {self.advice}") from None

    def _open(self, path):
        try:
            with safetensors.safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                if (found := metadata.get("format")) != self.version:
                    raise self.error(
                        f"{path} is not of format {self.version} but {reprlib.repr(found)}; {self.advice}, or take a "
                        "Bittern that knows that format"
                    )
                return metadata, {name: _tensor(file, name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        except FileNotFoundError:
            raise self.error(f"there is no {self.noun} at {path}; give the path of a {self.suffix} file") from None
        except OSError as error:
            raise self.error(f"{self.noun} {path} cannot be read: {error.strerror or error}; give another path") from None
        except safetensors.SafetensorError as error:
            raise self.error(f"{self.noun} {path} is corrupt or truncated ({error}); {self.advice}") from None


def _tensor(file, name):
    kind = file.get_slice(name).get_dtype()
    if kind not in INTEGERS:
        raise ValueError(f"tensor {name!r} must be of one of the types {', '.join(INTEGERS)}, not {kind}")
    return file.get_tensor(name)
