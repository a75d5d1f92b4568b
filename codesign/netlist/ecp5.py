"""Cells of ECP5, speed grade 6: what depends on what, and how long it takes.

Picoseconds are the slowest of each triple in github.com/YosysHQ/prjtrellis-db, commit 4dda149b9e4f, ECP5/timing/speed_6/
cells.json, the database that nextpnr-ecp5 is built with; behind each number the cell's key in it.
"""

from collections.abc import Iterable

from codesign.netlist.family import Arc, Cell, Driver, Entry, Kind, Loads, always, inputs

_LUT, _LUT_AND_MUX, _MUX_INPUT, _MUX_SELECT = 236, 401, 242, 256  # SLOGICB A0..D1 to F0, to OFX0; FXB, M0 to OFX
_TO_SUM, _TO_NEXT_SUM, _TO_CARRY = 236, 714, 447  # SCCU2C A0 to F0, A0 to F1, A0 to FCO
_CARRY, _CARRY_TO_SUM = 71, (443, 474)  # SCCU2C FCI to FCO, to F0 and F1
_FF_LAUNCH = 525  # SLOGICB CLK to Q0
_FF_SETUP = {"LSR": 424}  # SLOGICB; of D, M and CE it is 0
_LUTS_LAUNCH, _LUTS_SETUP = 929, {"WRE": 392}  # SDPRAME WCK to F1, WRE
_RAM_LAUNCH = {("A", False): 5609, ("A", True): 973, ("B", False): 5830, ("B", True): 956}  # DP16KD CLKA to DOA ..
_RAM_SETUP = {"AD": 251, "DI": 218, "WE": 139, "CS": 20, "OCE": 226, "RST": 579}  # DP16KD
_DSP_THROUGH = {"SIGNEDA": 3728, "SIGNEDB": 3728}  # MULT18X18D:REGS=NONE
_DSP_FACTOR = 3927  # the same, A or B to P

#: Ports of the LUTs of a carry cell and of one alone.
_LUT_PORTS = ("A", "B", "C", "D")
_FIRST, _SECOND = tuple(f"{port}0" for port in _LUT_PORTS), tuple(f"{port}1" for port in _LUT_PORTS)


class Ecp5:
    """`codesign.netlist.family.Family` of ECP5, as Yosys maps to it; multipliers without registers, as it leaves them."""

    outside_launch = float(_FF_LAUNCH)
    outside_setup = 0.0
    clock_tree = float("inf")  # far above what is asked of this family here

    def kind(self, cell: Cell) -> Kind:
        name = cell["type"]
        if name == "CCU2C":
            return Kind.CARRY
        if name in ("DP16KD", "MULT18X18D"):
            return Kind.BLOCK
        if name in ("TRELLIS_DPR16X4",):
            return Kind.LUTS
        if name == "TRELLIS_FF":
            return Kind.REGISTER
        return Kind.LOGIC

    def arcs(self, cell: Cell, port: str, index: int) -> Iterable[Arc]:
        name = cell["type"]
        if name == "LUT4":
            return [Arc(bit, pin, i, 1, always(_LUT)) for bit, pin, i in inputs(cell, _LUT_PORTS)]
        if name in ("PFUMX", "L6MUX21"):
            # A LUT and the multiplexer behind it take less than the two one by one.
            data = _LUT_AND_MUX - _LUT if name == "PFUMX" else _MUX_INPUT
            ports = {"ALUT": data, "BLUT": data, "D0": data, "D1": data, "C0": _MUX_SELECT, "SD": _MUX_SELECT}
            return [Arc(bit, pin, i, 0, always(ports[pin])) for bit, pin, i in inputs(cell, ports)]
        if name == "CCU2C":
            return _carry(cell, port)
        if name == "TRELLIS_DPR16X4":
            return [Arc(bit, pin, i, 1, always(_LUT)) for bit, pin, i in inputs(cell, ("RAD",))]
        if name == "MULT18X18D":
            return [
                Arc(bit, key, 0, 1, always(_DSP_THROUGH.get(key, _DSP_FACTOR)))
                for key, way in cell["port_directions"].items()
                if way == "input" and (key.startswith("SIGNED") or (key[0] in "AB" and key[1:].isdigit()))
                for bit in cell["connections"][key]
            ]
        return []

    def launch(self, cell: Cell, port: str, index: int) -> float | None:
        name = cell["type"]
        if name == "TRELLIS_FF":
            return _FF_LAUNCH
        if name == "TRELLIS_DPR16X4":
            return _LUTS_LAUNCH
        if name == "DP16KD":
            side = port[2]
            return _RAM_LAUNCH[side, cell["parameters"].get(f"REGMODE_{side}") == "OUTREG"]
        return None

    def setup(self, cell: Cell, port: str) -> float | None:
        name = cell["type"]
        if name == "TRELLIS_FF":
            return None if port == "CLK" else _FF_SETUP.get(port, 0)
        if name == "TRELLIS_DPR16X4":
            return None if port in ("RAD", "WCK") else _LUTS_SETUP.get(port, 0)
        if name == "DP16KD" and not port.startswith("CLK"):
            return next((ps for start, ps in _RAM_SETUP.items() if port.startswith(start)), 0)
        return None

    def entry(self, driver: Driver | None, loads: Loads, cell: Cell, port: str, index: int) -> Entry:
        name, source = cell["type"], None if driver is None else driver.cell["type"]
        own = (
            (source == "CCU2C" and name == "CCU2C" and port == "CIN")
            or (source == "LUT4" and name == "PFUMX" and port != "C0")
            or (source in ("PFUMX", "L6MUX21") and name == "L6MUX21" and port != "SD")
            # The one register behind a LUT is placed with it.
            or (
                name == "TRELLIS_FF" and port == "DI" and loads.data == 1 and source in ("LUT4", "PFUMX", "L6MUX21", "CCU2C")
            )
        )
        return Entry(always(0), routed=not own)

    def is_data(self, cell: Cell, port: str) -> bool:
        return cell["type"] == "TRELLIS_FF" and port == "DI"

    def limit(self, cell: Cell) -> float | None:
        return None


def _carry(cell, port):
    carry = [Arc(bit, pin, i, 0, always(_CARRY)) for bit, pin, i in inputs(cell, ("CIN",))]
    if port == "COUT":
        return carry + [Arc(bit, pin, i, 1, always(_TO_CARRY)) for bit, pin, i in inputs(cell, _FIRST + _SECOND)]
    second = port == "S1"
    found = [Arc(bit, pin, i, 0, always(_CARRY_TO_SUM[second])) for bit, pin, i in inputs(cell, ("CIN",))]
    found += [Arc(bit, pin, i, 1, always(_TO_SUM)) for bit, pin, i in inputs(cell, _SECOND if second else _FIRST)]
    if second:
        found += [Arc(bit, pin, i, 1, always(_TO_NEXT_SUM)) for bit, pin, i in inputs(cell, _FIRST)]
    return found
