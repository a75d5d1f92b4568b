"""Options of `bittern train` and `bittern reproduce`; imports no PyTorch, so that the command line can always list them."""

import importlib.util
import os
import sys

from train.errors import TrainError

#: What may be asked for at most, of cores, processes and cells side by side: more than a machine has.
MOST_CORES = 1024
EXTRA = ("torch", "tokenizers", "sklearn", "safetensors")


def add_commands(commands):
    """Add both to the sub-parsers of a command line."""
    train = commands.add_parser("train", help="train a recipe: teacher, stages of fewer bits, export, accuracy")
    add_train(train)
    train.set_defaults(run=run_train)
    reproduce = commands.add_parser("reproduce", help="train the grid of models behind docs/accuracy.md, and write it")
    add_reproduce(reproduce)
    reproduce.set_defaults(run=run_reproduce)


def add_train(parser):
    parser.add_argument("recipe", help="a TOML file, as in train/recipes")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run of this recipe")
    parser.add_argument("--data", help="folder of the data set; for SST-2 and CoLA also BITTERN_SST2, BITTERN_COLA")
    parser.add_argument("--output", help="folder of the run (default: build/train/NAME)")
    parser.add_argument("--bundle", help="bundle to write (default: NAME.bundle in the folder of the run)")
    parser.add_argument("--work", help="folder of the stages' checkpoints, to share them (default: in that of the run)")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1 (default: a GPU if there is one)")
    parser.add_argument("--threads", type=int, default=0, help="processor cores to use (default: PyTorch's choice)")
    parser.add_argument("--control", action="store_true", help="also train and measure the model without its layers")


def add_reproduce(parser):
    parser.add_argument("--quick", action="store_true", help="small digits and few epochs: minutes, to see that it works")
    parser.add_argument("--jobs", type=int, default=1, help="cells to train side by side (default: 1)")
    parser.add_argument(
        "--threads", type=int, default=0, help="cores of a cell (default: all over --jobs; 1 if quick)"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, or auto: a GPU if there is one (default: cpu)")
    for name in ("task", "bits", "method", "seed"):
        parser.add_argument(f"--{name}", action="append", help=f"only cells of this {name}; may be repeated")
    parser.add_argument("--data", help="folder of the GLUE sets: SST-2 and CoLA in it")
    parser.add_argument("--output", help="folder of results and checkpoints (default: build/reproduce, or build/quick)")
    parser.add_argument("--page", help="page to write (default: docs/accuracy.md, or accuracy.md in the output if quick)")
    parser.add_argument("--list", action="store_true", help="say which cells there are and which are done; train nothing")


def check_cores(options, *names):
    """Raise TrainError for an option of so many cores that cannot be; 0 and None leave the number to the machine."""
    for name in names:
        value = getattr(options, name)
        if value is not None and not 0 <= value <= MOST_CORES:
            raise TrainError(f"--{name} must be in 0..{MOST_CORES}, not {value}; leave it out for what the machine has")


def run_train(options):
    check_cores(options, "threads")
    require(EXTRA, "training")
    from train.run.command import run

    return run(options)


def run_reproduce(options):
    check_cores(options, "threads", "jobs")
    require(EXTRA, "training")
    from train.reproduce.command import run

    return run(options)


def require(modules, what, way_out=None):
    """Raise TrainError unless all modules are installed; ``what`` needs them."""
    missing = [name for name in modules if sys.modules.get(name, name) is None or importlib.util.find_spec(name) is None]
    if missing:
        way_out = way_out or f"run `make train-setup` in {os.getcwd()}"
        raise TrainError(f"{what} needs {missing[0]}, which is not installed; {way_out}")
