"""Options of `bittern import`, `export` and `evaluate`; imports no PyTorch, as `train.options` does not."""

from pathlib import Path

from train.options import require

TORCH = ("torch", "safetensors", "tokenizers")


def add_model_commands(commands):
    """Add them to the sub-parsers of a command line."""
    importing = commands.add_parser("import", help="take a checkpoint in Hugging Face layout, for a recipe to start from")
    importing.add_argument("checkpoint", help="folder with config.json and weights, or the file of weights")
    importing.add_argument("--task", help="task it will be trained on: its classes; and images are grey and of its size")
    importing.add_argument("-o", "--output", required=True, type=Path, help="folder to write; must not be there yet")
    importing.add_argument("--head", choices=("cls", "mean"), help="what is classified, without the checkpoint's classifier")
    importing.add_argument("--new-classifier", action="store_true", help="leave the checkpoint's classifier out")
    importing.add_argument("--tokens", type=int, help="longest text that a recipe may ask for (default: 128)")
    importing.add_argument("--heads", type=int, help="attention heads, where there is no config.json")
    importing.add_argument("--family", help="layout: bert, roberta, distilbert, vit, deit (default: as config.json says)")
    importing.add_argument(
        "--residual-fraction", type=int, choices=range(16), metavar="0..15",
        help="fraction bits of the residual stream (default: 10, or 8 for pre-LN)",
    )  # fmt: skip
    importing.add_argument("--sha256", help="first digits of the hash that the file of weights must have")
    importing.set_defaults(run=_import)


def _import(options):
    require(TORCH, "importing")
    from train.huggingface.command import run

    return run(options)
