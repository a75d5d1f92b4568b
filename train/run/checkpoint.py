"""Checkpoint files: written whole or not at all, read with a check of what they are."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from formats.files import whole
from train.errors import CheckpointError

VERSION = 2


def save(content: dict[str, Any], path: Path | str) -> None:
    """Write a dictionary of tensors and plain values."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as partial:
        torch.save({"version": VERSION} | content, partial)


def load(path: Path | str, kind: str) -> dict[str, Any]:
    """What `save` wrote, with its tensors on the processor. Raises CheckpointError.

    Parameters
    ----------
    kind : str
        The value that its ``kind`` must have.
    """
    path = Path(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"there is no checkpoint at {path}; give the path of one that `bittern train` wrote") from None
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, zipfile.BadZipFile, ValueError, KeyError) as error:
        reason = str(error).split("\n")[0][:120]
        raise CheckpointError(f"checkpoint {path} is damaged ({reason}); delete it and train again") from None
    if not isinstance(content, dict) or content.get("kind") != kind:
        raise CheckpointError(f"{path} is no {kind} checkpoint of `bittern train`; give another file")
    if content.get("version") != VERSION:
        raise CheckpointError(f"{path} is of version {content.get('version')}, not {VERSION}; train again")
    return content
