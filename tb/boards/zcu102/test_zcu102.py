"""The folder for Vivado, as far as it can be checked without: overlays, and the whole design as other tools read it."""

import shutil
import subprocess

import pytest

from boards.zcu102.package import TOP, write_package
from formats.errors import UsageError
from hw.engine.dpu_ultrascale import PRIMITIVES
from tb.boards.zcu102.vivado.checks import check_folder
from tb.boards.zcu102.vivado.run import needs_tcl
from tb.boards.zcu102.vivado.verilog import check_hierarchy, elaborate

#: Models of the chip's primitives that each form instantiates.
FORMS = {"ultrascale": PRIMITIVES, "plain": ""}


def check_verilog(folder, form, scratch):
    """The design is whole, for pyslang and for Yosys; returns its modules."""
    path = folder / "hdl" / form / "bittern.v"
    (scratch / "primitives.v").write_text(FORMS[form])
    check_hierarchy(TOP, scratch / "primitives.v", path)
    return elaborate(TOP, path.read_text(), FORMS[form])


@pytest.mark.parametrize("name", ["bittern.dtso", "bittern-memory.dtso"])
def test_overlays_compile(zcu102_folder, tmp_path, name):
    if shutil.which("dtc") is None:
        pytest.skip("dtc is not installed; apt package device-tree-compiler")
    command = ["dtc", "-@", "-I", "dts", "-O", "dtb", "-o", tmp_path / "out.dtbo", zcu102_folder / name]
    subprocess.run(command, check=True)


@pytest.mark.parametrize("form", FORMS)
def test_the_design_is_whole_for_pyslang_and_yosys(zcu102_folder, tmp_path, form):
    modules = check_verilog(zcu102_folder, form, tmp_path)
    assert {TOP, f"{TOP}.core"} <= modules
    assert ({"LUT6_2", "CARRY8"} <= modules) == (form == "ultrascale")


@pytest.mark.parametrize(("there", "instead", "error"), [
    (".o_reset(", ".o_resets(", "UnconnectedNamedPort|PortDoesNotExist"), ("endmodule", "", "Expected"),
    ("output irq;", "output irq", "Expected"), ("\\bittern.core  core", "\\bittern.heart  core", "UnknownModule"),
])  # fmt: skip
def test_a_design_that_is_broken_is_told_by_both(zcu102_folder, tmp_path, there, instead, error):
    text = (zcu102_folder / "hdl" / "plain" / "bittern.v").read_text()
    assert there in text
    (tmp_path / "broken.v").write_text(text.replace(there, instead, 1))
    with pytest.raises(AssertionError, match=error):
        elaborate(TOP, (tmp_path / "broken.v").read_text())
    with pytest.raises(subprocess.CalledProcessError):
        check_hierarchy(TOP, tmp_path / "broken.v")


@needs_tcl
@pytest.mark.slow
def test_the_folder_of_the_preset_for_the_board_passes_the_same_checks(tmp_path):
    write_package("zcu102", tmp_path / "folder")
    check_folder(tmp_path / "folder", "zcu102")
    for form in FORMS:
        check_verilog(tmp_path / "folder", form, tmp_path)


def test_a_clock_out_of_range_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"1\.\.333 MHz, not 500"):
        write_package("tiny", tmp_path, 500)
