"""The folder for Vivado, as far as it can be checked without: names, address map, overlays, hierarchy, pins."""

import re
import shutil
import subprocess

import pytest

from boards import zcu102_package as package
from boards.zcu102 import Smoke, ZCU102Platform
from golden.registers import REGISTERS, Access
from hw.dpu_ultrascale import PRIMITIVES
from program.errors import UsageError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("zcu102")
    package.write_package("tiny", path)
    return path


def test_the_address_map_of_the_ip_is_the_register_map(folder):
    rows = re.findall(r"^    (\w+) 0x(\w+) (read\S+)$", (folder / "package_ip.tcl").read_text(), re.MULTILINE)
    assert [(name, int(address, 16), access) for name, address, access in rows] == [
        (r.name, r.address, "read-write" if r.access is Access.WRITE else "read-only") for r in REGISTERS
    ]


def test_files_and_ports_that_the_scripts_name_exist(folder):
    verilog = (folder / "hdl" / "ultrascale" / "bittern.v").read_text()
    ports = set(re.findall(r"^  (?:input|output)(?: \[\d+:0\])? (\w+);", verilog.split("module bittern(")[1], re.MULTILINE))
    scripts = "".join((folder / name).read_text() for name in ("package_ip.tcl", "block_design.tcl", "build.tcl"))
    for name in set(re.findall(r"accelerator/(\w+)", scripts)) | {"aclk", "aresetn", "irq"}:
        assert name in ports or any(port.startswith(f"{name}_") for port in ports), name
    for name in re.findall(r"\$here ([\w/]+\.(?:v|tcl|xdc))\]", scripts):
        assert (folder / name).exists(), name


@pytest.mark.parametrize("name", ["bittern.dtso", "bittern-memory.dtso"])
def test_overlays_compile(folder, name):
    if shutil.which("dtc") is None:
        pytest.skip("dtc is not installed; apt package device-tree-compiler")
    subprocess.run(["dtc", "-@", "-I", "dts", "-O", "dtb", "-o", folder / "out.dtbo", folder / name], check=True)


@pytest.mark.parametrize("form", ["ultrascale", "plain"])
def test_the_hierarchy_is_complete(folder, form):
    (folder / "primitives.v").write_text(PRIMITIVES)
    models = [str(folder / "primitives.v")] if form == "ultrascale" else []
    script = f"read_verilog {' '.join([*models, str(folder / 'hdl' / form / 'bittern.v')])}; hierarchy -check -top bittern"
    subprocess.run(["yosys", "-q", "-p", script], check=True)


def test_a_clock_out_of_range_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"1\.\.333 MHz, not 500"):
        package.write_package("tiny", tmp_path, 500)


def test_the_platform_places_every_pin():
    files = ZCU102Platform().build(Smoke(), do_build=False).files  # type: ignore[func-returns-value]
    pins = re.findall(r"set_property LOC (\w+)", files["top.xdc"])
    assert set(pins) == set("G21 F21 AG14 AF13 AE13 AJ14 AJ15 AH13 AH14 AL12 AM13 E13 F13".split())
    assert "-part xczu9eg-ffvb1156-2-e" in files["top.tcl"]
