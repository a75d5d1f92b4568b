"""Tables from the JSON of a bench: what the console and docs/benchmarks.md show."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from codesign.energy import JUDGEMENT
from codesign.timing.clocks import Basis, Clock
from isa.registers import COUNTERS

#: Counters that say where cycles went, in the order of the table.
WAITS = (
    "qmm_busy", "qmm_wait_semaphore", "qmm_wait_drain", "qmm_idle", "drain_stall", "dma_wait_semaphore", "dma_wait_memory",
    "row_wait_semaphore", "row_wait_buffer", "softmax_busy", "norm_busy",
)  # fmt: skip


@dataclass(frozen=True)
class Table:
    """``rows`` of texts under ``head``; ``notes`` are paragraphs that stand below."""

    title: str
    head: tuple[str, ...]
    rows: list
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        lines = [f"### {self.title}", "", f"| {' | '.join(self.head)} |", f"|{'---|' * len(self.head)}"]
        lines += [f"| {' | '.join(row)} |" for row in self.rows]
        return "\n".join([*lines, *(f"\n{note}" for note in self.notes)]) + "\n"


def between(low_high: tuple[float, float], digits: int = 1) -> str:
    """A range, never one number."""
    low, high = low_high
    return f"{low:,.{digits}f} to {high:,.{digits}f}"


def way_to_memory(row: Mapping[str, Any]) -> list[str]:
    """What a rate depends on outside the accelerator: memory, ports, bytes a cycle, latency; a dash for what a measurement
    that is older than ports does not tell."""
    ports = f"{row['ports']} x {row['port_bits']} bit" if "ports" in row else "-"
    return [row.get("memory", "-"), ports, f"{row['bytes_per_cycle']:.4g}", str(row["latency_cycles"])]


def measured(document: Mapping[str, Any]) -> Iterator[Table]:
    """Tables of a bench that ran on the RTL: results, waits, energy."""
    done = [row for row in document["rows"] if row.get("cycles")]
    yield _results(document)
    if done:
        yield _waits(document, done)
        yield _energy(document, done)


def _results(document):
    clock = next((_clock(row) for row in document["rows"] if row.get("cycles")), "no clock")
    head = (
        "case", "memory", "ports", "bytes/cycle", "latency", "cycles", "of them embedding", "engine busy", "GOP",
        f"GOPS ({clock})", f"ms ({clock})", "bound", "cycles / bound", "cycle model",
        "tensors equal",
    )  # fmt: skip
    rows, notes = [], []
    for row in document["rows"]:
        start = [row["case"], *way_to_memory(row)]
        if "refused" in row:
            rows.append([*start, *["-"] * (len(head) - 6), "does not fit"])
            notes.append(f"{row['case']} does not fit: {row['refused']}.")
        elif not row.get("cycles"):
            rows.append([*start, *["-"] * (len(head) - 6), "NO"])
            notes.append(f"{row['case']}: {row['problem']}.")
        else:
            if not row["passed"]:
                notes.append(f"{row['case']}: {row['problem']}.")
            rows.append([
                *start, f"{row['cycles']:,}", f"{row['embedding_cycles']:,}", f"{row['engine_busy']:.1%}",
                f"{row['encoder_operations'] / 1e9:.2f}", f"{row['gops']:,.0f}", f"{row['milliseconds']:.3f}",
                f"{max(row['bound'].values()):,} ({row['bound_by']})", f"{row['ratio_to_bound']:.2f}", _model(row),
                f"all {row['tensors_compared']}" if row["passed"] else "NO",
            ])  # fmt: skip
    return Table(f"{document['bench']} on preset {document['preset']}", head, rows, tuple(notes))


def _clock(row):
    """What rates were reckoned with, and what that rests on."""
    return str(Clock(row["mhz"], Basis(row["mhz_basis"])))


def _model(row):
    predicted = row.get("predicted_cycles")
    return "unknown" if predicted is None else f"{predicted:,} ({predicted / row['cycles'] - 1:+.2%})"


def _waits(document, done):
    meaning = dict(COUNTERS)
    rows = [[f"`{name}`", meaning[name], *(f"{row['counters'][name]:,}" for row in done)] for name in WAITS]
    rows.append(["`saturations`", meaning["saturations"], *(f"{row['counters']['saturations']:,}" for row in done)])
    rows.append(["", "bytes to and from external memory", *(f"{row['external_bytes']:,}" for row in done)])
    head = ("counter", "", *(row["case"] for row in done))
    return Table(f"{document['bench']}: where the cycles went", head, rows)


def causes(document: Mapping[str, Any]) -> Iterator[Table]:
    """What the engine did in each cycle of the case that stands for all, by the cycle model."""
    row = next((row for row in document["rows"] if row.get("engine_causes")), None)
    if row is None:
        return
    total = sum(row["engine_causes"].values())
    rows = [[cause, f"{count:,}", f"{count / total:.1%}"] for cause, count in row["engine_causes"].items()]
    title = f"{row['case']}: what the engine did or waited for, by the cycle model"
    yield Table(title, ("cause", "cycles", "share"), rows)


def _energy(document, done):
    head = ("case", "mJ an inference", f"W ({_clock(done[0])})", "GOPS/W")
    rows = [
        [row["case"], between(row["energy_mj"], 2), between(row["watts"]), between(row["gops_per_watt"], 0)] for row in done
    ]
    note = (
        "Estimated, not measured: activity counted in simulation times coefficients from published boards "
        "(`codesign/energy.py` has them, with their sources). The truth is expected between the two ends, nowhere in "
        "particular."
    )
    return Table(f"{document['bench']}: energy, estimated", head, rows, (note, JUDGEMENT))


def resources(document: Mapping[str, Any]) -> Iterator[Table]:
    """What the accelerator takes of its part."""
    rows = [
        [name, f"{used:,.1f}".removesuffix(".0"), f"{available:,}", f"{used / available:.1%}"]
        for name, (used, available) in document["used"].items()
    ]
    macs = document["macs_per_cycle"]
    notes = (
        f"{document['lut_per_mac']:.2f} LUT with everything for each of the {macs:,} binary multiply-accumulates of a "
        f"cycle, {document['array_lut_per_mac']:.2f} in the array. From open synthesis, {document['flow']}.",
        "A clock is unknown: no place and route exists in the open for this part.",
    )
    title = f"resources of preset {document['preset']} on {document['part']}"
    yield Table(title, ("", "used", "available", "share"), rows, notes)


def comparison(document: Mapping[str, Any]) -> Iterator[Table]:
    """Published accelerators and ours."""
    head = (
        "accelerator", "board", "precision", "GOPS", "kLUT", "GOPS per kLUT", "ours / theirs: GOPS",
        "ours with all LUTs of its chip / theirs: per kLUT", "ours with the LUTs it takes / theirs: per kLUT", "GOPS/W",
        "source",
    )  # fmt: skip
    rows = []
    for row in document["rows"]:
        derived = " (derived)" if row.get("derived") else ""
        board = row["board"] + ("" if row.get("board_certain", True) else " (likely)")
        precision = row["precision"] + (", engine only" if row.get("engine_only") else "")
        ratios = [f"{row[key]:,.1f}x{derived}" if row.get(key) else "unknown"
                  for key in ("ratio_gops", "ratio_chip", "ratio_taken")]  # fmt: skip
        rows.append([
            f"{row['name']}, {row['year']}", board, precision, f"{row['gops']:,.1f}{derived}", f"{row['klut']:,.1f} (chip)",
            f"{row['gops_per_klut']:,.1f}{derived}", *ratios, _number(row["gops_per_w"]), row["source"],
        ])  # fmt: skip
    watts = f"{between(document['gops_per_w'], 0)} (estimated)"
    for row in document["ours"]:
        rows.append([
            f"**Bittern**, {row['what']}", document["board"], "W1A1", f"{row['gops']:,.1f}",
            f"{_number(row['klut'])} ({row['lut']})", _number(row["gops_per_klut"]), "-", "-", "-",
            "-" if row["peak"] else watts, "2 R C K operations a cycle" if row["peak"] else "measured on the RTL, above",
        ])  # fmt: skip
    chips = (f"{board} {chip['lut']:,} ({chip['source']})" for board, chip in document["boards"].items())
    notes = (
        "What is quoted of the papers gives a board, not the LUTs of their designs: their rows divide by all LUTs of the "
        "board's chip. Ours is shown both ways, with all LUTs of its chip and with those that it takes by the estimate.",
        f"Ours: {document['case']}, at {_clock(document)}{_memory_of(document)}, from simulation of the RTL. Theirs: as "
        "published, mostly measured on boards, at their own clocks. Rows marked derived are arithmetic on published ratios.",
        "An engine alone at its peak (BISMO) has no softmax, no norm and no waiting; what compares with it is our array at "
        "its peak, the last row.",
        f"LUTs of the chips: {'; '.join(chips)}.",
    )
    yield Table("Published accelerators", head, rows, notes)


def _memory_of(document):
    """Ports and bytes a cycle in words; nothing where the measurement does not tell."""
    if not document.get("ports"):
        return ""
    ports = f"{document['ports']} x {document['port_bits']} bits"
    return f" and {ports} of memory ({document['bytes_per_cycle']:.4g} bytes a cycle)"


def _number(value, digits=1):
    return "unknown" if value is None else f"{value:,.{digits}f}"
