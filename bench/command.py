"""`bittern bench` of whole models: measures, prints tables, writes JSON, and makes docs/benchmarks.md of it."""

import argparse
import sys

from rich.console import Console
from rich.table import Table

from bench import record
from bench.cases import BENCHES
from bench.compare import compare, load
from bench.measure import measure
from bench.names import PRESET, Bench
from bench.report import measure_resources, tables_of, write_docs
from formats.errors import UsageError
from isa.options import chosen_accelerator
from sim.build import build
from sim.progress import RunProgress


def run(options: argparse.Namespace) -> int:
    """The command; returns the exit status: 0 all equal, 1 a tensor differs, 2 a model that does not fit.

    Raises
    ------
    UsageError, BuildError
    """
    chosen = chosen_accelerator(options)
    if options.write_docs and (chosen.name != PRESET or options.case):
        raise UsageError(f"--write-docs takes all cases of a bench on preset {PRESET}; leave out --preset, --set and --case")
    console, status = Console(highlight=False), 0
    if not console.is_terminal:
        console.width = 320  # a file or pipe takes whole tables
    for name in options.benches:
        if name in BENCHES:
            status = max(status, _measure(name, options, chosen, console))
        elif name is Bench.RESOURCES:
            with console.status("synthesising") as shown:
                found = measure_resources(chosen, lambda text: shown.update(f"synthesising: {text}"))
            record.write(options.output / "resources.json", found)
        else:
            record.write(options.output / "comparison.json", compare(options.output))
        for table in tables_of(options.output, name):
            _print(console, table)
    if options.write_docs:
        write_docs(options.output, options.benches)
    return status


def _print(console, table):
    shown = Table(*table.head, title=table.title, title_justify="left", box=None, pad_edge=False)
    for row in table.rows:
        shown.add_row(*row)
    console.print(shown)
    for note in table.notes:
        console.print(note)


def _measure(name, options, chosen, console):
    config = chosen.config
    cases = [case for case in BENCHES[name] if options.case.lower() in case.name.lower()]
    if not cases:
        listed = "; ".join(case.name for case in BENCHES[name])
        raise UsageError(f"bench {name} has no case with {options.case!r} in its name; it has {listed}")
    with console.status("building the simulation") as status:
        library = build(config, lambda text: status.update(f"building the simulation: {text}"))
    rows = []
    with RunProgress(console, len(cases), name) as progress:
        for case in cases:
            rows.append(measure(case, config, library, options.output / "runs", progress))
    document = record.document(name, chosen.name, config, library, rows)
    document["rows"] = _with_the_others(name, options.output, document)
    record.write(options.output / f"{name}.json", document)
    for row in rows:
        if "refused" in row:
            print(f"bittern: {row['case']}: {row['refused']}", file=sys.stderr)
        elif not row["passed"]:
            print(f"bittern: {row['case']}: {row['problem']}", file=sys.stderr)
    return max(2 if "refused" in row else 0 if row["passed"] else 1 for row in rows)


def _with_the_others(name, folder, document):
    """Rows of ``document``, and those of cases not asked for this time that were measured on the same RTL."""
    before = load(folder, name)
    same = before is not None and (before.get("rtl"), before["config"]) == (document["rtl"], document["config"])
    rows = {row["case"]: row for row in [*(before["rows"] if same else ()), *document["rows"]]}
    return [rows[case.name] for case in BENCHES[name] if case.name in rows]
