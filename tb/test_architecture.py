"""The architecture holds: imports between folders point one way, and the ground floors need no PyTorch."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
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
    "codesign.cycles": ("golden", "isa", "formats", "program"),
    "train": ("golden", "formats"),
    "bench": ("golden", "isa", "formats", "program", "hw", "driver", "sim", "codesign", "tb.models"),
    "cli": ("golden", "isa", "formats", "program", "hw", "driver", "sim", "boards", "codesign", "train", "bench"),
}
FOLDERS = (*(name for name in LAYERS if "." not in name), "tb")


def tracked():
    """Paths of all files of the project."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone, so what belongs to the project is not known")
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in names.splitlines() if (path := ROOT / name).is_file()]


def allowed_of(module):
    """What ``module`` may import."""
    return next(LAYERS[name] for name in sorted(LAYERS, key=len, reverse=True) if allows(name, module))


def imports_of(path):
    """Dotted names of the modules of ours that ``path`` imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(), path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                package = path.relative_to(ROOT).parts[: -node.level]
                module = ".".join((*package, *module.split(".")))
            # `from hw import config` imports isa.config; `from isa.config import X` does not import isa.config.X.
            names = [f"{module}.{alias.name}" for alias in node.names] if module in FOLDERS else [module]
        else:
            continue
        yield from ((name, node.lineno) for name in names)


def allows(entry, name):
    return name == entry or name.startswith(entry + ".")


@pytest.mark.parametrize("folder", [name for name in LAYERS if "." not in name])
def test_imports_point_one_way(folder):
    for path in sorted((ROOT / folder).rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        allowed = allowed_of(module)
        for name, line in imports_of(path):
            if name.split(".")[0] in FOLDERS:
                assert any(allows(entry, name) for entry in (folder, *allowed)), (
                    f"{path.relative_to(ROOT)}:{line} imports {name}; {module} may import {' '.join(allowed) or 'nothing'}"
                )


def test_nothing_imports_the_command_line_but_tests_that_call_it():
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            calls = path.is_relative_to(ROOT / "tb") and path.name.startswith("test_")
            for name, line in imports_of(path):
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
        for name, line in imports_of(path):
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
