"""Every lock, on top of base.lock, has what its packages need on this platform: they are installed with ``--no-deps``."""

import re
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCKS = Path(__file__).resolve().parent.parent / "requirements"


def installed_by(*names):
    """Canonical names of the packages that these locks install here."""
    text = "".join((LOCKS / f"{name}.lock").read_text() for name in names)
    entries = (Requirement(line.rstrip(" \\")) for line in re.findall(r"^[a-z0-9][^\n]*==[^\n]*", text, re.MULTILINE))
    return {canonicalize_name(entry.name) for entry in entries if entry.marker is None or entry.marker.evaluate()}


@pytest.mark.parametrize("lock", ["base", "docs", "ecp5", "train"])
def test_a_lock_leaves_no_need_open(lock):
    found = installed_by("base", lock) | (installed_by("cuda") if lock == "train" else set())
    looked_at = 0
    for name in installed_by(lock):
        try:
            needs = [Requirement(text) for text in requires(name) or ()]
        except PackageNotFoundError:
            continue
        looked_at += 1
        for need in needs:
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                assert canonicalize_name(need.name) in found, f"{name} needs {need}"
    if not looked_at:
        pytest.skip(f"nothing of {lock}.lock is installed")
