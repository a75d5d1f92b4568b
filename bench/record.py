"""What stands beside every figure - machine, versions, configuration - and the JSON files that hold them."""

import importlib.metadata
import json
import os
import platform
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

from formats.files import ROOT, write_whole
from hw.tools import find_tool
from isa.config import AcceleratorConfig


def machine() -> dict[str, Any]:
    """CPU model and cores; nothing that tells one machine from another of its kind."""
    model = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0] if names else model
    return {"cpu": model, "cores": os.cpu_count(), "system": platform.system()}


def versions() -> dict[str, str]:
    """Of the commit and of every tool that a figure depends on; ``+`` after a commit: with changes of its own."""
    commit = _output("git", "rev-parse", "HEAD")
    changed = _output("git", "status", "--porcelain", "--untracked-files=no")
    packages = {"amaranth": "amaranth", "yosys": "pyosys", "numpy": "numpy"}
    return {
        "commit": commit + ("+" if changed else ""),
        "verilator": _output(find_tool("verilator"), "--version"),
        "python": platform.python_version(),
    } | {name: importlib.metadata.version(package) for name, package in packages.items()}


def _output(*command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def document(
    bench: str, preset: str, config: AcceleratorConfig, library: Path | str, rows: list[dict[str, Any]]
) -> dict[str, Any]:
    """The JSON of one bench; ``rtl`` names the content of Verilog, harness and Verilator."""
    times = Path(library).parent / "times.json"
    return {
        "bench": bench, "machine": machine(), "versions": versions(), "preset": preset, "config": asdict(config),
        "rtl": Path(library).parent.name, "build": json.loads(times.read_text()) if times.exists() else None, "rows": rows,
    }  # fmt: skip


def write(path: Path | str, value: Any) -> None:
    """``value`` as JSON at ``path``, whole or not at all."""
    write_whole(path, json.dumps(value, indent=1) + "\n")
