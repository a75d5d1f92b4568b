"""The scripts for Vivado, run to their end against a stub that knows its commands; and that the checks would tell."""

import shutil

import pytest

from boards.zcu102.record import BOARD
from tb.boards.zynq.conftest import TINY
from tb.boards.zynq.vivado import run
from tb.boards.zynq.vivado.checks import check_folder
from tb.boards.zynq.vivado.run import ScriptError, needs_tcl, run_script

pytestmark = needs_tcl


@pytest.fixture
def copy(tiny_folder, tmp_path):
    shutil.copytree(tiny_folder, tmp_path / "copy")
    return tmp_path / "copy"


def test_the_scripts_run_and_all_that_they_name_exists(copy):
    check_folder(copy, BOARD, TINY)


def test_python_s_own_tcl_records_the_same(copy, monkeypatch):
    pytest.importorskip("tkinter", reason="this Python has no tkinter")
    calls = run_script(copy / "build.tcl")
    monkeypatch.setattr(run, "interpreter", lambda: run.EMBEDDED)
    shutil.rmtree(copy / "project")
    assert run_script(copy / "build.tcl") == calls
    with pytest.raises(ScriptError, match="timing is not met"):
        run_script(copy / "build.tcl", SLACK="-0.25")


def test_a_build_that_misses_its_clock_or_does_not_finish_fails(copy):
    with pytest.raises(ScriptError, match=r"timing is not met at 150 MHz: slack -0.25 ns.*lower --clock"):
        run_script(copy / "build.tcl", SLACK="-0.25")
    assert (copy / "bittern.bit").exists(), "what was built is there all the same"
    with pytest.raises(ScriptError, match="implementation did not finish; see project"):
        run_script(copy / "build.tcl", PROGRESS="60%")


