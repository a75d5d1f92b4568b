"""`python -m bench`: measures, prints tables, writes JSON, and makes docs/benchmarks.md of it."""

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import record
from bench.cases import BENCHES
from bench.compare import compare, load
from bench.measure import measure
from bench.report import PRESET, measure_resources, tables_of, write_docs
from formats.errors import BuildError, UsageError
from isa.config import PRESETS, preset
from sim.build import build
from sim.progress import RunProgress

NAMES = (*BENCHES, "resources", "comparison")


def main(arguments=None):
    """Entry point; returns the exit status: 0 all equal, 1 a tensor differs, 2 wrong input or a model that does not fit."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except (UsageError, BuildError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:  # a run says where it was
        where = f" {stop}" if str(stop) else ""
        kept = "finished builds and runs are kept, the same command does the rest"
        print(f"bench: interrupted{where}; {kept}", file=sys.stderr)
        return 130


def _parser():
    parser = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks on the RTL; nothing is a timed test.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(NAMES)}; all by default")
    parser.add_argument("--preset", default=PRESET, help=f"accelerator: {', '.join(PRESETS)} (default: {PRESET})")
    parser.add_argument(
        "--case", default="", metavar="TEXT",
        help="only cases with this text in their name; of the others, what was measured on the same RTL stays",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, default=Path("build/bench"), help="folder of the JSON (default: build/bench)")
    parser.add_argument(
        "--write-docs", action="store_true", help="copy the JSON to bench/data and make docs/benchmarks.md of all there"
    )
    return parser


def _run(options):
    names = options.names or list(NAMES)
    for name in names:
        if name not in NAMES:
            raise UsageError(f"there is no bench {name!r}; choose one of {', '.join(NAMES)}")
    try:
        config = preset(options.preset)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if options.write_docs and (options.preset != PRESET or options.case):
        raise UsageError(f"--write-docs takes all cases of a bench on preset {PRESET}; leave out --preset and --case")
    console, status = Console(highlight=False), 0
    if not console.is_terminal:
        console.width = 240  # a file or pipe takes whole tables
    for name in NAMES:  # the later ones are made of the earlier ones' results
        if name not in names:
            continue
        if name in BENCHES:
            status = max(status, _measure(name, options, config, console))
        elif name == "resources":
            with console.status("synthesising") as shown:
                found = measure_resources(options.preset, lambda text: shown.update(f"synthesising: {text}"))
            record.write(options.output / "resources.json", found)
        else:
            record.write(options.output / "comparison.json", compare(options.output))
        for table in tables_of(options.output, name):
            _print(console, table)
    if options.write_docs:
        write_docs(options.output, names)
    return status


def _print(console, table):
    shown = Table(*table.head, title=table.title, title_justify="left", box=None, pad_edge=False)
    for row in table.rows:
        shown.add_row(*row)
    console.print(shown)
    for note in table.notes:
        console.print(note)


def _measure(name, options, config, console):
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
    document = record.document(name, options.preset, config, library, rows)
    document["rows"] = _with_the_others(name, options.output, document)
    record.write(options.output / f"{name}.json", document)
    for row in rows:
        if "refused" in row:
            print(f"bench: {row['case']}: {row['refused']}", file=sys.stderr)
        elif not row["passed"]:
            print(f"bench: {row['case']}: {row['problem']}", file=sys.stderr)
    return max(2 if "refused" in row else 0 if row["passed"] else 1 for row in rows)


def _with_the_others(name, folder, document):
    """Rows of ``document``, and those of cases not asked for this time that were measured on the same RTL."""
    before = load(folder, name)
    same = before is not None and (before.get("rtl"), before["config"]) == (document["rtl"], document["config"])
    rows = {row["case"]: row for row in [*(before["rows"] if same else ()), *document["rows"]]}
    return [rows[case.name] for case in BENCHES[name] if case.name in rows]


if __name__ == "__main__":
    sys.exit(main())
