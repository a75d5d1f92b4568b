"""`make zcu102`: a folder that Vivado makes a bitstream from; writing it needs no vendor tool."""

from pathlib import Path

import jinja2

from boards.linux import REGISTER_BYTES
from formats.errors import UsageError
from formats.files import write_whole
from hw.emit import emit
from hw.engine.dpu import Plain
from hw.engine.dpu_ultrascale import Ultrascale
from hw.top import Accelerator
from isa.registers import REGISTERS

TEMPLATES = Path(__file__).parent / "templates"
TOP = "bittern"
#: Versions whose documentation the scripts follow; nothing was run in Vivado.
VIVADO = "2023.2 to 2024.2"
REGISTER_ADDRESS = 0xA000_0000  # first address of M_AXI_HPM0_FPD
MEMORY_ADDRESS, MEMORY_BYTES = 0x7000_0000, 0x0400_0000  # 64 MiB in the lower 2 GiB of DDR, out of the kernel's way
PORT_BITS = 128  # the widest that a high-performance port has
INTERRUPT = 89  # shared peripheral interrupt of pl_ps_irq0[0]
CLOCK_INDEX = 71  # of pl_clk0 in zynqmp_clk
#: MHz that the clock generator of the processing system is asked for.
CLOCKS = (1, 333)


def write_package(chosen, folder, clock_mhz=150.0):
    """Write the folder for an `isa.options.Chosen`; each file appears whole or not at all.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    UsageError
        For a clock that the processing system does not give.
    """
    if not CLOCKS[0] <= clock_mhz <= CLOCKS[1]:
        raise UsageError(f"--clock must be in {CLOCKS[0]}..{CLOCKS[1]} MHz, not {clock_mhz:g}")
    folder = Path(folder)
    paths = []
    for form, mapping in (("ultrascale", Ultrascale), ("plain", Plain)):
        paths.append(_write(folder / "hdl" / form / "bittern.v", emit(Accelerator(chosen.config, mapping), TOP)))
    values = parameters(chosen, clock_mhz)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    for template in sorted(TEMPLATES.glob("*.j2")):
        paths.append(_write(folder / template.stem, environment.get_template(template.name).render(values)))
    return paths


def parameters(chosen, clock_mhz):
    """What the templates are filled with."""
    return {
        "preset": chosen.name, "top": TOP, "design": TOP, "vendor": "bittern", "library": "accelerator", "version": "1.0",
        "vlnv": f"bittern:accelerator:{TOP}:1.0", "vivado": VIVADO, "part": "xczu9eg-ffvb1156-2-e",
        "board": "xilinx.com:zcu102:part0:3.4", "verilog": "hdl/ultrascale/bittern.v", "registers": REGISTERS,
        "register_address": REGISTER_ADDRESS, "register_bytes": REGISTER_BYTES, "memory_address": MEMORY_ADDRESS,
        "memory_bytes": MEMORY_BYTES, "port_bits": PORT_BITS, "axi_bits": chosen.config.axi_bits,
        "clock_mhz": f"{clock_mhz:g}",
        "interrupt": INTERRUPT, "clock_index": CLOCK_INDEX, "jobs": 4, "cells": _cells,
    }  # fmt: skip


def _cells(number):
    """A 64-bit number as two devicetree cells."""
    return f"0x{number >> 32:x} 0x{number & 0xFFFFFFFF:x}"


def _write(path, text):
    write_whole(path, text)
    return path
