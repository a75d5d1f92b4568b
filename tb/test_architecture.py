"""The architecture holds: imports between folders point one way, and the ground floors need no PyTorch."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GROUND = ("golden", "formats")
#: Folders from the ground up, each with what it may import, itself always included. The longest name that fits decides.
LAYERS = {
    "golden": (),
    "isa": ("golden",),
    "formats": ("golden",),
    "program": ("golden", "isa", "formats"),
    "hw": ("golden", "isa", "formats"),
    "driver": ("golden", "isa", "formats", "program"),
    "sim": ("golden", "isa", "formats", "program", "hw", "driver"),
    "boards": ("golden", "isa", "formats", "program", "hw", "driver", "sim"),
    "codesign": ("golden", "isa", "formats", "program", "hw"),
    "codesign.cycles": ("golden", "isa", "formats", "program", "codesign"),
    "train": ("golden", "formats"),
    "train.errors": (),
    "train.integer": ("golden",),
    "train.model": ("golden", "train.errors", "train.integer"),
    "train.data": ("golden", "train.errors"),
    "train.run": (*GROUND, "train.errors", "train.model", "train.data"),
    "train.evaluate": (*GROUND, "train.errors", "train.model", "train.data", "train.run"),
    "train.export": (*GROUND, "train.errors", "train.integer", "train.model", "train.data", "train.run"),
    "train.huggingface": (*GROUND, "train.errors", "train.model", "train.data", "train.run"),
    "train.reproduce": (*GROUND, "train.errors", "train.model", "train.data", "train.run"),
    # The commands: they load what they run when it is asked for.
    "train.run.options": ("train",),
    "train.model_options": ("train",),
    "bench": ("golden", "isa", "formats", "program", "hw", "driver", "sim", "codesign", "tb.models"),
    "cli": ("golden", "isa", "formats", "program", "hw", "driver", "sim", "boards", "codesign", "train", "bench"),
}
FOLDERS = (*(name for name in LAYERS if "." not in name), "tb")
#: The only module that imports others by names that are not written out.
DYNAMIC = ROOT / "golden" / "registry.py"


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

    A `golden.registry.Registry` imports every module of its package that has a KIND.
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
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Registry":
            package = ast.literal_eval(node.args[0])
            names = [name for name, module in known.items() if name.rpartition(".")[0] == package and _has_kind(module)]
        else:
            continue
        yield from ((name, node.lineno) for name in names)


def _has_kind(path):
    body = ast.parse(path.read_text(), path).body
    return any(isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "KIND" for node in body)


def circle(root):
    """Modules of which each imports the next and the last the first: list of str, empty if there are none.

    All imports count, those within functions too, and a module also imports the packages that the imported one is in.
    """
    known = modules(root)
    graph = {}
    for module, path in known.items():
        imported = {name for name, _ in imports_of(path, known, root)}
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


def test_no_modules_import_each_other_in_a_circle():
    assert not circle(ROOT), " imports ".join(circle(ROOT))


@pytest.mark.parametrize("between", ["import {}", "def late():\n    from golden import {short}", "Registry('golden', int)"])
def test_a_circle_is_found_through_every_way_of_importing(tmp_path, between):
    (tmp_path / "golden").mkdir()
    for name, text in {"a": "import golden.b", "b": "import golden.c", "c": between}.items():
        (tmp_path / "golden" / f"{name}.py").write_text(f"{text.format('golden.a', short='a')}\nKIND = 1\n")
    found = circle(tmp_path)
    assert set(found) == {"golden.a", "golden.b", "golden.c"}
    (tmp_path / "golden" / "c.py").write_text("KIND = 1\n")
    assert not circle(tmp_path)


def test_nothing_but_registries_imports_by_a_name_that_is_made_up():
    for path in modules().values():
        if path == DYNAMIC or path.is_relative_to(ROOT / "tb"):
            continue
        for call in ("import_module(", "__import__("):
            assert call not in path.read_text(), f"{path.relative_to(ROOT)} calls {call})"


def test_every_folder_with_code_has_its_layer():
    """And no layer is of a folder that is not there, which would be checked by looking at nothing."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone, so what belongs to the project is not known")
    tracked = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    folders = {name.split("/")[0] for name in tracked.split() if "/" in name}
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
