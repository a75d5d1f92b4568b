"""What holds for every test: fixed seeds, printed; simulators that are missing fail with the way out."""

import os
import shutil

import pytest
from hypothesis import settings

# The same examples on every machine and in every run: a failure here is a failure there.
settings.register_profile("bittern", derandomize=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "bittern"))


def pytest_collection_modifyitems(items):
    """What needs minutes comes first, so that no worker begins it when the others are about to end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_sessionstart(session):
    missing = [tool for tool in ("iverilog", "verilator", "yosys", "g++", "make") if shutil.which(tool) is None]
    if missing:
        pytest.exit(f"missing on PATH: {', '.join(missing)}; run `make setup`", returncode=2)
