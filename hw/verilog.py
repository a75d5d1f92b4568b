"""The accelerator as Verilog files, and Verilator's lint over them."""

import subprocess
from pathlib import Path

from formats.files import write_whole
from hw.emit import emit
from hw.engine.dpu import Plain
from hw.engine.dpu_ultrascale import PRIMITIVES, Ultrascale
from hw.mapping import Mapping
from hw.tools import find_tool
from hw.top import Top
from isa.options import chosen_accelerators

TOP = "bittern"
CELLS = {Mapping.PLAIN: Plain, Mapping.ULTRASCALE: Ultrascale}
LINT = ["-Wall", "-Wno-DECLFILENAME", "-Wno-UNUSEDSIGNAL", "-Wno-PROCASSINIT", "-Wno-WIDTHEXPAND", "-Wno-WIDTHTRUNC"]


def write_verilog(chosen, folder, mapping=Mapping.PLAIN):
    """Emit an `isa.options.Chosen` to ``folder/NAME/bittern.v``, whole or not at all; returns the path.

    With another `Mapping` than plain the folder is called ``NAME-mapping``.
    """
    name = chosen.name.replace(" ", "-")
    path = Path(folder) / (name if mapping is Mapping.PLAIN else f"{name}-{mapping}") / "bittern.v"
    write_whole(path, emit(Top(chosen.config, CELLS[mapping]), TOP))
    return path


def write(options):
    """`bittern verilog`; returns the exit status."""
    for chosen in chosen_accelerators(options):
        path = write_verilog(chosen, options.output, Mapping(options.mapping))
        print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0


def lint(options):
    """`bittern lint`; returns the exit status: 1 where anything is not clean."""
    status = 0
    for chosen in chosen_accelerators(options):
        path = write_verilog(chosen, options.output, Mapping(options.mapping))
        sources = [str(path)]
        if options.mapping == Mapping.ULTRASCALE:
            models = path.with_name("primitives.v")
            models.write_text(PRIMITIVES)
            sources.append(str(models))
        command = [find_tool("verilator"), "--lint-only", "--top-module", TOP, *LINT, *sources]
        result = subprocess.run(command, check=False)
        print(f"{chosen.name}: {'clean' if result.returncode == 0 else 'not clean'}")
        status |= result.returncode != 0
    return status
