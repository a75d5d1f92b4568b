"""The models of the machine from the command line: ``python -m codesign``."""

import argparse
import sys

from codesign import routed
from codesign.resources import commands as resource_commands
from formats.errors import BuildError, UsageError

#: Modules with ``add_to(commands)``.
COMMANDS = (resource_commands, routed)


def main(arguments=None):
    """Entry point; returns the exit status: 0 passed, 1 failed, 2 wrong input."""
    parser = argparse.ArgumentParser(prog="codesign", description="Models of the accelerator, checked against the RTL.")
    commands = parser.add_subparsers(required=True, metavar="command")
    for module in COMMANDS:
        module.add_to(commands)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except (UsageError, BuildError) as error:
        print(f"codesign: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("codesign: interrupted; finished units are kept, the same command does the rest", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
