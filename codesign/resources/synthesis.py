"""Open synthesis of units for the xcup family, kept by content under build/synthesis."""

import gzip
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from codesign.netlist.family import Netlist
from codesign.resources.units import Unit
from formats.errors import BuildError
from formats.files import ROOT
from hw.tools import find_tool

CACHE = ROOT / "build" / "synthesis"
FAMILY = "xcup"
FLOW = f"synth_xilinx -family {FAMILY} -noiopad -flatten"
#: For units that ask for UltraRAM. Not for the others: Yosys would take it for memories that do not ask, too.
ULTRA = 'ram_style = "ultra"'
ULTRA_FLOW = f"{FLOW} -uram"
#: For units in primitives: the last step would read them anew, as they were written.
PRIMITIVE = "LUT6_2 #("
PRIMITIVE_FLOW = f"{FLOW} -run :check"
BATCH = "bittern_batch"
#: Verilog text in one run, except where a unit alone has more: a run costs 5 s before it begins, and an interrupted one is
#: lost.
BATCH_BYTES = 1_000_000

#: LUTs of the slices that hold memory, of each primitive that synthesis infers.
_MEMORY_LUTS = {
    "SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1, "RAM32X1S": 1, "RAM64X1S": 1, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1S": 2,
    "RAM128X1D": 4, "RAM256X1S": 4, "RAM256X1D": 8, "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8, "RAM512X1S": 8,
}  # fmt: skip
_FLIP_FLOPS = ("FDRE", "FDSE", "FDCE", "FDPE", "FDRE_1", "FDSE_1", "FDCE_1", "FDPE_1")
_BLOCKS = {"RAMB36E2": 1.0, "RAMB18E2": 0.5}
_ULTRA_BLOCK = "URAM288"
_PLAIN_LUTS = ("LUT1", "LUT2", "LUT3", "LUT4", "LUT5", "LUT6")
_FREE = ("CARRY4", "CARRY8", "MUXF7", "MUXF8", "MUXF9", "INV", "BUFG", "GND", "VCC")


@dataclass(frozen=True)
class Resources:
    """What a unit takes.

    ``lut`` is Yosys' estimate, which lets any two small LUTs share one with two outputs; ``most_lut`` is what it becomes
    if none at a carry chain is shared, as each bit of a chain wants its own. ``memory_lut`` is the part of ``lut`` that
    holds memory or shift registers; ``carry`` counts CARRY8 (two CARRY4).
    """

    lut: float = 0
    most_lut: float = 0
    memory_lut: float = 0
    ff: float = 0
    bram36: float = 0
    dsp: float = 0
    carry: float = 0
    uram: float = 0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(*(a + b for a, b in zip(asdict(self).values(), asdict(other).values())))

    def __mul__(self, times: float) -> "Resources":
        return Resources(*(times * value for value in asdict(self).values()))


def logic_cells(cells: Mapping[str, int]) -> int:
    """Yosys' "Estimated number of LCs" of LUTs counted by type: a LUT with two outputs may hold two small ones."""
    one, two, three, four = (cells.get(f"LUT{inputs}", 0) for inputs in (1, 2, 3, 4))
    five = cells.get("LUT5", 0)
    total = cells.get("LUT6", 0) + five + four + three
    one -= min(one, five)
    with_four = min(one, four)
    one, four = one - with_four, four - with_four
    two -= min(two, four)
    with_three = min(one, three)
    one, three = one - with_three, three - with_three
    two -= min(two, three)
    return total + (one + two + 1) // 2


def chained(cells: Mapping[str, Any]) -> Counter[str]:
    """LUTs by type, of the cells of a netlist, that drive a carry chain."""
    at_chain = {bit for cell in cells.values() if cell["type"] in ("CARRY4", "CARRY8") for bit in cell["connections"]["S"]}
    kinds = (cell["type"] for cell in cells.values() if cell["connections"].get("O", [None])[0] in at_chain)
    return Counter(kind for kind in kinds if kind in _PLAIN_LUTS)


def resources_of(cells: Mapping[str, int], at_chain: Mapping[str, int] | None = None) -> Resources:
    """`Resources` of a netlist: ``cells`` counts primitives by type, ``at_chain`` those of `chained`. Raises BuildError for
    one of unknown cost."""
    known = {*_MEMORY_LUTS, *_FLIP_FLOPS, *_BLOCKS, _ULTRA_BLOCK, *_PLAIN_LUTS, *_FREE, "LUT6_2", "DSP48E2"}
    if unknown := sorted(set(cells) - known):
        raise BuildError(f"synthesis gave {', '.join(unknown)}; {Path(__file__).name} does not know what that costs")
    memory = sum(cells.get(kind, 0) * luts for kind, luts in _MEMORY_LUTS.items())
    others = {kind: number - (at_chain or {}).get(kind, 0) for kind, number in cells.items()}
    unshared = logic_cells(others) + sum((at_chain or {}).values())
    return Resources(
        lut=logic_cells(cells) + cells.get("LUT6_2", 0) + memory,
        most_lut=unshared + cells.get("LUT6_2", 0) + memory,
        memory_lut=memory,
        ff=sum(cells.get(kind, 0) for kind in _FLIP_FLOPS),
        bram36=sum(cells.get(kind, 0) * blocks for kind, blocks in _BLOCKS.items()),
        dsp=cells.get("DSP48E2", 0),
        carry=cells.get("CARRY8", 0) + cells.get("CARRY4", 0) / 2,
        uram=cells.get(_ULTRA_BLOCK, 0),
    )


