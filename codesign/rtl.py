"""A fingerprint of the RTL, so that figures know which RTL they are of."""

import ast
import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

from formats.files import ROOT

#: Packages whose modules shape the RTL, wherever `hw.top` imports them from.
PACKAGES = ("hw", "isa", "golden")
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


@cache
def fingerprint(top: str = "hw.top", root: Path = ROOT) -> str:
    """12 hex digits over the sources of module ``top`` and of all that it imports from `PACKAGES`, and Amaranth's version.

    Comments, docstrings and layout do not count, nor do presets, which no unit imports: figures name their parameters.
    """
    trees, todo = {}, [top]
    while todo:
        name = todo.pop()
        path = root / (name.replace(".", "/") + ".py")
        if name not in trees and path.is_file():
            trees[name] = ast.parse(path.read_text())
            todo += _imported(trees[name], root)
    text = repr([(name, _plain(tree)) for name, tree in sorted(trees.items())]) + version("amaranth")
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _imported(tree, root):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            # What is imported may be a module or a name in one.
            names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "import_module":
            # A module found by name, as each instruction is: any of its package.
            package = ast.unparse(node.args[0]).strip("f'\"").partition(".{")[0]
            names = [f"{package}.{path.stem}" for path in (root / package.replace(".", "/")).glob("*.py")]
        else:
            continue
        yield from (name for name in names if name.partition(".")[0] in PACKAGES)


def _plain(node):
    """A syntax tree as tuples, the same in every version of Python: `ast.dump` and `ast.unparse` are not."""
    if isinstance(node, list):
        return tuple(_plain(item) for item in node)
    if not isinstance(node, ast.AST):
        return node
    entries = {name: value for name, value in ast.iter_fields(node) if value not in (None, [])}
    if isinstance(node, _DOCUMENTED) and ast.get_docstring(node) is not None:
        entries["body"] = entries["body"][1:]
    return (type(node).__name__, *((name, _plain(value)) for name, value in sorted(entries.items())))
