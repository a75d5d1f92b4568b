"""The `bittern` command: every package adds its own commands, and whatever goes wrong is told here in one sentence."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import bench.commands
import boards.commands
import codesign.commands
import formats.commands
import hw.commands
import isa.commands
import sim.commands
import train.commands
from formats.errors import UsageError, UserError

#: Packages that add commands, in the order of ``bittern --help``. Each imports what it runs when it runs it.
PACKAGES = (sim, boards, formats, hw, codesign, bench, train, isa)


class Parser(argparse.ArgumentParser):
    """A parser, as are those of all commands below it, that raises UsageError for arguments it does not understand."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; `{self.prog} --help` lists what there is")


class Version(argparse.Action):
    """``--version``: what is installed. Looked up when asked for, as that takes longer than the rest of a help page."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any):
        super().__init__(option_strings, dest, nargs=0, **options)

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: str | None = None
    ) -> None:
        from importlib.metadata import version

        print(f"{parser.prog} {version(parser.prog)}")
        parser.exit()


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status: 0 passed, 1 failed, 2 what a user can put right, 130 interrupted."""
    try:
        options = parser().parse_args(arguments)
        return options.run(options)
    except UserError as error:
        print(f"bittern: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.filename is None:
            raise
        print(f"bittern: {error.filename} cannot be used ({error.strerror}); give another path", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:  # a run says where it was
        where = f" {stop}" if str(stop) else ""
        print(f"bittern: interrupted{where}; what was finished is kept, the same command does the rest", file=sys.stderr)
        return 130


def parser() -> Parser:
    """The whole tree of commands, an argparse parser."""
    tree = Parser(prog="bittern", description="Binarized transformers on FPGAs.")
    tree.add_argument("--version", action=Version, help="print the version and exit")
    commands = tree.add_subparsers(required=True, metavar="command")
    for package in PACKAGES:
        package.commands.add(commands)
    return tree


if __name__ == "__main__":
    sys.exit(main())