def yosys_version() -> str:
    return subprocess.run([find_tool("yosys"), "-V"], capture_output=True, text=True, check=False).stdout.strip()


class Synthesis:
    """Results by content of a unit: RTL, Yosys version and flow. ``progress`` takes a line of text."""

    def __init__(self, progress: Callable[[str], object] = lambda text: None, jobs: int = 1, cache: Path = CACHE):
        self.progress, self.jobs, self.cache = progress, jobs, Path(cache)
        self.version = yosys_version()
        self._running = set()

    @property
    def release(self) -> str:
        """Release of Yosys, such as 0.70."""
        return self.version.removeprefix("Yosys ").partition(" ")[0]

    def folder(self, unit: Unit) -> Path:
        return (
            self.cache
            / hashlib.sha256(
                repr((sorted(unit.modules.items()), sorted(unit.inner.items()), self.version, flow_of(unit))).encode()
            ).hexdigest()[:20]
        )

    def run(self, units: Sequence[Unit]) -> list[Resources]:
        """`Resources` of each unit, one instance of it, in the order of ``units``."""
        todo = [unit for unit in units if not (self.folder(unit) / "cells.json").exists()]
        if len(todo) < len(units):
            self.progress(f"{len(units) - len(todo)} of {len(units)} units are in {os.path.relpath(self.cache)}")
        batches = _batches(todo)
        with ThreadPoolExecutor(self.jobs) as pool:
            futures = [pool.submit(self._synthesise, batch, f"{i}/{len(batches)}") for i, batch in enumerate(batches, 1)]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in list(self._running):
                    os.killpg(process.pid, signal.SIGTERM)
                raise
        return [self.resources(unit) for unit in units]

    def resources(self, unit: Unit) -> Resources:
        record = self._record(unit)
        return resources_of(record["cells"], record["chained"])

    def cells(self, unit: Unit) -> Counter[str]:
        """Number of primitives of the unit by type: a Counter."""
        return Counter(self._record(unit)["cells"])

    def _record(self, unit):
        return json.loads((self.folder(unit) / "cells.json").read_text())

    def netlist(self, unit: Unit) -> Netlist:
        """Cells, nets and ports of the unit after synthesis, as Yosys' JSON describes a module."""
        with gzip.open(self.folder(unit) / "netlist.json.gz", "rt") as file:
            return json.load(file)

    def _synthesise(self, batch, number):
        start = time.monotonic()
        names = ", ".join(unit.name for unit in batch)
        self.progress(f"[{number}] {names} ...")
        folder = self.folder(batch[0]).with_suffix(f".{os.getpid()}.partial")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "batch.v").write_text(_batch_verilog(batch))
        script = f"read_verilog batch.v; {flow_of(batch[0])} -top {BATCH}; blackbox =A:whitebox; write_json netlist.json"
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [find_tool("yosys"), "-p", script], cwd=folder, stdout=log, stderr=log, start_new_session=True
            )
            self._running.add(process)
            status = process.wait()
            self._running.discard(process)
        if status:
            raise BuildError(f"synthesis of {names} failed; its output is in {folder / 'log'}")
        modules = json.loads((folder / "netlist.json").read_text())["modules"]
        for unit in batch:
            self._keep(unit, modules[unit.module.removeprefix("\\")])
        shutil.rmtree(folder)
        seconds = time.monotonic() - start
        self.progress(f"[{number}] {sum(self.resources(unit).lut for unit in batch):,.0f} LUT, {seconds:.0f} s")

    def _keep(self, unit, netlist):
        folder = self.folder(unit)
        partial = folder.with_suffix(f".{os.getpid()}.kept")
        partial.mkdir(parents=True, exist_ok=True)
        inner = {module.removeprefix("\\") for module in unit.inner}
        types = Counter(cell["type"] for cell in netlist["cells"].values())
        cells = {kind: number for kind, number in types.items() if kind not in inner and not kind.startswith("$")}
        with gzip.open(partial / "netlist.json.gz", "wt", compresslevel=3) as file:
            json.dump(netlist, file)
        record = {"unit": unit.name, "cells": cells, "chained": chained(netlist["cells"])}
        (partial / "cells.json").write_text(json.dumps(record, indent=1))
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)


def flow_of(unit: Unit) -> str:
    """Yosys' command for a unit."""
    if PRIMITIVE in unit.verilog:
        return PRIMITIVE_FLOW
    return ULTRA_FLOW if ULTRA in unit.verilog else FLOW


def _batches(units):
    """Units of the same flow that are synthesised in one run: a run has a fixed cost of some seconds, and its memory grows
    with all in it."""
    batches, size = [], 0
    for unit in sorted(units, key=lambda unit: (flow_of(unit), -len(unit.verilog))):
        if not batches or size + len(unit.verilog) > BATCH_BYTES or flow_of(batches[-1][0]) != flow_of(unit):
            batches.append([])
            size = 0
        batches[-1].append(unit)
        size += len(unit.verilog)
    return batches


def _batch_verilog(batch):
    """All modules of the batch, units kept apart, and a top that holds one of each."""
    defined = {name: text for unit in batch for name, text in unit.modules.items()}
    stubs = {name: text for unit in batch for name, text in unit.inner.items() if name not in defined}
    kept = {unit.module for unit in batch}
    texts = [f"(* keep_hierarchy *)\n{text}" if name in kept else text for name, text in defined.items()]
    holders = "".join(f"  (* keep *) {unit.module} unit{i} ();\n" for i, unit in enumerate(batch))
    return "".join((*texts, *stubs.values(), f"module {BATCH};\n{holders}endmodule\n"))
