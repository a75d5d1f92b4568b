"""`bittern train`, `reproduce`, `import`, `export`, `evaluate`, `speed`; imports no PyTorch, so that help lists all."""

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from train.errors import TrainError

#: What may be asked for at most, of cores, processes and cells side by side: more than a machine has.
MOST_CORES = 1024
TRAINING = ("torch", "tokenizers", "sklearn", "safetensors")
TORCH = ("torch", "safetensors", "tokenizers")
DATA = "folder of the data set; for SST-2 and CoLA also BITTERN_SST2, BITTERN_COLA"
PROCESSES = "processes of the integer model (default: one for each core)"


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the sub-parsers of a command line."""
    _add_train(commands)
    _add_reproduce(commands)
    _add_import(commands)
    _add_export(commands)
    _add_evaluate(commands)
    _add_speed(commands)


def _add_train(commands):
    train = commands.add_parser("train", help="train a recipe: teacher, stages of fewer bits, export, accuracy")
    train.add_argument("recipe", help="a TOML file, as in train/recipes")
    train.add_argument("--resume", action="store_true", help="go on with an interrupted run of this recipe")
    train.add_argument("--data", help=DATA)
    train.add_argument("--output", help="folder of the run (default: build/train/NAME)")
    train.add_argument("--bundle", help="bundle to write (default: NAME.bundle in the folder of the run)")
    train.add_argument("--work", help="folder of the stages' checkpoints, to share them (default: in that of the run)")
    train.add_argument("--device", default="auto", help="cpu, cuda, cuda:1 (default: a GPU if there is one)")
    train.add_argument("--threads", type=int, default=0, help="processor cores to use (default: PyTorch's choice)")
    train.add_argument("--control", action="store_true", help="also train and measure the model without its layers")
    train.set_defaults(run=_train)


def _add_reproduce(commands):
    reproduce = commands.add_parser("reproduce", help="train the grid of models behind docs/accuracy.md, and write it")
    reproduce.add_argument("--quick", action="store_true", help="small digits and few epochs: minutes, to see that it works")
    reproduce.add_argument("--jobs", type=int, default=1, help="cells to train side by side (default: 1)")
    reproduce.add_argument("--threads", type=int, default=0, help="cores of a cell (default: all over --jobs; 1 if quick)")
    reproduce.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1; auto: a GPU if there is one (default: cpu)")
    for name in ("task", "bits", "method", "seed"):
        reproduce.add_argument(f"--{name}", action="append", help=f"only cells of this {name}; may be repeated")
    reproduce.add_argument("--data", help="folder of the GLUE sets: SST-2 and CoLA in it")
    reproduce.add_argument("--output", help="folder of results and checkpoints (default: build/reproduce, or build/quick)")
    reproduce.add_argument("--page", help="page to write (default: docs/accuracy.md, or accuracy.md in the output if quick)")
    reproduce.add_argument("--list", action="store_true", help="say which cells there are and which are done; train nothing")
    reproduce.set_defaults(run=_reproduce)


def _add_import(commands):
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


def _add_export(commands):
    exporting = commands.add_parser("export", help="make a bundle of a trained model")
    exporting.add_argument("checkpoint", help="best.pt, which `bittern train` writes")
    exporting.add_argument("-o", "--output", required=True, type=Path, help="bundle to write")
    exporting.add_argument("--data", help=DATA)
    exporting.add_argument("--measure", action="store_true", help="measure all forms on the test set, for the record")
    exporting.add_argument("--processes", type=int, help=PROCESSES)
    exporting.add_argument("--qonnx", type=Path, help="also write the linear layers as QONNX; needs the extra qonnx")
    exporting.set_defaults(run=_export)


def _add_evaluate(commands):
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


def _add_speed(commands):
    speed = commands.add_parser("speed", help="how much longer a training step on bits takes than one in full precision")
    speed.add_argument("--device", default="auto", help="cpu or cuda (default: a GPU if there is one)")
    speed.add_argument("--threads", type=int, default=0, help="processor cores to use (default: PyTorch's choice)")
    speed.add_argument("--rounds", type=int, default=9, help="steps of each model (default: %(default)s)")
    speed.add_argument("--shape", action="append", help="only this model, as the table calls it; may be repeated")
    speed.add_argument("--launched", action="store_true", help="on a GPU: no recorded steps, every kernel launched anew")
    speed.add_argument("--output", type=Path, default=Path("build/bench/training.json"), help="JSON (default: %(default)s)")
    speed.set_defaults(run=_speed)


def _train(options):
    check_cores(options, "threads")
    require(TRAINING, "training")
    from train.run.command import run

    return run(options)


def _reproduce(options):
    check_cores(options, "threads", "jobs")
    require(TRAINING, "training")
    from train.reproduce.command import run

    return run(options)


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


def _speed(options):
    check_cores(options, "threads")
    require(TORCH, "measuring")
    from train.run.speed import run

    return run(options)


def check_cores(options: argparse.Namespace, *names: str) -> None:
    """Raise TrainError for an option of so many cores that cannot be; 0 and None leave the number to the machine."""
    for name in names:
        value = getattr(options, name)
        if value is not None and not 0 <= value <= MOST_CORES:
            raise TrainError(f"--{name} must be in 0..{MOST_CORES}, not {value}; leave it out for what the machine has")


def require(modules: Sequence[str], what: str, way_out: str | None = None) -> None:
    """Raise TrainError unless all modules are installed; ``what`` needs them."""
    missing = [name for name in modules if sys.modules.get(name, name) is None or importlib.util.find_spec(name) is None]
    if missing:
        way_out = way_out or f"run `make train-setup` in {os.getcwd()}"
        raise TrainError(f"{what} needs {missing[0]}, which is not installed; {way_out}")
