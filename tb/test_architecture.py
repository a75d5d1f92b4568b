"""The architecture holds: imports between folders point one way, and the ground floors need no PyTorch."""

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GROUND = ("golden", "formats")
#: Folders from the ground up, each with what it may import, itself always included. The longest name that fits decides.
LAYERS = {
    "golden": (),
    "isa": ("golden", "formats"),
    "formats": ("golden",),
    "program": ("golden", "isa", "formats"),
    "hw": ("golden", "isa", "formats"),
    "driver": ("golden", "isa", "formats", "program"),
    "sim": ("golden", "isa", "formats", "program", "hw", "driver"),
    "boards": ("golden", "isa", "formats", "program", "hw", "driver", "sim"),
    "codesign": ("golden", "isa", "formats", "program", "hw"),
    "codesign.cycles": ("golden", "isa", "formats", "program", "codesign"),
    "train": ("golden", "formats"),
    "train.errors": ("formats.errors",),
    "train.integer": ("golden",),
    "train.model": ("golden", "train.errors", "train.integer"),
    "train.data": (*GROUND, "train.errors"),
    "train.run": (*GROUND, "train.errors", "train.model", "train.data"),
    "train.evaluate": (*GROUND, "train.errors", "train.model", "train.data", "train.run"),
    "train.export": (*GROUND, "train.errors", "train.integer", "train.model", "train.data", "train.run"),
    "train.huggingface": (*GROUND, "train.errors", "train.model", "train.data", "train.run"),
    "train.reproduce": (*GROUND, "train.errors", "train.model", "train.data", "train.run"),
    "bench": ("golden", "isa", "formats", "program", "hw", "driver", "sim", "codesign", "tb.models"),
    "cli": ("golden", "isa", "formats", "program", "hw", "driver", "sim", "boards", "codesign", "train", "bench"),
}
FOLDERS = (*(name for name in LAYERS if "." not in name), "tb")
#: Calls that import modules of a package by a name that is found when they run, and what such a module calls its part.
BY_NAME = ("Registry", "import_module", "importlib.import_module", "__import__")
KINDS = ("KIND", "OPERATION", "UNIT")
#: Looks for modules by the package it is given: who has a `golden.registry.Registry` is said to import them.
REGISTRY = "golden.registry"
#: Each operation of the instruction set imports what they have in common, which finds them by opcode when all are loaded.
LOOKED_UP = {"isa.instruction": "isa.instructions"}


def tracked():
    """Paths of all files of the project."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone, so what belongs to the project is not known")
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in names.splitlines() if (path := ROOT / name).is_file()]


def layer_of(module):
    """The entry of LAYERS that decides what ``module`` may import."""
    return next(name for name in sorted(LAYERS, key=len, reverse=True) if allows(name, module))


def name_of(path, root=ROOT):
    """Dotted name of a module; of a package for its ``__init__``."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules(root=ROOT):
    """Paths of all modules of ours, tests included, by dotted name."""
    return {name_of(path, root): path for folder in FOLDERS for path in sorted((root / folder).rglob("*.py"))}


