"""Everything about the folder for Vivado that can be checked without it, as one function that raises for what is wrong."""

import fnmatch
import re

from boards.board import REGISTER_BYTES
from isa.registers import REGISTERS, RegisterAccess
from isa.sizes import memory_prefixes
from tb.boards.zynq.vivado.cells import DDR_LOW, INTERRUPTS, PS_PINS
from tb.boards.zynq.vivado.component import Component
from tb.boards.zynq.vivado.design import BlockDesign
from tb.boards.zynq.vivado.run import run_script

REPORTS = ("timing.txt", "utilization.txt", "bittern.bit", "bittern.xsa")


def check_folder(folder, board, chosen):
    """Run ``build.tcl`` to its end and hold it, the constraints and the overlays against the design and each other.

    Parameters
    ----------
    folder : Path
    board : boards.zynq.board.ZynqBoard
    chosen : isa.options.Chosen

    Raises
    ------
    tb.boards.zynq.vivado.run.ScriptError, AssertionError
    """
    calls = run_script(folder / "build.tcl")
    component = Component(calls)
    design = BlockDesign(calls, {component.vlnv: component.cell})
    _check_component(component, chosen)
    _check_build(calls, board, component, design)
    _check_design(board, chosen.config.ports, design, component)
    _check_constraints(calls, design)
    _check_overlays(folder, design)
    for name in REPORTS[:2]:
        assert any(call.options.get("-file", "").endswith(name) for call in calls), f"{name} is not written"
    for name in REPORTS[2:3]:
        assert (folder / name).is_file(), f"{name} is not left in the folder"


def _check_component(component, chosen):
    assert component.registers == [
        (r.name, r.address, "read-write" if r.access is RegisterAccess.WRITE else "read-only") for r in REGISTERS
    ]
    assert component.range == REGISTER_BYTES
    assert max(address for _, address, _ in component.registers) + 4 <= component.range
    masters = memory_prefixes(chosen.config.ports)
    assert component.protocols == {"s_axi_control": "AXI4LITE"} | dict.fromkeys(masters, "AXI4")
    assert component.widths == {"s_axi_control": 32} | dict.fromkeys(masters, chosen.config.port_bits)


def _check_build(calls, board, component, design):
    """One part throughout, the IP is found, the wrapper is the top, constraints are read, the run goes to the bitstream."""
    values = {}
    for call in calls:
        if call.command == "set_property":
            values.setdefault(call.arguments[0], []).append(call.arguments[1])
    assert {c.options["-part"] for c in calls if c.command == "create_project"} == {board.part}
    assert values["board_part"] == [board.board_part]
    assert values["ip_repo_paths"] == [component.folder]
    assert values["top"][-1] == f"{design.name}_wrapper"
    assert values["used_in_synthesis"] == ["false"], "the constraints name cells that synthesis does not see"
    order = [call.command for call in calls]
    assert order.index("update_ip_catalog") < order.index("create_bd_design")
    (launch,) = (call for call in calls if call.command == "launch_runs")
    assert (launch.arguments, launch.options["-to_step"]) == (["impl_1"], "write_bitstream")
    assert order.index("launch_runs") < order.index("wait_on_run") < order.index("open_run")
    kinds = {key for call in calls if call.command == "get_timing_paths" for key in call.options} & {"-setup", "-hold"}
    assert kinds == {"-setup", "-hold"}, "slack is looked at for set-up and for hold"
    (platform,) = (call for call in calls if call.command == "write_hw_platform")
    assert {"-fixed", "-include_bit"} <= set(platform.options)


