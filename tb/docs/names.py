"""Which dotted names there are in the tree, found in the text of its modules: nothing is imported."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def _members(path):
    """What the module or the classes at ``path`` define: ``{name, Class.name, ...}``."""
    tree = ast.parse(path.read_text(), path)
    return {name for node in tree.body for name in _defined(node)}


def _defined(node):
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.ClassDef(name=name, body=body):
            yield name
            for part in body:
                yield from (f"{name}.{member}" for member in _defined(part))
                if isinstance(part, ast.FunctionDef):
                    yield from (f"{name}.{member}" for member in _attributes(part))
        case ast.Assign(targets=targets):
            yield from (target.id for each in targets for target in ast.walk(each) if isinstance(target, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            yield from (alias.asname or alias.name for alias in names)


def _attributes(function):
    """Attributes that a method gives its object."""
    for node in ast.walk(function):
        match node:
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                yield name


def exists(name, root=ROOT):
    """Whether ``package.module.Class.member`` names a package, a module, or what one of them defines."""
    parts = name.split(".")
    folder = root
    for at, part in enumerate(parts):
        if (folder / f"{part}.py").is_file():
            rest = ".".join(parts[at + 1 :])
            return not rest or rest in _members(folder / f"{part}.py")
        folder /= part
        if not folder.is_dir():
            start = folder.parent / "__init__.py"
            return at > 0 and start.is_file() and ".".join(parts[at:]) in _members(start)
    return True
