"""Imported checkpoints, as `bittern import` writes them: a folder of weights and what describes them."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from golden.model import Input
from train.errors import CheckpointError
from train.run.description import Description, read_description

if TYPE_CHECKING:
    import torch

#: The weights, beside the description.
WEIGHTS = "model.safetensors"
#: Sizes that a recipe cannot choose.
FIXED = ("layers", "width", "heads", "head_width", "feed_forward", "vocabulary", "order")


def read_imported(folder: Path | str) -> "tuple[Description, dict[str, torch.Tensor]]":
    """`Description`, and weights, a dictionary of tensors, of an imported checkpoint. Raises CheckpointError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    description = read_description(folder)
    try:
        weights = load_file(Path(folder) / WEIGHTS)
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no {error.filename}; `bittern import` writes what recipes can start from") from None
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"imported checkpoint {folder} is damaged ({error}); import it again") from None
    return description, weights


def shape_of(folder: Path | str, wanted: dict[str, Any], known: Collection[str]) -> dict[str, Any]:
    """The table of a recipe's [model]: the shape of an imported checkpoint, with what ``wanted`` says besides it.

    Parameters
    ----------
    folder : path
    wanted : dict
        The table as it stands in the recipe.
    known : set of str
        Keys that the table can have.

    Raises
    ------
    CheckpointError
        Also where ``wanted`` contradicts a size that the weights have.
    """
    config = read_description(folder).config
    shape = {key: getattr(config, key) for key in config.__struct_fields__ if key in known}
    if config.input is Input.TOKENS:
        shape["vocabulary"] = config.input_size
    for key in FIXED:
        if key in shape and wanted.get(key, shape[key]) != shape[key]:
            raise CheckpointError(
                f"{key} of the recipe's model is {wanted[key]}, but {folder} has {shape[key]}; leave it out of [model]"
            )
    return shape | wanted
