"""`bittern verilog` and `bittern lint`."""

import argparse
from pathlib import Path

from hw.mapping import Mapping
from isa.options import ALL, add_accelerator


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the sub-parsers of a command line."""
    verilog = commands.add_parser("verilog", help="write the accelerator as Verilog")
    add_accelerator(verilog, ALL)
    verilog.add_argument("--output", type=Path, default=Path("build/verilog"), help="folder (default: %(default)s)")
    _add_mapping(verilog)
    verilog.set_defaults(run=_verilog)

    lint = commands.add_parser("lint", help="lint the Verilog of the presets")
    add_accelerator(lint, ALL)
    _add_mapping(lint)
    lint.set_defaults(run=_lint, output=Path("build/lint"))


def _add_mapping(parser):
    parser.add_argument(
        "--mapping", choices=[mapping.value for mapping in Mapping], default=Mapping.PLAIN.value,
        help="cells of the array: plain, for any tool, or ultrascale, LUT6_2 and CARRY8 of UltraScale and UltraScale+ "
             "(default: %(default)s); the latter goes to PRESET-ultrascale",
    )  # fmt: skip


def _verilog(options):
    from hw.verilog import write

    return write(options)


def _lint(options):
    from hw.verilog import lint

    return lint(options)
