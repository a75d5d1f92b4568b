"""`bittern run`, `image`, `zcu102` and `ulx3s`."""

from pathlib import Path

from formats.errors import UsageError
from isa.options import add_accelerator, chosen_accelerator


def add(commands):
    """Add the commands to the sub-parsers of a command line."""
    run = commands.add_parser("run", help="predict: images or texts through a bundle's model, on an accelerator")
    run.add_argument("bundle", type=Path)
    run.add_argument("items", nargs="+", metavar="IMAGE_OR_TEXT", help="pictures, .npy or IDX files; or texts")
    run.add_argument(
        "--on", default="golden", help="golden: the reference (default); rtl: the simulation; /dev/uio0; /dev/ttyUSB0"
    )
    add_accelerator(run, "small")
    run.add_argument("--top", type=int, default=3, help="classes printed of each (default: %(default)s)")
    run.add_argument("--timeout", type=float, default=60.0, help="seconds for one inference (default: %(default)g)")
    run.add_argument("--baud", type=int, help="of a serial line (default: that of the bitstream of `make ulx3s`)")
    run.set_defaults(run=_run)

    image = commands.add_parser("image", help="compile a bundle to a program image for the C library")
    image.add_argument("bundle", type=Path)
    add_accelerator(image, "zcu102")
    image.add_argument("--output", type=Path, help="file (default: the bundle's name, .image, here)")
    image.set_defaults(run=_image)

    zcu102 = commands.add_parser("zcu102", help="write a folder that Vivado makes a bitstream for the ZCU102 from")
    add_accelerator(zcu102, "zcu102")
    zcu102.add_argument("--output", type=Path, default=Path("build/zcu102"), help="folder (default: %(default)s)")
    zcu102.add_argument("--clock", type=float, default=150.0, help="MHz asked of the clock generator (default: %(default)g)")
    zcu102.set_defaults(run=_zcu102)

    ulx3s = commands.add_parser("ulx3s", help="make a bitstream for a ULX3S with an ECP5-85F, by Yosys and nextpnr")
    add_accelerator(ulx3s, "ecp5")
    ulx3s.add_argument("--clock", type=float, default=60.0, help="MHz (default: %(default)g)")
    ulx3s.add_argument("--baud", type=int, default=1_000_000, help="of the serial line (default: %(default)d)")
    ulx3s.add_argument("--seed", type=int, default=1, help="of placement (default: %(default)d)")
    ulx3s.add_argument("--output", type=Path, default=Path("build/ulx3s"), help="folder (default: %(default)s)")
    ulx3s.add_argument("--figures", type=Path, help="JSON of the routed figures (default: boards/ulx3s/routed.json)")
    ulx3s.set_defaults(run=_ulx3s)


def _run(options):
    if options.top < 1:
        raise UsageError(f"--top must be at least 1, not {options.top}")
    from boards.run.command import run

    return run(options)


def _image(options):
    from boards.c.image import write_image
    from formats.bundle import load
    from program.compiler.compiler import compile_encoder

    path = options.output or Path(options.bundle.name).with_suffix(".image")
    config = chosen_accelerator(options).config
    write_image(compile_encoder(load(options.bundle).encoder, config), path)
    print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0


def _zcu102(options):
    from boards.zcu102.package import write_package

    for path in write_package(chosen_accelerator(options), options.output, options.clock):
        print(path)
    return 0


def _ulx3s(options):
    from boards.ulx3s.build import run_build

    return run_build(options)
