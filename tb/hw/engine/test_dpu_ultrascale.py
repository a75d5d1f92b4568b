"""The unit in primitives: proven equal to the plain one, register by register; and its LUTs, counted."""

import re
import subprocess

import pytest

from hw.emit import emit
from hw.engine.dpu import Border, Dpu, Plain
from hw.engine.dpu_ultrascale import PRIMITIVES, Ultrascale
from hw.tools import find_tool

# Registers of equal names hold equal values if they do so a cycle earlier: a SAT problem for each of their bits, small
# because the registers of both units mean the same.
EQUAL = """
hierarchy; proc; flatten ultrascale; opt_clean
equiv_make plain ultrascale both
hierarchy -top both
opt -fast; equiv_simple; equiv_status -assert
"""


def yosys(folder, texts, script):
    """Run ``script`` on Verilog ``texts``. Returns the exit status and what it says."""
    for number, text in enumerate(texts):
        (folder / f"{number}.v").write_text(text)
    read = "".join(f"read_verilog {number}.v\n" for number in range(len(texts)))
    command = [find_tool("yosys"), "-p", read + script]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return result.returncode, result.stdout + result.stderr


def compare(folder, unit, depth, mapping):
    texts = [emit(unit(depth, 24, Plain), "plain"), emit(unit(depth, 24, mapping), "ultrascale"), PRIMITIVES]
    status, says = yosys(folder, texts, EQUAL)
    proven = re.findall(r"Of those cells (\d+) are proven and (\d+) are unproven", says)
    return status, [int(number) for number in proven[-1]]


@pytest.mark.parametrize("depth", [16, 128])
@pytest.mark.parametrize("unit", [Dpu, Border])
def test_every_register_is_proven_equal_to_the_plain_one(tmp_path, unit, depth):
    status, (proven, unproven) = compare(tmp_path, unit, depth, Ultrascale)
    assert (status, unproven) == (0, 0)
    registers = len(re.findall(r"^  reg ", emit(unit(depth, 24), "plain"), re.MULTILINE))
    assert proven > registers + 2 * 23  # accumulator and drain register have 24 bits


class _Forgetful(Ultrascale):
    """Loses the sign of what it counts."""

    def total(self, rows, invert):
        return super().total(rows, invert & rows[0][0])


def test_a_wrong_cell_is_not_proven(tmp_path):
    status, (_, unproven) = compare(tmp_path, Dpu, 16, _Forgetful)
    assert status != 0
    assert unproven > 0


@pytest.mark.parametrize(
    ("module", "parameters"),
    [
        ("LUT6_2", "-set INIT 64'h0123456789abcdef"),
        ("LUT6_2", "-set INIT 64'hfedc5a96e7008bb1"),
        ("CARRY8", '-set CARRY_TYPE "SINGLE_CY8"'),
        ("CARRY8", '-set CARRY_TYPE "DUAL_CY4"'),
    ],
)
def test_models_are_equal_to_those_of_the_tool(tmp_path, module, parameters):
    script = f"""
    chparam {parameters} {module}; hierarchy -top {module}; rename -top ours; proc; opt_clean; design -stash ours
    read_verilog +/xilinx/cells_sim.v; chparam {parameters} {module}
    hierarchy -top {module}; rename -top theirs; proc; flatten; opt_clean; design -stash theirs
    design -copy-from ours -as ours ours; design -copy-from theirs -as theirs theirs
    miter -equiv -flatten ours theirs both; sat -verify -prove trigger 0 both
    """
    status, says = yosys(tmp_path, [PRIMITIVES], script)
    assert status == 0, says[-2000:]
    assert "SAT proof finished - no model found: SUCCESS!" in says


@pytest.mark.parametrize(("unit", "luts"), [(Dpu, 129), (Border, 95)])
def test_a_pair_takes_one_lut(unit, luts):
    text = emit(unit(128, 24, Ultrascale), "dut")
    assert len(re.findall(r"^  LUT6_2 ", text, re.MULTILINE)) == luts
