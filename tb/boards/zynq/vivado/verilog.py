"""Two readers of Verilog besides the simulators: pyslang, close to what vendor tools accept, and Yosys."""

import subprocess

from pyslang.ast import Compilation
from pyslang.syntax import SyntaxTree


def elaborate(top, *texts):
    """Names of the modules in the hierarchy under ``top`` of these sources, as pyslang elaborates them.

    Raises
    ------
    AssertionError
        With its messages, if there is any error, or if another module is on top as well.
    """
    compilation = Compilation()
    for text in texts:
        compilation.addSyntaxTree(SyntaxTree.fromText(text))
    errors = [diagnostic for diagnostic in compilation.getAllDiagnostics() if diagnostic.isError()]
    assert not errors, [f"{diagnostic.code}: {diagnostic.args}" for diagnostic in errors[:10]]
    root = compilation.getRoot()
    assert top in [instance.name for instance in root.topInstances], "it is not on top"
    found = set()
    root.visit(lambda symbol: found.add(symbol.definition.name) if type(symbol).__name__ == "InstanceBodySymbol" else None)
    return found


def check_hierarchy(top, *paths):
    """Yosys finds every module and port that is instantiated; raises CalledProcessError otherwise."""
    script = f"read_verilog {' '.join(map(str, paths))}; hierarchy -check -top {top}"
    subprocess.run(["yosys", "-q", "-p", script], check=True, capture_output=True, text=True)