def imports_of(path, known, root=ROOT):
    """``(dotted name, line)`` of each import in a file, wherever in it: of the modules ``known``, or as it is written.

    A `golden.registry.Registry`, and an ``import_module(f"package.{name}")``, import every module of their package.
    """
    for node in ast.walk(ast.parse(path.read_text(), path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                package = path.relative_to(root).parts[: -node.level]
                module = ".".join((*package, *filter(None, module.split("."))))
            # `from isa import config` imports isa.config; `from isa.config import X` does not import isa.config.X.
            names = [f"{module}.{alias.name}" if f"{module}.{alias.name}" in known else module for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in BY_NAME:
            package = _package_of(node.args[0])
            names = [name for name in known if package and name.rpartition(".")[0] == package and _is_kind(known[name])]
        else:
            continue
        yield from ((name, node.lineno) for name in names)


def _package_of(argument):
    """The package in which a call of BY_NAME looks, None if that is not written out."""
    if isinstance(argument, ast.JoinedStr):
        argument = argument.values[0]
    return str(argument.value).rstrip(".") if isinstance(argument, ast.Constant) else None


def _is_kind(path):
    """Whether a module has what is looked for by name: KIND, OPERATION and the like, one object or class in capitals."""
    body = ast.parse(path.read_text(), path).body
    return any(isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in KINDS for node in body)


def _lines_for_types(path):
    """Numbers of the lines that only type checkers read."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(), path)):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            found |= set(range(node.body[0].lineno, (node.body[-1].end_lineno or 0) + 1))
    return found


def circle(root):
    """Modules of which each imports the next and the last the first: list of str, empty if there are none.

    All imports that ever run count, those within functions too; a module also imports the packages of the imported one.
    """
    known = modules(root)
    graph = {}
    for module, path in known.items():
        skipped = _lines_for_types(path)
        imported = {name for name, line in imports_of(path, known, root) if line not in skipped}
        imported = {name for name in imported if not name.startswith(f"{LOOKED_UP.get(module)}.")}
        packages = {".".join(name.split(".")[:end]) for name in imported for end in range(1, len(name.split(".")))}
        graph[module] = (imported | packages) & known.keys() - {module}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as found:
        return found.args[1][::-1]
    return []


def allows(entry, name):
    return name == entry or name.startswith(entry + ".")


@pytest.mark.parametrize("folder", [name for name in LAYERS if "." not in name])
def test_imports_point_one_way(folder):
    known = modules()
    for path in sorted((ROOT / folder).rglob("*.py")):
        module = name_of(path)
        layer = layer_of(module)
        for name, line in imports_of(path, known):
            if name.split(".")[0] in FOLDERS:
                allowed = (layer, *LAYERS[layer])
                assert any(allows(entry, name) for entry in allowed), (
                    f"{path.relative_to(ROOT)}:{line} imports {name}; {module} may import {' '.join(allowed)}"
                )


def test_nothing_imports_the_command_line_but_tests_that_call_it():
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            calls = path.is_relative_to(ROOT / "tb") and path.name.startswith("test_")
            for name, line in imports_of(path, {}):
                if name.split(".")[0] == "cli" and folder != "cli":
                    assert (calls, name) == (True, "cli.main"), f"{path.relative_to(ROOT)}:{line} imports {name}"


def test_there_is_one_command_line():
    """No module runs on its own, and no text says that one does."""
    folders = "|".join(FOLDERS)
    for path in tracked():
        if path.suffix not in (".py", ".md", ".toml", ".j2", ".h", "") or path.is_relative_to(ROOT / "bundles"):
            continue
        text = path.read_text()
        found = re.search(rf"(?:python|run|[0-9]) -m (?:{folders})\b[.\w]*", text)
        assert found is None, f"{path.relative_to(ROOT)} says {found[0]!r}: make it a command of the package's commands.py"
        if path.relative_to(ROOT).parts[0] in LAYERS and path != ROOT / "cli" / "main.py":
            assert path.name != "__main__.py", path.relative_to(ROOT)
            assert "__name__ ==" not in text, path.relative_to(ROOT)


def test_no_modules_import_each_other_in_a_circle():
    assert not circle(ROOT), " imports ".join(circle(ROOT))


@pytest.mark.parametrize("between", ["import {}", "def late():\n    from golden import {short}", "Registry('golden', int)",
                                     "import_module(f'golden.{{name}}')"])  # fmt: skip
def test_a_circle_is_found_through_every_way_of_importing(tmp_path, between):
    (tmp_path / "golden").mkdir()
    for name, text in {"a": "import golden.b", "b": "import golden.c", "c": between}.items():
        (tmp_path / "golden" / f"{name}.py").write_text(f"{text.format('golden.a', short='a')}\nKIND = 1\n")
    found = circle(tmp_path)
    assert set(found) == {"golden.a", "golden.b", "golden.c"}
    (tmp_path / "golden" / "c.py").write_text("KIND = 1\n")
    assert not circle(tmp_path)


def test_what_is_imported_by_name_is_of_a_package_that_is_written_out():
    for module, path in modules().items():
        text = path.read_text()
        if module == REGISTRY or module.startswith("tb.") or not any(f"{name}(" in text for name in BY_NAME):
            continue
        for node in ast.walk(ast.parse(text, path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in BY_NAME:
                assert _package_of(node.args[0]), f"{path.relative_to(ROOT)}:{node.lineno} imports from anywhere"


def test_every_folder_with_code_has_its_layer():
    """And no layer is of a folder that is not there, which would be checked by looking at nothing."""
    paths = (path.relative_to(ROOT) for path in tracked() if path.suffix == ".py")
    folders = {path.parts[0] for path in paths if len(path.parts) > 1}
    assert folders - {"scripts"} == set(FOLDERS)


@pytest.mark.parametrize("folder", [name for name in FOLDERS if name != "train"])
def test_no_pytorch_outside_training(folder):
    for path in sorted((ROOT / folder).rglob("*.py")):
        if path.is_relative_to(ROOT / "tb" / "train"):
            continue
        for name, line in imports_of(path, {}):
            assert name.split(".")[0] != "torch", f"{path.relative_to(ROOT)}:{line} imports torch"


@pytest.mark.parametrize("folder", [name for name in FOLDERS if name not in ("train", "tb", "bench")])
def test_every_module_can_be_imported_without_pytorch(folder):
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.name not in ("__init__.py", "__main__.py")
    ]
    # None in sys.modules makes an import fail as if the package were absent.
    script = "import importlib, sys; sys.modules['torch'] = None; [importlib.import_module(m) for m in sys.argv[1:]]"
    done = subprocess.run([sys.executable, "-c", script, *modules], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