#: File, what is there, what is put in its place, and what is said then.
WRONG = {
    "a command that is none": ("block_design.tcl", "validate_bd_design", "check_bd_design", "invalid command name"),
    "an option that is none": ("build.tcl", "-to_step", "-until", "launch_runs: unknown or ambiguous option -until"),
    "an option without its value": (
        "build.tcl", "impl_1 -to_step write_bitstream -jobs 4", "impl_1 -to_step", "needs a value"
    ),
    "a property that is none": (
        "package_ip.tcl", "set_property usage", "set_property purpose", "has no property purpose"
    ),
    "a value that is none": ("package_ip.tcl", "usage register", "usage registers", "cannot be {registers}"),
    "too many arguments": ("block_design.tcl", "save_bd_design", "save_bd_design a b", "too many arguments: b"),
    "an argument too few": (
        "block_design.tcl", "get_bd_pins ps/pl_resetn0] ", "get_bd_pins ps/pl_resetn0]] #[", "missing"
    ),
    "an object of another class": (
        "block_design.tcl", "get_bd_intf_pins control/S00_AXI", "get_bd_pins control/S00_AXI", "must be bd_intf_pin"
    ),
    "a file that is not there": ("package_ip.tcl", "hdl/ultrascale", "hdl/optimised", "must be file"),
    "a project that is still open": ("package_ip.tcl", "close_project", "", "a project is open"),
    "a netlist that is not open": ("build.tcl", "open_run impl_1", "", "no open netlist"),
    "a run that does not write the bitstream": (
        "build.tcl", "-to_step write_bitstream", "-to_step route_design", "bittern_wrapper.bit"
    ),
    "tcl in a constraints file": (
        "bittern.xdc", "set_property BIT", "foreach a b {}\nset_property BIT", "bittern.xdc: invalid command"
    ),
    "a port that is none": (
        "package_ip.tcl", "bus_interface irq", "bus_interface interrupt", "there is no port interrupt"
    ),
    "clock and reset exchanged": (
        "package_ip.tcl", "aclk xilinx.com:signal:clock", "aresetn xilinx.com:signal:clock", ""
    ),
    "a bus without a clock": (
        "package_ip.tcl", "ipx::associate_bus_interfaces -busif m_axi_memory1 -clock aclk $core", "",
        "is associated with the clock"
    ),
    "a reset of the other polarity": ("package_ip.tcl", "ACTIVE_LOW", "ACTIVE_HIGH", "ACTIVE_HIGH"),
    "a register at a wrong address": ("package_ip.tcl", "status 0x00C", "status 0x010", ""),
    "a register that may be written": ("package_ip.tcl", "status 0x00C read-only", "status 0x00C read-write", ""),
    "a register that is left out": ("package_ip.tcl", "    watchdog 0x044 read-write\n", "", ""),
    "a memory map that nobody refers to": (
        "package_ip.tcl", "set_property slave_memory_map_ref s_axi_control", "set_property slave_memory_map_ref other",
        "refers to the map"
    ),
    "a range too small": ("package_ip.tcl", "range 4096", "range 256", ""),
    "a top that is another module": (
        "package_ip.tcl", "set_property top bittern", "set_property top bitterns", "there is no module"
    ),
    "another IP": (
        "block_design.tcl", "bittern:accelerator:bittern:1.0", "bittern:accelerator:bittern:2.0", "there is no IP"
    ),
    "a pin of the accelerator that is none": (
        "block_design.tcl", "accelerator/irq", "accelerator/interrupt", "has no interrupt"
    ),
    "a pin of the system that is none": ("block_design.tcl", "ps/pl_ps_irq0", "ps/pl_ps_irq2", "has no pl_ps_irq2"),
    "a port that is not switched on": ("block_design.tcl", "S_AXI_GP2 {1}", "S_AXI_GP2 {0}", "has no"),
    "a port that is on and open": (
        "block_design.tcl", "CONFIG.PSU__USE__M_AXI_GP1 {0}", "CONFIG.PSU__USE__M_AXI_GP1 {1}", "is open"
    ),
    "a setting that is none": ("block_design.tcl", "PSU__USE__IRQ0", "PSU__USE__IRQ", "has no setting"),
    "the preset after the settings": (
        "block_design.tcl", "save_bd_design",
        'apply_bd_automation -rule xilinx.com:bd_rule:zynq_ultra_ps_e -config {apply_board_preset "1"} $ps\nsave_bd_design',
        "overwrite"
    ),
    "a clock left out": ("block_design.tcl", "[get_bd_pins memory0/aclk]", "", "memory0/aclk is open"),
    "a reset left out": ("block_design.tcl", " [get_bd_pins accelerator/aresetn]", "", "accelerator/aresetn is open"),
    "two drivers": ("block_design.tcl", "[get_bd_pins reset/ext_reset_in]", "[get_bd_pins ps/pl_clk0]", "one driver"),
    "a reset that is not synchronised": ("block_design.tcl", "reset/peripheral_aresetn", "ps/pl_resetn0", ""),
    "an interrupt that goes nowhere": (
        "block_design.tcl", "connect_bd_net [get_bd_pins accelerator/irq] [get_bd_pins ps/pl_ps_irq0]", "", ""
    ),
    "master to master": ("block_design.tcl", "memory0/S00_AXI", "memory0/M00_AXI", "master and slave"),
    "the wrong port of the system": ("block_design.tcl", "HP0_DDR_LOW", "HP1_DDR_LOW", "there is no address segment"),
    "registers where no master is": ("block_design.tcl", "-offset 0xA0000000", "-offset 0xC0000000", "outside what"),
    "registers where the driver does not look": ("block_design.tcl", "-offset 0xA0000000", "-offset 0xA0010000", ""),
    "a mapping larger than the registers": ("block_design.tcl", "-range 4096", "-range 8192", "has 4096 bytes"),
    "memory not at its own address": (
        "block_design.tcl", "-offset 0x0 ", "-offset 0x80000000 ", "not at its own address"
    ),
    "two masters at one port": (
        "block_design.tcl", "memory1/M00_AXI] [get_bd_intf_pins ps/S_AXI_HP1",
        "memory1/M00_AXI] [get_bd_intf_pins ps/S_AXI_HP0", "is connected twice"
    ),
    "ports exchanged": ("block_design.tcl", "ps/S_AXI_HP1_FPD", "ps/S_AXI_HP2_FPD", ""),
    "a port without addresses": (
        "block_design.tcl", "get_bd_addr_spaces accelerator/m_axi_memory1",
        "get_bd_addr_spaces accelerator/m_axi_memory0", ""
    ),
    "a narrower port": ("block_design.tcl", "DATA_WIDTH {128}", "DATA_WIDTH {64}", ""),
    "another part": ("build.tcl", "xczu9eg-ffvb1156-2-e", "xczu7ev-ffvc1156-2-e", ""),
    "IP that is not found": ("build.tcl", "$here ip]", "$here ips]", "there is no folder"),
    "hold that nobody looks at": ("build.tcl", "-nworst 1 -hold", "-nworst 1 -setup", "set-up and for hold"),
    "constraints that synthesis trips over": (
        "build.tcl", "set_property used_in_synthesis false", "set_property used_in_synthesis true", ""
    ),
    "constraints that are not read": ("build.tcl", "add_files -fileset constrs_1", "add_files -fileset sources_1", ""),
    "no false path": ("bittern.xdc", "set_false_path", "# set_false_path", ""),
    "a false path to nothing": ("bittern.xdc", "PLPSIRQ0", "PLPSIRQ", "no pin is called"),
    "a false path to too much": ("bittern.xdc", "PLPSIRQ0[*]", "PLPSIRQ*", ""),
    "registers elsewhere in the overlay": (
        "bittern.dtso", "0xa0000000 0x0 0x1000", "0xa0010000 0x0 0x1000", "map 0 is the registers"
    ),
    "another interrupt in the overlay": ("bittern.dtso", "interrupts = <0 89 4>", "interrupts = <0 90 4>", ""),
    "an edge in the overlay": ("bittern.dtso", "interrupts = <0 89 4>", "interrupts = <0 89 1>", ""),
    "other memory reserved": ("bittern-memory.dtso", "0x70000000", "0x60000000", "map 1 is the memory"),
    "memory that Linux uses as well": ("bittern-memory.dtso", "no-map;", "", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told(copy, name):
    file, there, instead, message = WRONG[name]
    text = (copy / file).read_text()
    assert there in text, "nothing is changed"
    (copy / file).write_text(text.replace(there, instead))
    with pytest.raises((ScriptError, AssertionError)) as caught:
        check_folder(copy, BOARD, TINY)
    assert message in str(caught.value)
