"""A folder that Vivado makes a bitstream for a Zynq UltraScale+ board from; writing it needs no vendor tool."""

from pathlib import Path
from typing import Any

import jinja2

from boards.zynq.board import ZynqBoard
from formats.files import write_whole
from hw.emit import emit
from hw.engine.dpu import Plain
from hw.engine.dpu_ultrascale import Ultrascale
from hw.top import Top
from isa.memory_timing import BOARD_MEMORIES, described
from isa.options import Chosen
from isa.registers import REGISTERS
from isa.sizes import memory_prefixes

TEMPLATES = Path(__file__).parent / "templates"
TOP = "bittern"
#: Versions whose documentation the scripts follow; nothing was run in Vivado.
VIVADO = "2023.2 to 2024.2"


def write_package(board: ZynqBoard, chosen: Chosen, folder: Path | str, clock_mhz: float) -> list[Path]:
    """Write the folder; each file appears whole or not at all.

    Parameters
    ----------
    board : boards.zynq.board.ZynqBoard
    chosen : isa.options.Chosen
        The accelerator.
    folder : path
    clock_mhz : float
        Asked of the processing system's clock generator.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    UsageError
        For a clock that the processing system does not give, and an accelerator with more memory ports than it has.
    """
    board.check_clock(clock_mhz)
    values = parameters(board, chosen, clock_mhz)
    folder = Path(folder)
    paths = []
    for form, mapping in (("ultrascale", Ultrascale), ("plain", Plain)):
        paths.append(_write(folder / "hdl" / form / "bittern.v", emit(Top(chosen.config, mapping), TOP)))
    places = [path for path in (board.templates, TEMPLATES) if path is not None]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(places), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    for name in environment.list_templates(extensions=["j2"]):
        paths.append(_write(folder / name.removesuffix(".j2"), environment.get_template(name).render(values)))
    return paths


def parameters(board: ZynqBoard, chosen: Chosen, clock_mhz: float) -> dict[str, Any]:
    """What the templates are filled with."""
    config = chosen.config
    return {
        "board": board, "preset": chosen.name, "clock_mhz": f"{clock_mhz:g}",
        "memory": list(zip(memory_prefixes(config.ports), board.slaves(config))),
        "memory_described": described(config, board.external.timing(clock_mhz)),
        "simulated": board.name in BOARD_MEMORIES,
        "top": TOP, "design": TOP, "vendor": "bittern", "library": "accelerator", "version": "1.0",
        "vlnv": f"bittern:accelerator:{TOP}:1.0", "vivado": VIVADO, "verilog": "hdl/ultrascale/bittern.v",
        "registers": REGISTERS, "jobs": 4, "cells": _cells,
    }  # fmt: skip


def _cells(number):
    """A 64-bit number as two devicetree cells."""
    return f"0x{number >> 32:x} 0x{number & 0xFFFFFFFF:x}"


def _write(path, text):
    write_whole(path, text)
    return path
