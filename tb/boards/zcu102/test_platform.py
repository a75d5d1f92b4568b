"""The ZCU102 as an Amaranth platform, and the design that shows that its clock and pins work."""

import re

import pytest
from amaranth.sim import Simulator

from boards.zcu102.platform import BUTTONS, STEPS, Lights, Smoke, ZCU102Platform
from tb.boards.zynq.vivado.component import ports_of
from tb.boards.zynq.vivado.run import ScriptError, needs_tcl, run_script
from tb.boards.zynq.vivado.verilog import elaborate

#: Of UG1182, tables 3-30 to 3-33; the vendor's own constraints file names the same.
PINS = {
    "clk125_0__p": "G21", "clk125_0__n": "F21", "uart_0__rx__io": "E13", "uart_0__tx__io": "F13",
    "button_reset_0__io": "AM13",
    **{f"led_{n}__io": pin for n, pin in enumerate("AG14 AF13 AE13 AJ14 AJ15 AH13 AH14 AL12".split())},
    **{f"switch_{n}__io": pin for n, pin in enumerate("AN14 AP14 AM14 AN13 AN12 AP12 AL13 AK13".split())},
    **{f"button_{BUTTONS.index(name)}__io": pin for name, pin in {
        "north": "AG15", "east": "AE14", "west": "AF15", "south": "AE15", "centre": "AG13"}.items()},
}  # fmt: skip
#: What of the chip the platform instantiates: ports only.
MODELS = """
module BUFGCE(input I, CE, output O); parameter SIM_DEVICE = ""; endmodule
module IBUF(input I, output O); endmodule
module OBUFT(input I, T, output O); endmodule
module IBUFDS(input I, IB, output O); endmodule
module STARTUPE3(output EOS); endmodule
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Folder with what the platform writes."""
    folder = tmp_path_factory.mktemp("smoke")
    for name, content in ZCU102Platform().build(Smoke(), do_build=False).files.items():  # type: ignore[func-returns-value]
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def synchronizers(text):
    """Registers that the platform marks for a false path: those right behind a pin."""
    marked = r'\(\* \\amaranth\.vivado\.false_path  = "TRUE" \*\)\n  reg (?:\[\d+:0\] )?(\w+)'
    modules = re.finditer(r"^module \\?(?:top\.)?(\S+) \(.*?^endmodule", text, re.MULTILINE | re.DOTALL)
    return [f"{module[1]}/{register}_reg" for module in modules for register in re.findall(marked, module[0])]


def test_every_port_has_its_pin_and_every_pin_its_level(files):
    text = (files / "top.xdc").read_text()
    found = {port: pin for pin, port in re.findall(r'set_property LOC (\w+) \[get_ports "(\w+)"\]', text)}
    assert found == PINS
    levels = {port: level for level, port in re.findall(r'set_property IOSTANDARD "(\w+)" \[get_ports "(\w+)"\]', text)}
    assert levels == {port: "LVDS_25" if port.startswith("clk125") else "LVCMOS33" for port in PINS}
    assert set(PINS) == set(ports_of((files / "top.v").read_text(), "top"))


def test_the_design_is_whole(files):
    assert "top.lights" in elaborate("top", (files / "top.v").read_text(), MODELS)


@needs_tcl
def test_the_scripts_run_to_a_bitstream_and_the_synchronizers_have_false_paths(files):
    cells = synchronizers((files / "top.v").read_text())
    assert sorted(cells) == [f"{name}_synchronizer/stage0_reg" for name in ("buttons", "receive", "reset", "switches")]
    calls = run_script(files / "top.tcl", false_path=" ".join(cells))
    assert [c.options["-to"] for c in calls if c.command == "set_false_path"] == [f"cell:{cell}" for cell in cells]
    (clock,) = (call for call in calls if call.command == "create_clock")
    assert float(clock.options["-period"]) == 8.0
    (project,) = (call for call in calls if call.command == "create_project")
    assert project.options["-part"] == "xczu9eg-ffvb1156-2-e"
    assert (files / "top.bit").exists()
    (files / "top.xdc").write_text((files / "top.xdc").read_text().replace("LOC G21", "LOC 21"))
    with pytest.raises(ScriptError, match="LOC of a port cannot be"):
        run_script(files / "top.tcl")


def test_buttons_and_switches_can_be_seen_on_the_lights():
    dut = Lights(4 * STEPS)  # four cycles a step
    assert dut.period == 4
    north, east, south, west, centre = (1 << BUTTONS.index(name) for name in ("north", "east", "south", "west", "centre"))

    async def bench(ctx):
        async def steps(cycles, pressed=0):
            ctx.set(dut.buttons, pressed)
            before = ctx.get(dut.leds)
            await ctx.tick().repeat(cycles)
            ctx.set(dut.buttons, 0)
            return (ctx.get(dut.leds) - before + 128) % 256 - 128

        assert await steps(40) == 10
        assert await steps(40, centre) == 0
        assert await steps(1, south) in (-1, 0, 1)
        assert await steps(40) == -10
        await steps(1, north | west)
        assert await steps(80) == 10
        await steps(1, east)
        await steps(8)  # the step that began slowly
        assert await steps(40) == 10
        ctx.set(dut.switches, 0xA5)
        ctx.set(dut.reset, 1)
        await ctx.tick().repeat(9)
        assert ctx.get(dut.leds) == 0xA5

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def test_a_clock_that_is_too_slow_for_the_lights_is_refused():
    with pytest.raises(ValueError, match="at least 16 Hz, not 15"):
        Lights(15)
