"""`bittern sim`."""

import argparse
from pathlib import Path

from formats.errors import UsageError
from formats.files import ROOT
from isa.memory_timing import BOARD_MEMORIES, PLAIN_NAME, named_timing
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
    names = f"{PLAIN_NAME}: latency and bandwidth alone (default), or as connected on {', '.join(BOARD_MEMORIES)}"
    sim.add_argument("--memory", default=PLAIN_NAME, help=names)
    sim.add_argument("--clock", type=float, default=200, help="MHz that a board's memory is told by (default: %(default)g)")
    sim.add_argument("--latency", type=int, help="external memory: cycles to the first beat (default of plain: 40)")
    sim.add_argument("--bandwidth", type=int, help="external memory: beats of each port per 256 cycles (default: 256)")
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
    if not 1 <= options.clock <= 1000:
        raise UsageError(f"--clock must be in 1..1000 MHz, not {options.clock:g}")
    asked = {name: value for name in ("latency", "bandwidth") if (value := getattr(options, name)) is not None}
    memory = named_timing(options.memory, options.clock, chosen.config, **asked)

    from rich.console import Console

    from sim.report import Options, simulate

    settings = Options(
        preset=chosen.name, config=chosen.config, samples=options.samples, batch=options.batch, memory=memory,
        output=options.output, flip=flip,
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
