"""`bittern run`, `image`, and a command for each board that makes its bitstream."""

import argparse
import importlib
from pathlib import Path

from boards.board import Tool
from boards.registry import all_boards
from formats.errors import UsageError
from isa.options import add_accelerator, add_batch, chosen_accelerator


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the sub-parsers of a command line."""
    run = commands.add_parser("run", help="predict: images or texts through a bundle's model, on an accelerator")
    run.add_argument("bundle", type=Path)
    run.add_argument("items", nargs="+", metavar="IMAGE_OR_TEXT", help="pictures, .npy or IDX files; or texts")
    run.add_argument(
        "--on", default="golden", help="golden: the reference (default); rtl: the simulation; /dev/uio0; /dev/ttyUSB0"
    )
    add_accelerator(run, "small")
    add_batch(run)
    run.add_argument("--top", type=int, default=3, help="classes printed of each (default: %(default)s)")
    run.add_argument("--timeout", type=float, default=60.0, help="seconds for one inference (default: %(default)g)")
    run.add_argument("--baud", type=int, help="of a serial line (default: that of the board's own bitstream)")
    run.set_defaults(run=_run)

    image = commands.add_parser("image", help="compile a bundle to a program image for the C library")
    image.add_argument("bundle", type=Path)
    add_accelerator(image, "zcu102")
    add_batch(image)
    image.add_argument("--output", type=Path, help="file (default: the bundle's name, .image, here)")
    image.set_defaults(run=_image)

    for board in all_boards().values():
        _ADD[board.tool](commands, board)


def _add_vivado(commands, board):
    parser = _add_board(commands, board, f"write a folder that Vivado makes a bitstream for the {board.title} from")
    parser.set_defaults(run=_vivado)


def _add_nextpnr(commands, board):
    parser = _add_board(commands, board, f"make a bitstream for the {board.title} ({board.part}), with {board.tool.value}")
    parser.add_argument("--baud", type=int, default=board.baud, help="of the serial line (default: %(default)d)")
    parser.add_argument("--seed", type=int, default=1, help="of placement (default: %(default)d)")
    parser.add_argument("--figures", type=Path, help=f"JSON of routed figures (default: boards/{board.name}/routed.json)")
    parser.set_defaults(run=_nextpnr)


_ADD = {Tool.VIVADO: _add_vivado, Tool.NEXTPNR: _add_nextpnr}


def _add_board(commands, board, about):
    parser = commands.add_parser(board.name, help=about)
    add_accelerator(parser, board.preset)
    folder = Path("build") / board.name
    parser.add_argument("--output", type=Path, default=folder, help="folder (default: %(default)s)")
    parser.add_argument("--clock", type=float, default=board.clock_mhz, help="MHz asked for (default: %(default)g)")
    parser.set_defaults(board=board)
    return parser


def _run(options):
    if options.top < 1:
        raise UsageError(f"--top must be at least 1, not {options.top}")
    from boards.run.command import run

    return run(options)


def _image(options):
    from boards.c.image import write_image
    from formats.bundle import load
    from program.compiler.compiler import compile_encoder

    path = options.output or Path(options.bundle.name).with_suffix(".image")
    config = chosen_accelerator(options).config
    write_image(compile_encoder(load(options.bundle).encoder, config, options.batch), path)
    print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0


def _vivado(options):
    from boards.zynq.package import write_package

    for path in write_package(options.board, chosen_accelerator(options), options.output, options.clock):
        print(path)
    return 0


def _nextpnr(options):
    """By the board's own module, since a board without processors has a top of its own."""
    return importlib.import_module(f"boards.{options.board.name}.build").run_build(options)
