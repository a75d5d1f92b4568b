"""Files of a checkpoint: weights, configuration, tokenizer; read from a folder or a single file of weights."""

import json
import pickle
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from train.errors import CheckpointError
from train.run.files import digest

#: Files of weights, in the order they are looked for.
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
START, END, UNKNOWN = "[CLS]", "[SEP]", "[UNK]"


@dataclass(frozen=True)
class Checkpoint:
    """``state`` tensors by name; ``config`` and ``preprocessor`` as in the JSON files, empty where there is none;
    ``tokenizer`` as the library writes it, or None; ``hashes`` sha256 of each file of weights, by name."""

    state: dict
    config: dict
    preprocessor: dict
    tokenizer: dict | None
    hashes: dict


def read_checkpoint(path: Path | str, sha256: str | None = None) -> Checkpoint:
    """A checkpoint from a folder, or from a file of weights and what is beside it.

    Parameters
    ----------
    path : path
    sha256 : str, optional
        First hexadecimal digits of the hash that the file of weights must have.

    Raises
    ------
    CheckpointError
    """
    path = Path(path)
    folder = path.parent if path.is_file() else path
    first = path if path.is_file() else next((path / name for name in WEIGHTS if (path / name).is_file()), None)
    if first is None:
        there = f"{path} has none of {', '.join(WEIGHTS)}" if path.is_dir() else f"there is no checkpoint at {path}"
        raise CheckpointError(f"{there}; give a folder with config.json and weights in Hugging Face layout")
    files = [first]
    if first.name.endswith(".index.json"):
        files = sorted({folder / name for name in _json(first).get("weight_map", {}).values()})
    hashes = {file.name: digest(file) for file in files}
    if sha256 is not None and not hashes[files[0].name].startswith(sha256.lower()):
        found = hashes[files[0].name][: len(sha256)]
        raise CheckpointError(f"{files[0]} must have a sha256 that begins with {sha256}, not {found}; fetch it again")
    state = {}
    for file in files:
        state |= _tensors(file)
    return Checkpoint(
        state, _json(folder / "config.json"), _json(folder / "preprocessor_config.json"), _tokenizer(folder), hashes
    )


def _tensors(path):
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a pickle that is refused anyway, or read
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, pickle.UnpicklingError, EOFError, OSError, zipfile.BadZipFile, ValueError,
            KeyError) as error:  # fmt: skip
        reason = str(error).split("\n")[0][:120]
        raise CheckpointError(f"{path} is corrupt or no file of weights ({reason}); fetch it again") from None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise CheckpointError(f"{path} does not hold named tensors alone; save the model's state_dict()")
    return state


def _json(path):
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is no JSON that can be read ({error}); fetch it again") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} must hold a JSON object; fetch it again")
    return content


def _tokenizer(folder):
    """From tokenizer.json, or from the vocab.txt of a BERT; without its padding and truncation, which are the recipe's."""
    content = _json(folder / "tokenizer.json")
    if not content and (folder / "vocab.txt").is_file():
        lower = _json(folder / "tokenizer_config.json").get("do_lower_case", True)
        content = json.loads(_word_pieces((folder / "vocab.txt").read_text().splitlines(), lower).to_str())
    return content | {"truncation": None, "padding": None} if content else None


def _word_pieces(pieces, lower):
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    if missing := [name for name in (START, END, UNKNOWN) if name not in vocabulary]:
        raise CheckpointError(f"vocab.txt lacks the piece {missing[0]}; give a tokenizer.json beside it")
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens([name for name in ("[PAD]", UNKNOWN, START, END, "[MASK]") if name in vocabulary])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(name, vocabulary[name]) for name in (START, END)]
    )
    return tokenizer
