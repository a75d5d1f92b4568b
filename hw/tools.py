"""Programs of this computer that read Verilog."""

import shutil

from formats.errors import BuildError


def find_tool(name):
    """Path of a program. Raises BuildError that says how to get it."""
    path = shutil.which(name)
    if path is None:
        raise BuildError(f"{name} is not on the PATH; run `make setup`, which installs it")
    return path
