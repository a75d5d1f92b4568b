"""Options of `bittern import`, `export` and `evaluate`; imports no PyTorch, as `train.run.options` does not."""

from pathlib import Path

from train.run.options import check_cores, require

TORCH = ("torch", "safetensors", "tokenizers")
DATA = "folder of the data set; for SST-2 and CoLA also BITTERN_SST2, BITTERN_COLA"
PROCESSES = "processes of the integer model (default: one for each core)"


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

    exporting = commands.add_parser("export", help="make a bundle of a trained model")
    exporting.add_argument("checkpoint", help="best.pt, which `bittern train` writes")
    exporting.add_argument("-o", "--output", required=True, type=Path, help="bundle to write")
    exporting.add_argument("--data", help=DATA)
    exporting.add_argument("--measure", action="store_true", help="measure all forms on the test set, for the record")
    exporting.add_argument("--processes", type=int, help=PROCESSES)
    exporting.add_argument("--qonnx", type=Path, help="also write the linear layers as QONNX; needs the extra qonnx")
    exporting.set_defaults(run=_export)

    evaluating = commands.add_parser("evaluate", help="full precision, fake-quantized and integer accuracy; drift per layer")
    evaluating.add_argument("bundle", type=Path)
    evaluating.add_argument("--data", help=DATA)
    evaluating.add_argument("--checkpoint", type=Path, help="best.pt it was exported from (default: as the bundle says)")
    evaluating.add_argument("--split", choices=("test", "validation"), default="test")
    evaluating.add_argument("--samples", type=int, help="only the first so many")
    evaluating.add_argument("--drift-samples", type=int, default=200, help="samples of the drift report (default: 200)")
    evaluating.add_argument("--no-drift", action="store_true", help="accuracies only")
    evaluating.add_argument("--processes", type=int, help=PROCESSES)
    evaluating.add_argument("-o", "--output", type=Path, help="report to write as JSON")
    evaluating.set_defaults(run=_evaluate)


def _import(options):
    require(TORCH, "importing")
    from train.huggingface.command import run

    return run(options)


def _export(options):
    check_cores(options, "processes")
    require(TORCH, "exporting")
    if options.qonnx:
        require(("onnx",), "QONNX", "install the extra: pip install -e '.[qonnx]'")
    from train.export.command import run

    return run(options)


def _evaluate(options):
    check_cores(options, "processes")
    require(TORCH, "evaluating")
    from train.evaluate.command import run

    return run(options)