def _check_design(board, ports, design, component):
    """Registers and memory are where the driver and the overlays look for them; the interrupt goes to the first input."""
    names = {vlnv: name for name, (vlnv, _) in design.settings.items()}
    ours, ps = names[component.vlnv], names["xilinx.com:ip:zynq_ultra_ps_e"]
    assert design.addresses == {
        (f"{ps}/Data", f"{ours}/s_axi_control/reg0"): (board.registers.address, REGISTER_BYTES),
        **{(f"{ours}/{master}", f"{ps}/SAXIGP{2 + port}/HP{port}_DDR_LOW"): (DDR_LOW[0], DDR_LOW[1] + 1)
           for port, master in enumerate(memory_prefixes(ports))},
    }  # fmt: skip
    assert DDR_LOW[0] <= board.memory.address <= sum(board.memory) - 1 <= DDR_LOW[1]
    assert design.driver_of(f"{ps}/pl_ps_irq0") == f"{ours}/{component.interrupt}"
    assert INTERRUPTS["pl_ps_irq0"] == board.interrupt
    settings = design.settings[ps][1]
    widths = {name: value for name, value in settings.items() if name.startswith("PSU__SAXIGP")}
    assert widths == {f"PSU__SAXIGP{2 + port}__DATA_WIDTH": str(board.external.port_bits) for port in range(ports)}
    for port, master in enumerate(memory_prefixes(ports)):
        assert design.slaves_of(f"{ours}/{master}") == {f"{ps}/S_AXI_HP{port}_FPD"}, "each port has a way of its own"
    # Reset: of the processing system, synchronised to the clock of all that it resets.
    reset = names["xilinx.com:ip:proc_sys_reset"]
    assert design.driver_of(f"{reset}/ext_reset_in") == f"{ps}/pl_resetn0"
    assert design.driver_of(f"{ours}/{component.reset}") == f"{reset}/peripheral_aresetn"
    assert design.driver_of(f"{reset}/slowest_sync_clk") == design.driver_of(f"{ours}/{component.clock}") == f"{ps}/pl_clk0"


def _check_constraints(calls, design):
    """Each false path ends at pins that are in the netlist, and the path that leaves the clock has one."""
    ps = next(name for name, (vlnv, _) in design.settings.items() if "zynq_ultra_ps_e" in vlnv)
    pins = [f"{design.name}_i/{ps}/{pin}" for pin in PS_PINS]
    covered = set()
    for call in calls:
        if call.command == "set_false_path":
            pattern = re.search(r'NAME =~ "([^"]+)"', call.options["-to"])
            assert pattern, call
            glob = pattern[1].replace("[", "[[]")  # a bracket stands for itself, only * and ? are wild
            found = fnmatch.filter(pins, glob)
            assert found, f"no pin is called {pattern[1]}"
            covered.update(found)
    assert covered == {f"{design.name}_i/{ps}/inst/PS8_i/PLPSIRQ0[{bit}]" for bit in range(8)}


def _check_overlays(folder, design):
    """Addresses, sizes and interrupt in the device trees are those of the block design."""
    (registers,) = (value for (space, _), value in design.addresses.items() if space.endswith("/Data"))
    (memory,) = {value for (space, _), value in design.addresses.items() if not space.endswith("/Data")}
    overlay, reserved = ((folder / f"bittern{name}.dtso").read_text() for name in ("", "-memory"))
    blocks, (held,) = _regions(overlay), _regions(reserved)
    assert blocks[0] == registers, "map 0 is the registers"
    assert blocks[1] == held, "map 1 is the memory that Linux leaves"
    assert memory[0] <= held[0] <= sum(held) <= sum(memory), "the accelerator reaches it"
    assert held[0] % 4096 == held[1] % 4096 == 0
    for text, (first, _) in ((overlay, registers), (reserved, held)):
        assert f"accelerator@{first:x} " in text, "the unit address is the first address"
    assert re.search(r'reg-names = "registers", "memory";', overlay)
    (interrupt,) = re.findall(r"interrupts = <0 (\d+) (\d+)>;", overlay)
    assert interrupt == (str(INTERRUPTS["pl_ps_irq0"]), "4"), "level high, as the accelerator's is"
    assert 'compatible = "generic-uio"' in overlay
    assert "no-map;" in reserved


def _regions(text):
    """``[(first, size)]`` of the property reg, two cells each."""
    (value,) = re.findall(r"\breg = ([^;]+);", text)
    cells = [[int(cell, 0) for cell in group.split()] for group in re.findall(r"<([^>]+)>", value)]
    assert all(len(group) == 4 for group in cells)
    return [(a << 32 | b, c << 32 | d) for a, b, c, d in cells]
