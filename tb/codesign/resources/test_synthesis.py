"""Small designs with known resources and known levels, through Yosys."""

import random
import re
import subprocess

import pytest

from codesign.resources.block_memory import BlockMemory
from codesign.resources.logic_depth import depth
from codesign.resources.synthesis import Resources, Synthesis, logic_cells, resources_of
from codesign.resources.units import split
from formats.errors import BuildError
from hw.emit import emit
from hw.engine.operand_memory import Bank

#: Two units and what connects them: a sum that is registered in `adder`, and a chain of logic through both.
#: A port is numbered as the emitter numbers them.
DESIGN = r"""module bittern (clk, a, b, x, q, s);
  input clk;
  input [7:0] a, b;
  input [10:0] x;
  output q;
  output [8:0] s;
  wire some;
  reg [10:0] r = 0;
  always @(posedge clk) r <= x;
  \bittern.adder  adder (
    .clk(clk),
    .a(a),
    .b(b),
    .s(s)
  );
  \bittern.ands  first (
    .clk(clk),
    .\port$12$0 (r),
    .some(some),
    .q(q)
  );
endmodule

module \bittern.adder (clk, a, b, s);
  input clk;
  input [7:0] a;
  input [7:0] b;
  output [8:0] s;
  reg [8:0] s = 0;
  always @(posedge clk) s <= a + b;
endmodule

module \bittern.ands (clk, \port$12$0 , some, q);
  input clk;
  input [10:0] \port$12$0 ;
  output some;
  output q;
  reg q = 0;
  assign some = |\port$12$0 ;
  always @(posedge clk) q <= &\port$12$0 ;
endmodule
"""

MEMORY = r"""module bittern (clk, a, d, we, b, q, p);
  input clk;
  input [9:0] a;
  input [35:0] d;
  input we;
  input [9:0] b;
  output [35:0] q;
  output p;
  reg [35:0] m [1023:0];
  reg [35:0] q;
  reg p = 0;
  always @(posedge clk) begin
    if (we) m[a] <= d;
    q <= m[b];
    p <= ^q;
  end
endmodule
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Shared, so that no unit is synthesised twice."""
    return tmp_path_factory.mktemp("synthesis")


@pytest.fixture
def synthesis(cache):
    lines = []
    result = Synthesis(lines.append, cache=cache)
    result.lines = lines
    return result


def levels(synthesis, units):
    return depth({unit.module.removeprefix("\\"): (unit.name, synthesis.netlist(unit)) for unit in units}, "bittern")


def test_units_are_synthesised_once_and_have_the_resources_one_can_count(synthesis):
    units = split(DESIGN)
    used = dict(zip((unit.name for unit in units), synthesis.run(units)))
    # Yosys counts two LUT2 as one LUT with two outputs.
    assert used["adder"] == Resources(lut=4, most_lut=8, ff=9, carry=1.5)
    assert used["ands"].ff == 1
    assert used["top"] == Resources(ff=11)
    before = len(synthesis.lines)
    assert synthesis.run(units) == list(used.values())
    assert len(synthesis.lines) == before + 1
    assert re.match("3 of 3 units are in", synthesis.lines[-1])


def test_units_cost_the_same_together_and_alone(synthesis, tmp_path):
    units = split(DESIGN)
    together = dict(zip((unit.name for unit in units), synthesis.run(units)))
    (one,) = (unit for unit in units if unit.name == "adder")
    assert Synthesis(cache=tmp_path).run([one]) == [together["adder"]]


def test_a_change_of_a_unit_redoes_only_that_unit(synthesis):
    synthesis.run(split(DESIGN))
    synthesis.run(split(DESIGN))
    assert synthesis.lines[-1].startswith("3 of 3")
    synthesis.lines.clear()
    synthesis.run(split(DESIGN.replace("q <= &", "q <= ^")))
    assert [line for line in synthesis.lines if line.endswith("...")] == ["[1/1] ands ..."]


def test_a_path_is_followed_from_unit_to_unit(synthesis):
    units = split(DESIGN)
    synthesis.run(units)
    found = {path.end.partition(" ")[0]: path for path in levels(synthesis, units).paths}
    # Eleven inputs: two LUTs and what joins them.
    assert (found["first.q"].levels, found["first.q"].unit) == (2, "ands")
    assert re.match(r"r\[\d+\]", found["first.q"].start)
    assert found["adder.s[8]"].levels in (2, 3)


def test_levels_of_units_are_those_of_the_flat_design(synthesis):
    most = []
    for whole in (False, True):
        units = split(DESIGN, whole=whole)
        synthesis.run(units)
        most.append(levels(synthesis, units).paths[0].levels)
    assert most[0] == most[1]


def test_block_memory_is_counted_and_logic_behind_it_reported(synthesis):
    units = split(MEMORY)
    assert synthesis.run(units)[0].bram36 == 1
    assert levels(synthesis, units).blocks == {("top", "RAMB36E2", "logic"): 1}
    units = split(MEMORY.replace("p <= ^q", "p <= q[0]"))
    synthesis.run(units)
    assert levels(synthesis, units).blocks == {("top", "RAMB36E2", "behind"): 1}


@pytest.mark.parametrize(("words", "width", "part"), [(4096, 128, 32), (5000, 64, 8), (100, 192, 24)])
def test_banks_of_ultraram_become_as_many_as_the_rule_says(words, width, part, synthesis):
    (unit,) = split(emit(Bank(words, width, part, ultra=True), "bittern"))
    (found,) = synthesis.run([unit])
    assert (found.uram, found.bram36) == (BlockMemory(1, words, width, part, ultra=True).ultras, 0)


def test_ultraram_is_for_those_who_ask(synthesis):
    """Two UltraRAMs would cost less than 16 blocks; beside a unit that asks, a memory that does not stays of blocks."""
    units = [unit for ultra in (True, False) for unit in split(emit(Bank(4096, 128, 32, ultra), "bittern"))]
    assert [(used.uram, used.bram36) for used in synthesis.run(units)] == [(2, 0), (0, 16)]


@pytest.mark.parametrize("seed", range(3))
def test_luts_are_estimated_as_yosys_does(seed, tmp_path):
    numbers = random.Random(seed)
    cells = {f"LUT{inputs}": numbers.randrange(20) for inputs in range(1, 7)}
    lines = "".join(f"  {kind} {kind}_{i} ();\n" for kind, count in cells.items() for i in range(count))
    (tmp_path / "luts.v").write_text(f"module luts;\n{lines}endmodule\n")
    command = ["yosys", "-p", f"read_verilog {tmp_path}/luts.v; stat -tech xilinx"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert int(re.findall(r"Estimated number of LCs: +(\d+)", text)[0]) == logic_cells(cells)


def test_memory_of_luts_is_part_of_the_luts():
    cells = {"LUT6": 10, "RAM32M16": 2, "SRL16E": 3, "LUT6_2": 4, "CARRY8": 1, "RAMB18E2": 1}
    assert resources_of(cells) == Resources(lut=33, most_lut=33, memory_lut=19, bram36=0.5, carry=1)


def test_a_primitive_of_unknown_cost_is_refused():
    with pytest.raises(BuildError, match="PS8"):
        resources_of({"LUT6": 1, "PS8": 1})


def test_a_unit_that_cannot_be_synthesised_says_where_the_log_is(synthesis):
    with pytest.raises(BuildError, match="log"):
        synthesis.run(split(DESIGN.replace("q <= &", "q <= nothing() + ")))
