"""The types check: what is public is annotated, and so a wrong call is found before anything runs."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
#: Packages and modules whose public functions, methods and constructors have all their types.
COMPLETE = ("bench", "boards", "cli", "codesign", "driver", "formats", "golden", "isa", "program", "sim", "train")
#: Wrong calls: the module and the name that are called, the arguments, and what mypy says of them.
WRONG = (
    ("bench.report", "tables_of", '"build", "resources"', 'Argument 2 to "tables_of"'),
    ("codesign.cycles.model", "predict", '"zcu102"', 'Argument 1 to "predict"'),
    ("driver.accelerator", "Accelerator", '"/dev/uio0"', 'Value of type variable "AnyTransport"'),
    ("formats.bundle", "load", "3", 'Argument 1 to "load"'),
    ("golden.rescale", "rescale", '"t", 1, 0, 0, 0, 1', 'Argument 1 to "rescale"'),
    ("isa.layout", "pack_operand", "[[0, 1]], 1, 4, 16", 'Argument 1 to "pack_operand"'),
    ("program.compiler.compiler", "compile_encoder", '3, "zcu102"', 'Argument 1 to "compile_encoder"'),
    ("program.compiler.compiler", "compile_encoder", '3, "zcu102"', 'Argument 2 to "compile_encoder"'),
    ("program.verify.checker", "check", 'b"program"', 'Argument 1 to "check"'),
    ("sim.build", "build", '"tiny"', 'Argument 1 to "build"'),
    ("train.data.load", "load_data", "3", 'Argument 1 to "load_data"'),
    ("train.model.weights", "integer", 'None, "8"', 'Argument 2 to "integer"'),
)  # fmt: skip


def modules_of(package):
    """Paths of the public modules of a package, or of the module of that name."""
    path = ROOT.joinpath(*package.split("."))
    paths = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    return [path for path in paths if not path.name.startswith("_") or path.name in ("__init__.py", "__main__.py")]


def public_functions(node, prefix=""):
    """(name, function, whether it is bound) of what is public in a module or class, conditional definitions included."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            if not child.name.startswith("_") or child.name.endswith("__"):
                static = any(isinstance(by, ast.Name) and by.id == "staticmethod" for by in child.decorator_list)
                yield prefix + child.name, child, isinstance(node, ast.ClassDef) and not static
        elif isinstance(child, ast.ClassDef):
            if not child.name.startswith("_"):
                yield from public_functions(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.If | ast.Try | ast.With):
            yield from public_functions(child, prefix)


def missing_of(function, bound):
    """Names of the parameters without a type, "return" for the result; a constructor with parameters needs none for that."""
    arguments = function.args
    positional = (arguments.posonlyargs + arguments.args)[bound:]
    every = [*positional, arguments.vararg, *arguments.kwonlyargs, arguments.kwarg]
    parameters = [parameter for parameter in every if parameter is not None]
    missing = [parameter.arg for parameter in parameters if parameter.annotation is None]
    constructs = function.name == "__init__" and parameters
    return missing + (["return"] if function.returns is None and not constructs else [])


def incomplete(text):
    """Lines that name the public functions of a module's source that lack types, and which."""
    for name, function, bound in public_functions(ast.parse(text)):
        if missing := missing_of(function, bound):
            yield f"{function.lineno}: {name} has no type for {', '.join(missing)}"


@pytest.mark.parametrize("package", COMPLETE)
def test_every_public_function_has_its_types(package):
    paths = modules_of(package)
    assert paths, f"there is no {package}"
    assert not [f"{path.relative_to(ROOT)}:{line}" for path in paths for line in incomplete(path.read_text())]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("def f(a, b: int): ...", ["1: f has no type for a, return"]),
        ("def f(*a, b=1, **c) -> int: ...", ["1: f has no type for a, b, c"]),
        ("class A:\n    def f(self, a: int): ...", ["2: A.f has no type for return"]),
        ("class A:\n    @staticmethod\n    def f(a) -> int: ...", ["3: A.f has no type for a"]),
        ("class A:\n    def __init__(self): ...", ["2: A.__init__ has no type for return"]),
        ("class A:\n    def __init__(self, a, b: int): ...", ["2: A.__init__ has no type for a"]),
        ("if True:\n    def f(): ...", ["2: f has no type for return"]),
        ("class A:\n    def __init__(self, a: int): ...\n    def _f(self, a): ...", []),
        ("def _f(a): ...\nclass _A:\n    def f(self, a): ...", []),
        ("def f() -> None:\n    def inner(a): ...", []),
    ],
)  # fmt: skip
def test_what_lacks_types_is_named(text, lines):
    assert list(incomplete(text)) == lines


@pytest.fixture(scope="module")
def verdict(tmp_path_factory):
    """Lines of mypy on all wrong calls, each under the number of its call. Its options and its cache are those of `mypy`."""
    imports = "".join(f"from {module} import {name} as f{number}\n" for number, (module, name, _, _) in enumerate(WRONG))
    calls = "".join(f"f{number}({arguments})\n" for number, (_, _, arguments, _) in enumerate(WRONG))
    path = tmp_path_factory.mktemp("types") / "wrong.py"
    path.write_text(imports + calls)
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", path], cwd=ROOT, env=os.environ | {"MYPYPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    # Its cache may know the same file from another folder, and names that.
    lines = [line.partition(f"{path.name}:")[2] for line in result.stdout.splitlines()]
    return [[line for line in lines if line.startswith(f"{len(WRONG) + 1 + number}:")] for number in range(len(WRONG))]


@pytest.mark.parametrize("number", range(len(WRONG)), ids=[f"{module}.{name}" for module, name, _, _ in WRONG])
def test_a_wrong_call_is_found(number, verdict):
    assert any(WRONG[number][3] in line for line in verdict[number]), verdict[number]
