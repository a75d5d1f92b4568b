"""Ours beside what is published, and the resources of ours."""

import json
from pathlib import Path

from bench import record
from hw.config import AcceleratorConfig
from program.errors import UsageError

PUBLISHED = Path(__file__).parent / "data" / "published.json"
#: The case that stands for ours.
CASE = "BERT-base W1A1, 128 tokens"
BOARD = "ZCU102"


def load(folder, name):
    """The JSON of a bench in ``folder``, or None where it has not run."""
    path = Path(folder) / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def headline(folder):
    """``(document, row)`` of the case that stands for ours, or None."""
    document = load(folder, "bert-base")
    rows = [] if document is None else [row for row in document["rows"] if row["case"] == CASE and row.get("cycles")]
    return (document, rows[0]) if rows else None


def peak(config, megahertz):
    """Operations per second of the array, in 1e9: one bit by one bit, every cycle."""
    return 2 * config.rows * config.columns * config.depth * megahertz / 1e3


def compare(folder):
    """Published rows with figures per thousand LUTs, then ours. Raises UsageError where the measurement is missing."""
    found = headline(folder)
    if found is None:
        raise UsageError(f"there is no result of {CASE!r} in {folder}; run `make bench-bert-base` first")
    document, row = found
    published = json.loads(PUBLISHED.read_text())
    boards = published["boards"]
    ours = {
        "name": "Bittern", "board": BOARD, "precision": "W1A1", "gops": row["gops"], "gops_per_w": row["gops_per_watt"],
        "source": "this table's measurement",
    }  # fmt: skip
    rows = [dict(entry) for entry in published["accelerators"]] + [ours]
    for entry in rows:
        entry["gops_per_board_klut"] = 1e3 * entry["gops"] / boards[entry["board"]]["lut"]
    for entry in rows[:-1]:
        entry["ratio_gops"] = ours["gops"] / entry["gops"]
        entry["ratio_per_klut"] = ours["gops_per_board_klut"] / entry["gops_per_board_klut"]
    config = AcceleratorConfig(**document["config"])
    used = load(folder, "resources")
    if used is not None and used["config"] != document["config"]:
        used = None  # of another accelerator
    lut = used and used["used"]["LUT"][0]
    array = used and used["array_lut"]
    most = peak(config, row["assumed_mhz"])
    return {
        "bench": "comparison", "machine": record.machine(), "versions": document["versions"], "config": document["config"],
        "case": row["case"], "cycles": row["cycles"], "assumed_mhz": row["assumed_mhz"], "rows": rows, "lut_used": lut,
        "gops_per_used_klut": lut and 1e3 * row["gops"] / lut, "peak_gops": most,
        "peak_per_array_klut": array and 1e3 * most / array, "peak_per_used_klut": lut and 1e3 * most / lut,
    }  # fmt: skip
