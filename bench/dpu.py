"""`bittern bench dpu [DEPTH...]`: what a dot-product unit takes in each form that was tried, as a table (docs/dpu.md).

LUT is Yosys' "Estimated number of LCs", plus shift registers and LUT6_2 as one each. The estimate is not exact: it lets
LUTs that feed a carry chain share a site, and counts a full adder of pairs, which is one LUT6_2, as two.
"""

import argparse
import json
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

from amaranth import Cat, Const, Value
from amaranth.lib import wiring

from codesign.resources.logic_depth import depth as logic_depth
from formats.errors import UsageError
from hw.emit import emit
from hw.engine.dpu import Border, Dpu, Plain
from hw.engine.dpu_ultrascale import Ultrascale
from hw.tools import find_tool

SCRIPT = """
read_verilog dut.v
synth_xilinx -family xcup -noiopad -flatten -top dut -run :check
blackbox =A:whitebox
tee -q -o stat stat -tech xilinx
write_json netlist.json
"""


class Chains(Plain):
    """Full adders of pairs as adders of one bit with a carry in."""

    suffix = "_chains"

    def add_pairs(self, p: tuple[Value, Value], q: tuple[Value, Value], e: Value) -> tuple[Value, Value]:
        sums = [self._add(*bits) for bits in zip(self.both(p), self.both(q), e)]
        return Cat(bits[0] for bits in sums), Cat(bits[1] for bits in sums)


class Logic(Plain):
    """Counters of full adders in logic, none on a carry chain."""

    suffix = "_logic"

    def _count(self, bits):
        def full(a, b, c):
            return self._wire(a ^ b ^ c), self._wire((a & b) | (c & (a ^ b)))

        if len(bits) == 3:
            return full(bits[0], bits[1], bits[2])
        bits = [*bits, *[Const(0, 1)] * (7 - len(bits))]
        (a, x), (b, y) = full(bits[0], bits[1], bits[2]), full(bits[3], bits[4], bits[5])
        low, z = full(a, b, bits[6])
        return (low, *full(x, y, z))


VARIANTS = {
    "plain": (Dpu, Plain),
    "lanes on carry chains": (Dpu, Chains),
    "counters in logic": (Dpu, Logic),
    "primitives": (Dpu, Ultrascale),
    "border, plain": (Border, Plain),
    "border, primitives": (Border, Ultrascale),
}


def measure(unit: wiring.Component) -> dict[str, int]:
    """LUT, FF, CARRY8 and levels of logic of a unit."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "dut.v").write_text(emit(unit, "dut"))
        subprocess.run([find_tool("yosys"), "-p", SCRIPT], cwd=folder, capture_output=True, check=True)
        netlist = json.loads((Path(folder) / "netlist.json").read_text())["modules"]["dut"]
        logic_cells = int((Path(folder) / "stat").read_text().partition("Estimated number of LCs:")[2].split()[0])
    cells = Counter(cell["type"] for cell in netlist["cells"].values())
    return {
        "lut": logic_cells + cells["LUT6_2"] + cells["SRL16E"],
        "ff": cells["FDRE"],
        "carry8": cells["CARRY8"] + (cells["CARRY4"] + 1) // 2,
        "levels": logic_depth({"dut": ("dut", netlist)}, "dut").paths[0].levels,
    }


def run(options: argparse.Namespace) -> int:
    """The command: prints the table, a row for each depth and form; returns the exit status.

    Raises UsageError for a depth that is none.
    """
    for depth in options.depths:
        if depth < 1:
            raise UsageError(f"a depth is at least 1 bit pair, not {depth}")
    print("| K | unit | LUT | LUT per pair | FF per pair | CARRY8 | levels | latency |\n|--:|---|--:|--:|--:|--:|--:|--:|")
    for depth in options.depths:
        for name, (component, mapping) in VARIANTS.items():
            unit = component(depth, 24, mapping)
            of = measure(unit)
            shares = f"{of['lut'] / depth:.2f} | {of['ff'] / depth:.2f}"
            row = f"{depth} | {name} | {of['lut']} | {shares} | {of['carry8']} | {of['levels']} | {unit.latency}"
            print(f"| {row} |", flush=True)
    return 0
