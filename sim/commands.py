"""`bittern sim`."""

import argparse
from pathlib import Path

from formats.errors import UsageError
from formats.files import ROOT
from isa.options import add_accelerator, add_batch, chosen_accelerator


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the sub-parsers of a command line."""
    sim = commands.add_parser("sim", help="run a bundle's test samples on the RTL and compare every tensor")
    sim.add_argument(
        "--bundle", action="append", type=Path, help="bundle file, may be repeated; all: those in bundles/ (default)"
    )
    add_accelerator(sim, "small")
    add_batch(sim)
    sim.add_argument("--samples", type=int, default=32, help="samples per bundle (default: %(default)s)")
    sim.add_argument("--latency", type=int, default=40, help="external memory: cycles to the first beat (default: 40)")
    sim.add_argument("--bandwidth", type=int, default=256, help="external memory: beats per 256 cycles (default: 256)")
    sim.add_argument("--output", type=Path, default=Path("build/sim"), help="folder of the results (default: %(default)s)")
    sim.add_argument("--flip", metavar="BYTE:BIT", help="flip a bit of the memory image that the RTL sees, to watch it fail")
    sim.set_defaults(run=_sim)


def _sim(options):
    chosen = chosen_accelerator(options)
    bundles = options.bundle or [Path("all")]
    if bundles == [Path("all")]:
        bundles = sorted((ROOT / "bundles").glob("*.bundle"))
    if not bundles:
        raise UsageError("there are no bundles in bundles/; give one with --bundle FILE")
    flip = _flip(options.flip)

    from rich.console import Console

    from sim.report import Options, simulate

    settings = Options(
        preset=chosen.name, config=chosen.config, samples=options.samples, batch=options.batch, latency=options.latency,
        bandwidth=options.bandwidth, output=options.output, flip=flip,
    )  # fmt: skip
    console = Console(highlight=False)
    reports = [simulate(path, settings, console) for path in bundles]
    passed = all(report["passed"] for report in reports)
    console.print("PASS" if passed else "FAIL", style="bold green" if passed else "bold red")
    return 0 if passed else 1


def _flip(text):
    if text is None:
        return None
    byte, _, bit = text.partition(":")
    if not (byte.isdigit() and bit.isdigit() and int(bit) < 8):
        raise UsageError(f"--flip takes BYTE:BIT with a bit in 0..7, not {text!r}")
    return int(byte), int(bit)
