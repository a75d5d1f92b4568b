"""The folder for Vivado, as far as it can be checked without: overlays, and the whole design as other tools read it."""

import shutil
import subprocess
from dataclasses import replace

import pytest

from boards.zcu102.record import BOARD
from boards.zynq.package import TOP, write_package
from formats.errors import UsageError
from hw.engine.dpu_ultrascale import PRIMITIVES
from isa.options import Chosen
from isa.presets import preset
from tb.boards.zynq.conftest import TINY
from tb.boards.zynq.vivado.checks import check_folder
from tb.boards.zynq.vivado.run import needs_tcl
from tb.boards.zynq.vivado.verilog import check_hierarchy, elaborate
from tb.lib.words import naming

#: Models of the chip's primitives that each form instantiates.
FORMS = {"ultrascale": PRIMITIVES, "plain": ""}


def check_verilog(folder, form, scratch):
    """The design is whole, for pyslang and for Yosys; returns its modules."""
    path = folder / "hdl" / form / "bittern.v"
    (scratch / "primitives.v").write_text(FORMS[form])
    check_hierarchy(TOP, scratch / "primitives.v", path)
    return elaborate(TOP, path.read_text(), FORMS[form])


@pytest.mark.parametrize("name", ["bittern.dtso", "bittern-memory.dtso"])
def test_overlays_compile(tiny_folder, tmp_path, name):
    if shutil.which("dtc") is None:
        pytest.skip("dtc is not installed; apt package device-tree-compiler")
    command = ["dtc", "-@", "-I", "dts", "-O", "dtb", "-o", tmp_path / "out.dtbo", tiny_folder / name]
    subprocess.run(command, check=True)


@pytest.mark.parametrize("form", FORMS)
def test_the_design_is_whole_for_pyslang_and_yosys(tiny_folder, tmp_path, form):
    modules = check_verilog(tiny_folder, form, tmp_path)
    assert {TOP, f"{TOP}.core"} <= modules
    assert ({"LUT6_2", "CARRY8"} <= modules) == (form == "ultrascale")


@pytest.mark.parametrize(("there", "instead", "error"), [
    (".o_reset(", ".o_resets(", "UnconnectedNamedPort|PortDoesNotExist"), ("endmodule", "", "Expected"),
    ("output irq;", "output irq", "Expected"), ("\\bittern.core  core", "\\bittern.heart  core", "UnknownModule"),
])  # fmt: skip
def test_a_design_that_is_broken_is_told_by_both(tiny_folder, tmp_path, there, instead, error):
    text = (tiny_folder / "hdl" / "plain" / "bittern.v").read_text()
    assert there in text
    (tmp_path / "broken.v").write_text(text.replace(there, instead, 1))
    with pytest.raises(AssertionError, match=error):
        elaborate(TOP, (tmp_path / "broken.v").read_text())
    with pytest.raises(subprocess.CalledProcessError):
        check_hierarchy(TOP, tmp_path / "broken.v")


@needs_tcl
@pytest.mark.slow
def test_the_folder_of_the_preset_for_the_board_passes_the_same_checks(tmp_path):
    chosen = Chosen("zcu102", preset("zcu102"))
    write_package(BOARD, chosen, tmp_path / "folder", BOARD.clock_mhz)
    check_folder(tmp_path / "folder", BOARD, chosen)
    for form in FORMS:
        check_verilog(tmp_path / "folder", form, tmp_path)


def test_more_ports_than_the_board_has_are_refused_before_anything_is_written(tmp_path):
    board = replace(BOARD, external=replace(BOARD.external, ports=2))
    with pytest.raises(UsageError, match=naming("the ZCU102 has 2 memory ports", 4, "--set ports=2")):
        write_package(board, Chosen("zcu102", preset("zcu102")), tmp_path, board.clock_mhz)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("clock", [0.5, 334, float("nan")])
def test_a_clock_out_of_range_is_refused_before_anything_is_written(tmp_path, clock):
    with pytest.raises(UsageError, match=rf"1\.\.333 MHz, not {clock:g}"):
        write_package(BOARD, TINY, tmp_path, clock)
    assert not list(tmp_path.iterdir())
