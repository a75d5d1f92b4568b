"""Runs a generated script against `stub.tcl`, with tclsh or the Tcl that Python brings."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

STUB = Path(__file__).with_name("stub.tcl")
#: Python's own Tcl in place of tclsh, which has no `exit`.
EMBEDDED = [
    sys.executable, "-c",
    "import sys, tkinter; tcl = tkinter.Tcl(); tcl.setvar('argv', tcl.call('list', *sys.argv[2:])); "
    "tcl.call('source', sys.argv[1]); sys.exit(int(tcl.getvar('status')))",
]  # fmt: skip

needs_tcl = pytest.mark.skipif(
    shutil.which("tclsh") is None and find_spec("_tkinter") is None,
    reason="neither tclsh (apt package tcl) nor Python's tkinter is there to run Tcl",
)


class ScriptError(Exception):
    """What the script did that the vendor's tool would refuse."""


@dataclass(frozen=True)
class Call:
    """One command as it was called: options by name, the arguments that are not options."""

    command: str
    options: dict[str, str]
    arguments: list[str]


def interpreter():
    """The command that runs a Tcl script."""
    tclsh = shutil.which("tclsh")
    return [tclsh] if tclsh else EMBEDDED


def run_script(path, **answers):
    """The calls that a script makes, in order.

    Parameters
    ----------
    path : Path
        It runs in its own folder, and leaves there what the vendor's tool would.
    answers
        What ``get_property`` gives, by property, and the cells that have an attribute.

    Raises
    ------
    ScriptError
        If it uses a command, an option, a class of object or a property that is not in `commands.tcl`, or ends by itself.
    """
    record = path.parent / "record.jsonl"
    command = [*interpreter(), str(STUB), str(record), str(path), *(f"{name}={value}" for name, value in answers.items())]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise ScriptError(done.stderr.strip())
    return [Call(**json.loads(line)) for line in record.read_text().splitlines()]
