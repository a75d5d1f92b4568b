"""What an imported checkpoint says of itself, in JSON beside its weights: written by `bittern import`, read by recipes."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from formats import structure
from formats.decode import Part, decode, parse
from train.errors import CheckpointError
from train.model.structure import Activation, NormKind, Pooler

FILE, FORMAT = "bittern.json", "bittern-import-1"


class Shape(structure.EncoderConfig):
    """The shape of the encoder, with the fields of `train.model.structure.Structure` and the cut of images."""

    activation: Activation = Activation.RELU
    norm: NormKind = NormKind.LAYER
    epsilon: Annotated[float, Meta(ge=0.0, le=1.0)] = 1e-5
    pooler: Pooler | None = None
    patch: Annotated[int, Meta(ge=0, le=1024)] = 0
    stride: Annotated[int, Meta(ge=0, le=1024)] = 0
    class_tokens: Annotated[int, Meta(ge=0, le=16)] = 0


class Source(Part):
    """sha256 of each file of weights, by name."""

    sha256: dict[str, str]


class Description(Part):
    """``image`` is the side in pixels, 0 for text; ``tokenizer`` as its file has it; ``notes`` are for people."""

    format: Annotated[str, Meta(pattern=f"^{FORMAT}$")]
    family: str
    config: Shape
    labels: tuple[str, ...]
    source: Source
    task: str | None = None
    image: Annotated[int, Meta(ge=0, le=1 << 14)] = 0
    notes: tuple[str, ...] = ()
    tokenizer: dict[str, Any] | None = None


def read_description(folder: str | Path) -> Description:
    """The description in a folder of `bittern import`. Raises CheckpointError."""
    path = Path(folder) / FILE
    try:
        return decode(Description, parse(path.read_bytes()), "the description")
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no {error.filename}; `bittern import` writes what recipes can start from") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"imported checkpoint {folder} is damaged ({error}); import it again") from None


def to_json(description: Description) -> str:
    """The content of the file."""
    return msgspec.json.format(msgspec.json.encode(description), indent=1).decode() + "\n"
