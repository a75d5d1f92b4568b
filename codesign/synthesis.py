"""Open synthesis of units for the xcup family, kept by content under build/synthesis."""

import gzip
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from program.errors import BuildError
from program.rtl.build import find_tool

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / "build" / "synthesis"
FLOW = "synth_xilinx -family xcup -noiopad -flatten"

#: LUTs of the slices that hold memory, of each primitive that synthesis infers.
_MEMORY_LUTS = {
    "SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1, "RAM32X1S": 1, "RAM64X1S": 1, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1S": 2,
    "RAM128X1D": 4, "RAM256X1S": 4, "RAM256X1D": 8, "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8, "RAM512X1S": 8,
}  # fmt: skip
_FLIP_FLOPS = ("FDRE", "FDSE", "FDCE", "FDPE", "FDRE_1", "FDSE_1", "FDCE_1", "FDPE_1")
_BLOCKS = {"RAMB36E2": 1.0, "RAMB18E2": 0.5}
_PLAIN_LUTS = ("LUT1", "LUT2", "LUT3", "LUT4", "LUT5", "LUT6")
_FREE = ("CARRY4", "CARRY8", "MUXF7", "MUXF8", "MUXF9", "INV", "BUFG", "GND", "VCC")


@dataclass(frozen=True)
class Resources:
    """What a unit takes. ``memory_lut`` is the part of ``lut`` that holds memory or shift registers; ``carry`` counts CARRY8
    (two CARRY4)."""

    lut: float = 0
    memory_lut: float = 0
    ff: float = 0
    bram36: float = 0
    dsp: float = 0
    carry: float = 0

    def __add__(self, other):
        return Resources(*(a + b for a, b in zip(asdict(self).values(), asdict(other).values())))

    def __mul__(self, times):
        return Resources(*(times * value for value in asdict(self).values()))


def resources_of(cells, logic_cells):
    """`Resources` of a netlist: ``cells`` counts primitives by type, ``logic_cells`` is Yosys' estimate of LUTs with shared
    outputs, which covers LUT1 to LUT6. Raises BuildError for a primitive whose cost is not known."""
    known = {*_MEMORY_LUTS, *_FLIP_FLOPS, *_BLOCKS, *_PLAIN_LUTS, *_FREE, "LUT6_2", "DSP48E2"}
    if unknown := sorted(set(cells) - known):
        raise BuildError(f"synthesis gave {', '.join(unknown)}; codesign/synthesis.py does not know what that costs")
    memory = sum(cells.get(kind, 0) * luts for kind, luts in _MEMORY_LUTS.items())
    return Resources(
        lut=logic_cells + cells.get("LUT6_2", 0) + memory,
        memory_lut=memory,
        ff=sum(cells.get(kind, 0) for kind in _FLIP_FLOPS),
        bram36=sum(cells.get(kind, 0) * blocks for kind, blocks in _BLOCKS.items()),
        dsp=cells.get("DSP48E2", 0),
        carry=cells.get("CARRY8", 0) + cells.get("CARRY4", 0) / 2,
    )


def yosys_version():
    return subprocess.run([find_tool("yosys"), "-V"], capture_output=True, text=True, check=False).stdout.strip()


class Synthesis:
    """Results by content of a unit: RTL, Yosys version and flow. ``progress`` takes a line of text."""

    def __init__(self, progress=lambda text: None, jobs=1, cache=CACHE):
        self.progress, self.jobs, self.cache = progress, jobs, Path(cache)
        self.version = yosys_version()
        self._running = set()

    def folder(self, unit):
        return self.cache / hashlib.sha256(repr((unit.verilog, self.version, FLOW)).encode()).hexdigest()[:20]

    def run(self, units):
        """`Resources` of each unit, one instance of it, in the order of ``units``."""
        todo = [unit for unit in units if not (self.folder(unit) / "cells.json").exists()]
        if len(todo) < len(units):
            self.progress(f"{len(units) - len(todo)} of {len(units)} units are in {os.path.relpath(self.cache)}")
        with ThreadPoolExecutor(self.jobs) as pool:
            futures = [pool.submit(self._synthesise, unit, i, len(todo)) for i, unit in enumerate(todo, 1)]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in list(self._running):
                    os.killpg(process.pid, signal.SIGTERM)
                raise
        return [self.resources(unit) for unit in units]

    def resources(self, unit):
        record = json.loads((self.folder(unit) / "cells.json").read_text())
        return resources_of(record["cells"], record["logic_cells"])

    def netlist(self, unit):
        """Cells, nets and ports of the unit after synthesis, as Yosys' JSON describes a module."""
        with gzip.open(self.folder(unit) / "netlist.json.gz", "rt") as file:
            return json.load(file)

    def _synthesise(self, unit, number, total):
        start = time.monotonic()
        self.progress(f"[{number}/{total}] {unit.name} ...")
        folder = self.folder(unit)
        partial = folder.with_suffix(f".{os.getpid()}.partial")
        partial.mkdir(parents=True, exist_ok=True)
        (partial / "unit.v").write_text(unit.verilog)
        script = f"read_verilog unit.v; {FLOW} -top {unit.module}; tee -q -o stat stat -tech xilinx; write_json netlist.json"
        with (partial / "log").open("wb") as log:
            process = subprocess.Popen(
                [find_tool("yosys"), "-p", script], cwd=partial, stdout=log, stderr=log, start_new_session=True
            )
            self._running.add(process)
            status = process.wait()
            self._running.discard(process)
        if status:
            raise BuildError(f"synthesis of {unit.name} failed; its output is in {partial / 'log'}")
        netlist = _top_module(json.loads((partial / "netlist.json").read_text()))
        black_boxes = set(re.findall(r"^\(\* blackbox \*\)\nmodule \\?(\S+?) ?\(", unit.verilog, re.MULTILINE))
        with gzip.open(partial / "netlist.json.gz", "wt", compresslevel=3) as file:
            json.dump(netlist, file)
        cells = {}
        for cell in netlist["cells"].values():
            if cell["type"] not in black_boxes and not cell["type"].startswith("$"):
                cells[cell["type"]] = cells.get(cell["type"], 0) + 1
        logic_cells = int((partial / "stat").read_text().partition("Estimated number of LCs:")[2].split()[0])
        seconds = time.monotonic() - start
        record = {"unit": unit.name, "seconds": round(seconds, 1), "logic_cells": logic_cells, "cells": cells}
        (partial / "cells.json").write_text(json.dumps(record, indent=1))
        for name in ("netlist.json", "log"):
            (partial / name).unlink()
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
        used = resources_of(cells, logic_cells)
        self.progress(f"[{number}/{total}] {unit.name}: {used.lut:,.0f} LUT, {seconds:.0f} s")


def _top_module(design):
    return next(module for module in design["modules"].values() if int(module["attributes"].get("top", "0"), 2))
