"""Pins of the cells in the block design, by their configuration: what IP the scripts may connect, and how.

PG201 (Zynq UltraScale+ Processing System), PG247 (SmartConnect), PG164 (Processor System Reset); addresses are of UG1085,
chapter "System addresses", and interrupts of its chapter "Interrupts".
"""

from dataclasses import dataclass, field

IN, OUT, MASTER, SLAVE = "in", "out", "master", "slave"
#: Name of an interface at the fabric, its master's or slave's number, its clock, its segments and window of addresses.
_MASTERS = {
    "M_AXI_HPM0_FPD": (0, "maxihpm0_fpd_aclk", (0xA000_0000, 0xAFFF_FFFF)),
    "M_AXI_HPM1_FPD": (1, "maxihpm1_fpd_aclk", (0xB000_0000, 0xBFFF_FFFF)),
    "M_AXI_HPM0_LPD": (2, "maxihpm0_lpd_aclk", (0x8000_0000, 0x9FFF_FFFF)),
}
_SLAVES = {
    "S_AXI_HPC0_FPD": (0, "saxihpc0_fpd_aclk", "HPC0"), "S_AXI_HPC1_FPD": (1, "saxihpc1_fpd_aclk", "HPC1"),
    "S_AXI_HP0_FPD": (2, "saxihp0_fpd_aclk", "HP0"), "S_AXI_HP1_FPD": (3, "saxihp1_fpd_aclk", "HP1"),
    "S_AXI_HP2_FPD": (4, "saxihp2_fpd_aclk", "HP2"), "S_AXI_HP3_FPD": (5, "saxihp3_fpd_aclk", "HP3"),
    "S_AXI_LPD": (6, "saxi_lpd_aclk", "LPD"),
}  # fmt: skip
#: What the board's preset sets, as far as it matters here.
_BOARD = {"PSU__USE__M_AXI_GP0": "1", "PSU__USE__M_AXI_GP1": "1", "PSU__USE__IRQ0": "1", "PSU__FPGA_PL0_ENABLE": "1"}
#: Values that a setting may have.
_WIDTHS = {"32", "64", "128"}
_FLAGS = {"0", "1"}
PS_SETTINGS = (
    {f"PSU__USE__M_AXI_GP{n}": _FLAGS for n in range(3)}
    | {f"PSU__MAXIGP{n}__DATA_WIDTH": _WIDTHS for n in range(3)}
    | {f"PSU__USE__S_AXI_GP{n}": _FLAGS for n in range(7)}
    | {f"PSU__SAXIGP{n}__DATA_WIDTH": _WIDTHS for n in range(7)}
    | {f"PSU__USE__IRQ{n}": _FLAGS for n in range(2)}
    | {f"PSU__FPGA_PL{n}_ENABLE": _FLAGS for n in range(4)}
    | {f"PSU__CRL_APB__PL{n}_REF_CTRL__FREQMHZ": None for n in range(4)}  # a frequency
)
#: First of the eight interrupts of pl_ps_irq0 and of pl_ps_irq1, as the devicetree counts shared ones.
INTERRUPTS = {"pl_ps_irq0": 121 - 32, "pl_ps_irq1": 136 - 32}
#: DDR as a high-performance port sees its lower part.
DDR_LOW = (0, 0x7FFF_FFFF)
#: Instance of the hard block in the processing system's IP, and its pins that constraints may name.
PS_PINS = tuple(f"inst/PS8_i/PLPSIRQ{n}[{bit}]" for n in range(2) for bit in range(8))


@dataclass
class Cell:
    """``pins`` by name: direction; ``interfaces`` by name: (master or slave, name of its clock pin).

    ``spaces`` are the address spaces of masters, by name: window (first, last); ``segments`` those of slaves, as
    interface/segment: the same. Inputs in ``optional`` may be left open.
    """

    pins: dict
    interfaces: dict = field(default_factory=dict)
    spaces: dict = field(default_factory=dict)
    segments: dict = field(default_factory=dict)
    optional: set = field(default_factory=set)


def processing_system(settings):
    """``xilinx.com:ip:zynq_ultra_ps_e`` with these settings, CONFIG. taken off, on top of the board's preset."""
    for name, value in settings.items():
        assert name in PS_SETTINGS, f"the processing system has no setting {name}"
        allowed = PS_SETTINGS[name]
        assert value in allowed if allowed else 0 < float(value) <= 667, f"{name} cannot be {value}"
    on = {name for name, value in (_BOARD | settings).items() if value == "1"}
    cell = Cell({})
    for n in range(4):
        if f"PSU__FPGA_PL{n}_ENABLE" in on:
            cell.pins[f"pl_clk{n}"] = OUT
    cell.pins["pl_resetn0"] = OUT
    for n in range(2):
        if f"PSU__USE__IRQ{n}" in on:
            cell.pins[f"pl_ps_irq{n}"] = IN
            cell.optional.add(f"pl_ps_irq{n}")
    for name, (number, clock, window) in _MASTERS.items():
        if f"PSU__USE__M_AXI_GP{number}" in on:
            cell.interfaces[name] = (MASTER, clock)
            cell.pins[clock] = IN
            cell.spaces.setdefault("Data", {})[name] = window
    for name, (number, clock, segment) in _SLAVES.items():
        if f"PSU__USE__S_AXI_GP{number}" in on:
            cell.interfaces[name] = (SLAVE, clock)
            cell.pins[clock] = IN
            cell.segments[f"SAXIGP{number}/{segment}_DDR_LOW"] = (name, DDR_LOW)
    return cell


def smartconnect(settings):
    """``xilinx.com:ip:smartconnect``: NUM_SI slaves, NUM_MI masters and NUM_CLKS clocks."""
    assert set(settings) <= {"NUM_SI", "NUM_MI", "NUM_CLKS"}, settings
    slaves, masters, clocks = (int(settings.get(name, n)) for name, n in (("NUM_SI", 2), ("NUM_MI", 1), ("NUM_CLKS", 1)))
    assert 1 <= slaves <= 16, slaves
    assert 1 <= masters <= 16, masters
    return Cell(
        pins={"aresetn": IN, "aclk": IN, **{f"aclk{n}": IN for n in range(1, clocks)}},
        interfaces={
            **{f"S{n:02}_AXI": (SLAVE, "aclk") for n in range(slaves)},
            **{f"M{n:02}_AXI": (MASTER, "aclk") for n in range(masters)},
        },
    )


def system_reset(settings):
    """``xilinx.com:ip:proc_sys_reset``."""
    assert not settings, settings
    inputs = dict.fromkeys(["slowest_sync_clk", "ext_reset_in", "aux_reset_in", "mb_debug_sys_rst", "dcm_locked"], IN)
    outputs = ["mb_reset", "bus_struct_reset", "peripheral_reset", "interconnect_aresetn", "peripheral_aresetn"]
    return Cell({**inputs, **dict.fromkeys(outputs, OUT)}, optional={"aux_reset_in", "mb_debug_sys_rst", "dcm_locked"})


VENDOR_CELLS = {
    "xilinx.com:ip:zynq_ultra_ps_e": processing_system,
    "xilinx.com:ip:smartconnect": smartconnect,
    "xilinx.com:ip:proc_sys_reset": system_reset,
}
