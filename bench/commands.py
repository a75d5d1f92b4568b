"""`bittern bench`."""

import argparse
from pathlib import Path

from bench.names import ABOUT, PRESET, Bench
from isa.options import add_accelerator


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the sub-parsers of a command line."""
    bench = commands.add_parser("bench", help="measure whole models on the RTL, and the models of the machine against it")
    benches = bench.add_subparsers(required=True, metavar="BENCH")
    _add_models(benches, "all", "everything of docs/benchmarks.md, one after the other", list(Bench))
    for name, about in ABOUT.items():
        _add_models(benches, name.value, about, [name])

    cycles = benches.add_parser("cycles", help="the cycle model against the RTL, most of an hour; writes docs/cycles.md")
    cycles.add_argument("pairs", nargs="*", type=int, metavar="PAIR", help="print only these, and write nothing")
    cycles.set_defaults(run=_cycles)

    dpu = benches.add_parser("dpu", help="what a dot-product unit takes in each form that was tried, by open synthesis")
    dpu.add_argument("depths", nargs="*", type=int, default=[64, 128], metavar="DEPTH", help="bit pairs (default: 64 128)")
    dpu.set_defaults(run=_dpu)


def _add_models(benches, name, about, chosen):
    parser = benches.add_parser(name, help=about)
    add_accelerator(parser, PRESET)
    parser.set_defaults(run=_models, benches=chosen, case="")
    if any(bench.measured for bench in chosen):
        parser.add_argument(
            "--case", default="", metavar="TEXT",
            help="only cases with this text in their name; of the others, what was measured on the same RTL stays",
        )  # fmt: skip
    parser.add_argument("--output", type=Path, default=Path("build/bench"), help="folder of the JSON (default: %(default)s)")
    parser.add_argument(
        "--write-docs", action="store_true", help="copy the JSON to bench/data and make docs/benchmarks.md of all there"
    )


def _models(options):
    from bench.command import run

    return run(options)


def _cycles(options):
    from bench.cycles import run

    return run(options)


def _dpu(options):
    from bench.dpu import run

    return run(options)
