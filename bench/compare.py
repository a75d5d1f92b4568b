"""Ours beside what is published, and the resources of ours."""

import json
from pathlib import Path
from typing import Any

from bench import record
from formats.errors import UsageError
from isa.config import AcceleratorConfig

PUBLISHED = Path(__file__).parent / "data" / "published.json"
#: The case that stands for ours.
CASE = "BERT-base W1A1, 128 tokens"
BOARD = "ZCU102"
#: What a rate says of memory.
WAY_TO_MEMORY = ("memory", "ports", "port_bits", "bytes_per_cycle", "latency_cycles")


def load(folder: Path | str, name: str) -> Any:
    """The JSON of a bench in ``folder``, or None where it has not run."""
    path = Path(folder) / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def headline(folder: Path | str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """``(document, row)`` of the case that stands for ours, or None."""
    document = load(folder, "bert-base")
    rows = [] if document is None else [row for row in document["rows"] if row["case"] == CASE and row.get("cycles")]
    return (document, rows[0]) if rows else None


def peak(config: AcceleratorConfig, megahertz: float) -> float:
    """Operations per second of the array, in 1e9: one bit by one bit, every cycle."""
    return 2 * config.rows * config.columns * config.depth * megahertz / 1e3


def compare(folder: Path | str) -> dict[str, Any]:
    """Published rows with figures per thousand LUTs, then ours. Raises UsageError where the measurement is missing."""
    found = headline(folder)
    if found is None:
        raise UsageError(f"there is no result of {CASE!r} in {folder}; run `make bench-bert-base` first")
    document, row = found
    published = json.loads(PUBLISHED.read_text())
    chips = {board: entry["lut"] / 1e3 for board, entry in published["boards"].items()}
    resources = load(folder, "resources")
    if resources is not None and resources["config"] != document["config"]:
        resources = None  # of another accelerator
    taken = resources and resources["used"]["LUT"][0] / 1e3
    array = resources and resources["array_lut"] / 1e3
    most = peak(AcceleratorConfig(**document["config"]), row["mhz"])
    ours = [
        _ours("whole accelerator", row["gops"], chips[BOARD], "chip"),
        _ours("whole accelerator", row["gops"], taken, "taken"),
        _ours("array alone at its peak", most, array, "taken", peak=True),
    ]
    rows = []
    for entry in published["accelerators"]:
        klut = chips[entry["board"]]
        density = entry["gops"] / klut
        chip, used = (one["gops_per_klut"] and one["gops_per_klut"] / density for one in ours[:2])
        rows.append(entry | {
            "klut": klut, "gops_per_klut": density, "ratio_gops": row["gops"] / entry["gops"], "ratio_chip": chip,
            "ratio_taken": used,
        })  # fmt: skip
    return {
        "bench": "comparison", "machine": record.machine(), "versions": document["versions"], "config": document["config"],
        "case": row["case"], "cycles": row["cycles"], "mhz": row["mhz"], "mhz_basis": row["mhz_basis"], "board": BOARD,
        **{name: row.get(name) for name in WAY_TO_MEMORY},
        "gops_per_w": row["gops_per_watt"], "rows": rows, "ours": ours,
        "boards": published["boards"],
    }  # fmt: skip


def _ours(what, gops, klut, lut, peak=False):
    density = klut and gops / klut
    return {"what": what, "gops": gops, "klut": klut, "lut": lut, "gops_per_klut": density, "peak": peak}
