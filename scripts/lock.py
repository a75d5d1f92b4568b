"""Resolve the dependencies of pyproject.toml into requirements/*.lock: every version, for every platform, with hashes.

    base.lock   what `make setup` installs: the project, benches, checks, serial lines
    docs.lock   what `make docs` adds
    ecp5.lock   what `make ulx3s` adds: place and route
    train.lock  what `make train-setup` adds: PyTorch and training
    cuda.lock   what PyTorch needs besides, where the package index has only its CUDA build

Needs `uv` on PATH, and best a package index that also has PyTorch's CPU wheels. Versions stay
unless pyproject.toml rules them out; delete a lock to let everything in it move.
"""

import hashlib
import re
import subprocess
import sys
import tempfile
from itertools import chain
from pathlib import Path

LOCKS = Path(__file__).resolve().parent.parent / "requirements"
PYTHONS = ("3.11", "3.12", "3.13")
#: Extras that `make setup` installs.
BASE = ("dev", "serial")


def resolve(output, *extras):
    options = [option for extra in extras for option in ("--extra", extra)]
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version", PYTHONS[0], "--generate-hashes"]
    subprocess.run(
        [*command, "--no-header", "--no-annotate", *options, "-o", output, "pyproject.toml"], cwd=LOCKS.parent, check=True
    )


def packages(text):
    """The entries of a lock by package name; one name may have several, for several platforms."""
    entries = {}
    for entry in re.findall(r"^[^\s#][^\n]*(?:\n\s[^\n]*)*\n", text, flags=re.MULTILINE):
        entries.setdefault(re.split(r"[=;\s\[]", entry)[0], []).append(entry)
    return entries


def cpu_hashes(version):
    """Hashes of those of PyTorch's CPU wheels for x86-64 Linux that this machine's package index has."""
    for python in PYTHONS:
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", folder,
                 "--platform", "manylinux_2_28_x86_64", "--python-version", python, f"torch=={version}+cpu"],
                check=False,
            )  # fmt: skip
            if done.returncode:
                print(f"no CPU wheel of PyTorch {version} for Python {python}: its CUDA build will be used there")
            yield from (hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in Path(folder).iterdir())


def write(name, title, entries):
    """Write ``entries``, lists of lock entries, to the lock called ``name``."""
    head = f"# {title}\n# Made by `make lock`; edit pyproject.toml instead.\n"
    (LOCKS / name).write_text(head + "".join(chain.from_iterable(entries)))


def beyond(base, extra, *locks):
    """What ``extra`` needs besides the packages of ``base``, or needs on more platforms than ``base`` has it for; what is in
    ``locks`` already stays as it is, so that all locks fit into one environment."""
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.lock"
        whole.write_text("".join(path.read_text() for path in (LOCKS / n for n in ("base.lock", *locks)) if path.exists()))
        resolve(whole, *BASE, extra)
        return {name: entries for name, entries in packages(whole.read_text()).items() if entries != base.get(name)}


def main():
    base_path = LOCKS / "base.lock"
    resolve(base_path, *BASE)
    base = packages(base_path.read_text())
    for extra, title in (("ecp5", "Place and route for the ECP5"), ("docs", "The documentation as a site")):
        write(f"{extra}.lock", f"{title}, on top of base.lock.", beyond(base, extra, f"{extra}.lock").values())
    added = beyond(base, "train", "train.lock", "cuda.lock")
    (torch,) = added["torch"]
    version = torch.split()[0].removeprefix("torch==")
    hashes = sorted({*re.findall(r"sha256:(\w+)", torch), *cpu_hashes(version)})
    added["torch"] = [" \\\n    ".join([f"torch=={version}", *(f"--hash=sha256:{digest}" for digest in hashes)]) + "\n"]

    cuda = [name for name in added if name.startswith(("nvidia-", "cuda-")) or name == "triton"]
    write("base.lock", "The project, its benches and checks.", base.values())
    write("train.lock", "Training, on top of base.lock.", (added[name] for name in added if name not in cuda))
    write("cuda.lock", "Only where PyTorch comes as its CUDA build.", (added[name] for name in cuda))


if __name__ == "__main__":
    main()
