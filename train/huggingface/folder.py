"""Folders that `bittern import` writes and recipes start from: weights, and a description in JSON."""

import dataclasses
import os
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import save

from formats.encoder import Tensors, build
from golden.model import EncoderConfig
from train.errors import CheckpointError
from train.huggingface.convert import Imported
from train.huggingface.files import Checkpoint
from train.model.bmt import BmtEncoder
from train.model.structure import Structure
from train.run.description import FILE, FORMAT, Description, Shape, Source, to_json
from train.run.imported import WEIGHTS, read_imported


def write_imported(imported: Imported, checkpoint: Checkpoint, folder: Path | str, task: str | None = None) -> None:
    """Write an `Imported` to a new folder, whole or not at all. Raises CheckpointError if there is something already."""
    folder = Path(folder)
    if folder.exists():
        raise CheckpointError(f"{folder} is there already and is not overwritten; delete it, or choose another with -o")
    encoder = imported.encoder
    cut: dict[str, Any] = {"patch": imported.patch, "stride": imported.patch, "class_tokens": imported.class_tokens}
    description = Description(
        format=FORMAT,
        family=imported.family,
        task=task,
        config=Shape(**dataclasses.asdict(encoder.config), **dataclasses.asdict(encoder.structure), **cut),
        labels=imported.labels,
        image=imported.image,
        source=Source(sha256=checkpoint.hashes),
        notes=tuple(imported.notes),
        tokenizer=checkpoint.tokenizer,
    )
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    state = {name: value.contiguous() for name, value in encoder.state_dict().items()}
    # The library's own files may be read by their owner alone.
    (partial / WEIGHTS).write_bytes(save(state, {"format": "pt"}))
    (partial / FILE).write_text(to_json(description))
    os.replace(partial, folder)


def load_imported(folder: Path | str) -> tuple[BmtEncoder, Description]:
    """The encoder of such a folder, in full precision and evaluation mode, and its description. Raises CheckpointError."""
    description, weights = read_imported(folder)
    try:
        config, structure = (build(kind, description.config, "config", Tensors({})) for kind in (EncoderConfig, Structure))
        encoder = BmtEncoder(config, None, structure=structure)
        encoder.load_state_dict(weights)
    except (KeyError, RuntimeError) as error:
        reason = str(error).split("\n")[-1].strip()
        text = f"imported checkpoint {folder} does not hold what it should ({reason}); import it again"
        raise CheckpointError(text) from None
    return encoder.eval(), description
