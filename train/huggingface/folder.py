"""Folders that `bittern import` writes and recipes start from: weights, and a description in JSON."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

from safetensors.torch import save

from golden.model import EncoderConfig
from train.errors import CheckpointError
from train.model.bmt import Encoder
from train.model.structure import Structure
from train.run.recipe import build
from train.run.start import DESCRIPTION, WEIGHTS, read_imported

FORMAT = "bittern-import-1"


def write_imported(imported, checkpoint, folder, task=None):
    """Write an `Imported` to a new folder, whole or not at all. Raises CheckpointError if there is something already."""
    folder = Path(folder)
    if folder.exists():
        raise CheckpointError(f"{folder} is there already and is not overwritten; delete it, or choose another with -o")
    encoder = imported.encoder
    shape = {"patch": imported.patch, "stride": imported.patch, "class_tokens": imported.class_tokens}
    description = {
        "format": FORMAT,
        "family": imported.family,
        "task": task,
        "config": dataclasses.asdict(encoder.config) | dataclasses.asdict(encoder.structure) | shape,
        "labels": imported.labels,
        "image": imported.image,
        "source": {"sha256": checkpoint.hashes},
        "notes": imported.notes,
        "tokenizer": checkpoint.tokenizer,
    }
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    state = {name: value.contiguous() for name, value in encoder.state_dict().items()}
    # The library's own files may be read by their owner alone.
    (partial / WEIGHTS).write_bytes(save(state, {"format": "pt"}))
    (partial / DESCRIPTION).write_text(json.dumps(description, indent=1) + "\n")
    os.replace(partial, folder)


def load_imported(folder):
    """The encoder of such a folder, in full precision and evaluation mode, and its description. Raises CheckpointError."""
    description, weights = read_imported(folder)
    try:
        config = description["config"]
        parts = {
            kind: build(kind, {field.name: config[field.name] for field in dataclasses.fields(kind)}, "the description")
            for kind in (EncoderConfig, Structure)
        }
        encoder = Encoder(parts[EncoderConfig], None, structure=parts[Structure])
        encoder.load_state_dict(weights)
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        reason = str(error).split("\n")[0]
        text = f"imported checkpoint {folder} does not hold what it should ({reason}); import it again"
        raise CheckpointError(text) from None
    return encoder.eval(), description
