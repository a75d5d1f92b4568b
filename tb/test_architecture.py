"""The architecture holds: imports between folders point one way, and the ground floors need no PyTorch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("golden", "hw", "tb", "program", "boards", "train", "codesign", "bench")

# What each folder may import, itself always included. Single modules stand for themselves only.
ALLOWED = {
    "golden": (),
    "hw": ("golden",),
    "program": ("golden", "hw.config"),
    "boards": ("golden", "hw", "program"),
    "train": ("golden",),
    "codesign": ("golden", "hw.config", "program"),
    "bench": FOLDERS,
    "tb": FOLDERS,
}

# What ties everything together, and what runs or synthesises the Verilog, needs the Verilog; the compiler must not.
EXCEPTIONS = {"program/cli.py": FOLDERS, "program/rtl/build.py": ("hw",), "codesign/estimate.py": ("hw",)}


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
            # `from hw import config` imports hw.config; `from hw.config import X` does not import hw.config.X.
            names = [f"{module}.{alias.name}" for alias in node.names] if module in FOLDERS else [module]
        else:
            continue
        yield from ((name, node.lineno) for name in names)


def allows(entry, name):
    return name == entry or name.startswith(entry + ".")


@pytest.mark.parametrize("folder", FOLDERS)
def test_imports_point_one_way(folder):
    for path in sorted((ROOT / folder).rglob("*.py")):
        relative = path.relative_to(ROOT).as_posix()
        allowed = (folder, *ALLOWED[folder], *EXCEPTIONS.get(relative, ()))
        for name, line in imports_of(path):
            if name.split(".")[0] in FOLDERS:
                assert any(allows(entry, name) for entry in allowed), (
                    f"{relative}:{line} imports {name}; {folder} may import {' '.join(ALLOWED[folder]) or 'nothing'}"
                )


@pytest.mark.parametrize("folder", ["golden", "hw", "tb", "program", "boards", "codesign"])
def test_no_pytorch_outside_training(folder):
    for path in sorted((ROOT / folder).rglob("*.py")):
        if path.is_relative_to(ROOT / "tb" / "train"):
            continue
        for name, line in imports_of(path):
            assert name.split(".")[0] != "torch", f"{path.relative_to(ROOT)}:{line} imports torch"


@pytest.mark.parametrize("folder", ["golden", "hw", "program", "boards"])
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
