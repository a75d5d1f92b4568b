"""Cells of UltraScale+: what depends on what, and how long it takes.

Picoseconds are those of RapidWright's delay model v0.5, read in github.com/Xilinx/RapidWright (Apache 2.0), commit
325baa006242: timing/ultrascaleplus/intrasite_delay_terms.txt ("intra", with lines) and intersite_delay_terms.txt
("inter"); those of the multiplier in tcl/rwroute/test_data/dump_all_dsp_delay/ of commit 492fa3fd50c5 ("dsp"). The files
name no speed grade. A product of two registered factors takes 1.62 ns there, and DS925 allows it 1.57 ns at -3, 1.84 at -2
and 2.19 at -1: the figures are taken as -2's.

MHz are of DS925 v1.30 (2026-07-09), -2 at 0.85 V.
"""

from collections.abc import Iterable
from statistics import fmean

from codesign.netlist.family import Arc, Cell, Delays, Driver, Entry, Kind, Loads, always, inputs, number

_WIDE = ("MUXF7", "MUXF8", "MUXF9")
_CARRY = ("CARRY4", "CARRY8")

#: Inputs A6, A5 .. A1 to O6 and A5 .. A1 to O5 (intra 371-376, 396-400), and from the routing to them (inter 8-13).
_LUT = (35, 50, 90, 100, 125, 150)
_LUT5 = (70, 100, 115, 140, 165)
_LUT_PIN = (43, 44, 44, 48, 53, 74)
#: S0 .. S7 and DI0 .. DI7 to O0 .. O7 and to CO0 .. CO7, one chain of eight (intra 484-634); 0: no such path.
_S_O = ((65, 96, 134, 139, 206, 240, 226, 241), (0, 56, 117, 123, 204, 237, 224, 238), (0, 0, 58, 86, 167, 200, 188, 202),
        (0, 0, 0, 61, 149, 184, 172, 187), (0, 0, 0, 0, 63, 95, 129, 137), (0, 0, 0, 0, 0, 58, 131, 138),
        (0, 0, 0, 0, 0, 0, 56, 85), (0, 0, 0, 0, 0, 0, 0, 56))  # fmt: skip
_S_CO = ((71, 109, 115, 186, 216, 201, 217, 199), (0, 91, 98, 184, 213, 199, 214, 197), (0, 0, 63, 148, 176, 162, 177, 168),
         (0, 0, 0, 133, 159, 146, 162, 170), (0, 0, 0, 0, 70, 103, 113, 163), (0, 0, 0, 0, 0, 105, 113, 166),
         (0, 0, 0, 0, 0, 0, 61, 124), (0, 0, 0, 0, 0, 0, 0, 124))  # fmt: skip
_DI_O = ((0, 81, 109, 115, 178, 208, 196, 211), (0, 0, 99, 102, 162, 196, 183, 198), (0, 0, 0, 94, 150, 186, 174, 188),
         (0, 0, 0, 0, 147, 182, 170, 185), (0, 0, 0, 0, 0, 84, 115, 123), (0, 0, 0, 0, 0, 0, 102, 107),
         (0, 0, 0, 0, 0, 0, 0, 93), (0, 0, 0, 0, 0, 0, 0, 0))  # fmt: skip
_DI_CO = ((57, 83, 90, 182, 184, 170, 186, 140), (0, 73, 78, 144, 172, 158, 173, 127), (0, 0, 69, 134, 160, 148, 163, 117),
          (0, 0, 0, 131, 157, 144, 160, 113), (0, 0, 0, 0, 59, 87, 98, 100), (0, 0, 0, 0, 0, 74, 82, 95),
          (0, 0, 0, 0, 0, 0, 69, 67), (0, 0, 0, 0, 0, 0, 0, 60))  # fmt: skip
#: The carry of the slice below (intra 450-465), and one from the routing through AX (intra 434-449).
_CI_O, _CI_CO = (56, 76, 67, 82, 86, 116, 103, 116), (52, 42, 57, 60, 92, 77, 92, 23)
_AX_O, _AX_CO = (110, 132, 131, 135, 193, 228, 216, 231), (107, 105, 110, 177, 203, 191, 206, 160)
#: From a slice's carry to the next one's: wire and entry (intra 63, 213).
_NEXT_SLICE = 20 + 26
#: A CARRY4 is half a CARRY8: what it adds to a long chain.
_HALF = (_CI_CO[7] + _NEXT_SLICE) / 2
_LUT_TO_S, _LUT_TO_MUX, _MUX = 15, 25, 70  # intra 222, 185, 366
_MUX_SELECT = 77  # intra 365
_AX_PIN, _FF_FROM_PIN = 65, 100  # inter 15, 27
_LUT_TO_FF, _CARRY_TO_FF, _MUX_TO_FF = 50, 25, 32  # intra 171, 250, 187
_CARRY_OUT = 30  # intra 242: to the routing
_CONTROL_PIN = 5  # inter 16-21: enables and resets
_FF_LAUNCH, _FF_SETUP = 77, -25  # intra 412, 413: data may come after the clock
_LUTS_LAUNCH = 312  # intra 384
_LUTS_SETUP = {"data": 81, "write": 180, "address": 117}  # intra 387, 383, 377
_RAM_LAUNCH = {("A", 0): 1003, ("A", 1): 220, ("B", 0): 992, ("B", 1): 229}  # intra 648-803, the slowest bit of each
_RAM_SETUP = {"ADDR": 383, "DIN": 313, "WE": 394, "EN": 342, "REGCE": 233, "RST": 313}  # intra 811-1120
_URAM_LAUNCH = {("A", False): 1292, ("A", True): 326, ("B", False): 2059, ("B", True): 350}  # intra 1130 on
_URAM_SETUP = {False: 571, True: 313}  # without and with registers before the memory
_DSP_INPUT = {True: 300, False: 1440}  # dsp: to the input register; through to the output register
_DSP_LAUNCH = {True: 280, False: 1620}  # dsp: from the output register; from the input registers through the multiplier
_DSP_THROUGH = {"A": 1510, "B": 1560}  # dsp: without any register
_DSP_ENABLE = 220  # dsp: CEP; CEA2 is 160
_DSP_MHZ = {True: 775, False: 544}  # DS925: all registers used, no register behind the multiplier
#: Of enables and resets, and from the routing into a block: nobody publishes them. Judged.
_CONTROL_SETUP, _BLOCK_PIN = 50, 45


def _lut(size: int, spare: bool) -> tuple[Delays, Delays]:
    """Delay of a LUT of ``size`` inputs, and from the routing to it. Whoever places it gives the latest net the fastest
    pin (optimistic); nets come at the same time, the mean of as many pins (middle); the latest has the slowest pin of
    those, of the half that is slower if the LUT may share a site (pessimistic)."""
    slowest = _LUT5[size - 1] if spare and size <= len(_LUT5) else _LUT[size - 1]
    return (_LUT[0], fmean(_LUT[:size]), slowest), (_LUT_PIN[0], fmean(_LUT_PIN[:size]), _LUT_PIN[size - 1])


_LUTS = {size: _lut(size, spare=True) for size in range(1, 7)}
_LUT6_2 = {"O5": ((_LUT5[0], fmean(_LUT5), _LUT5[-1]), _LUTS[5][1]), "O6": _lut(6, spare=False)}


class UltrascalePlus:
    """`codesign.netlist.family.Family` of UltraScale+, as Yosys maps to it."""

    outside_launch = float(_FF_LAUNCH)
    outside_setup = float(_FF_SETUP)
    clock_tree = 775.0

    def kind(self, cell: Cell) -> Kind:
        name = cell["type"]
        if name.startswith(("LUT", "BUFG")) or name == "INV" or name in _WIDE:
            return Kind.LOGIC
        if name in _CARRY:
            return Kind.CARRY
        if name.startswith(("RAMB", "DSP48", "URAM")):
            return Kind.BLOCK
        if name.startswith(("RAM", "SRL")):
            return Kind.LUTS
        return Kind.REGISTER if name.startswith("FD") else Kind.UNIT

    def arcs(self, cell: Cell, port: str, index: int) -> Iterable[Arc]:
        kind, name = self.kind(cell), cell["type"]
        if kind is Kind.LOGIC:
            if name == "LUT6_2":
                used = (f"I{k}" for k in range(6) if _depends(cell, port, k))
                return [Arc(bit, pin, i, 1, _LUT6_2[port][0]) for bit, pin, i in inputs(cell, used)]
            if name in _WIDE:
                return [
                    Arc(bit, pin, i, 0, always(_MUX_SELECT if pin == "S" else _MUX))
                    for bit, pin, i in inputs(cell, ("I0", "I1", "S"))
                ]
            if name.startswith("BUFG"):
                return [Arc(bit, pin, i, 0, always(0)) for bit, pin, i in inputs(cell, ("I",))]
            ports = [port for port, way in cell["port_directions"].items() if way == "input"]
            return [Arc(bit, pin, i, 1, _LUTS[len(ports)][0]) for bit, pin, i in inputs(cell, ports)]
        if kind is Kind.CARRY:
            return _carry(cell, port, index)
        if kind is Kind.LUTS:
            return [Arc(bit, pin, i, 1, _LUTS[6][0]) for bit, pin, i in inputs(cell, _read_address(cell, port))]
        if name.startswith("DSP48") and not number(cell, "PREG"):
            open_ports = [port for port in ("A", "B", "C") if not _registered(cell, port)]
            return [
                Arc(bit, pin, i, 1, always(_DSP_THROUGH.get(pin, _DSP_THROUGH["A"])))
                for bit, pin, i in inputs(cell, open_ports)
            ]
        return []

    def launch(self, cell: Cell, port: str, index: int) -> float | None:
        kind, name = self.kind(cell), cell["type"]
        if kind is Kind.REGISTER:
            return _FF_LAUNCH
        if kind is Kind.LUTS:
            return _LUTS_LAUNCH
        if kind is not Kind.BLOCK:
            return None
        if name.startswith("RAMB"):
            side = "B" if "BDOUT" in port or "BDOUTP" in port else "A"
            return _RAM_LAUNCH[side, number(cell, f"DO{side}_REG")]
        if name.startswith("URAM"):
            side = port[-1] if port[-1] in "AB" else "A"
            return _URAM_LAUNCH[side, _is_true(cell, f"OREG_ECC_{side}")]
        if number(cell, "PREG"):
            return _DSP_LAUNCH[True]
        return _DSP_LAUNCH[False] if any(_registered(cell, port) for port in ("A", "B", "M")) else None

    def setup(self, cell: Cell, port: str) -> float | None:
        kind, name = self.kind(cell), cell["type"]
        if port in _CLOCK_PORTS:
            return None
        if kind is Kind.REGISTER:
            return _FF_SETUP if port == "D" else _CONTROL_SETUP
        if kind is Kind.LUTS:
            if name.startswith("SRL"):
                return {"D": _LUTS_SETUP["data"], "CE": _LUTS_SETUP["write"]}.get(port)
            if port in ("WE", "WCE"):
                return _LUTS_SETUP["write"]
            return _LUTS_SETUP["data" if port.startswith("D") and not port.startswith("DPRA") else "address"]
        if name.startswith("RAMB"):
            return next((ps for start, ps in _RAM_SETUP.items() if port.startswith(start)), _RAM_SETUP["WE"])
        if name.startswith("URAM"):
            return _URAM_SETUP[_is_true(cell, f"IREG_PRE_{port[-1]}")]
        if name.startswith("DSP48"):
            if port.startswith("CE"):
                return _DSP_ENABLE
            if port in ("A", "B", "C") and not _registered(cell, port):
                return _DSP_INPUT[False] if number(cell, "PREG") or number(cell, "MREG") else None
            return _DSP_INPUT[True]
        return None

    def entry(self, driver: Driver | None, loads: Loads, cell: Cell, port: str, index: int) -> Entry:
        source = None if driver is None else self.kind(driver.cell)
        from_lut = driver is not None and (driver.cell["type"].startswith("LUT") or source is Kind.LUTS)
        from_mux = driver is not None and driver.cell["type"] in _WIDE
        leaves = _CARRY_OUT if source is Kind.CARRY and driver is not None and driver.port == "O" else 0
        kind, name = self.kind(cell), cell["type"]
        if kind is Kind.REGISTER and port == "D":
            # The one register behind a LUT is placed with it.
            if loads.data == 1 and (from_lut or from_mux or leaves):
                return Entry(always(_CARRY_TO_FF if leaves else _MUX_TO_FF if from_mux else _LUT_TO_FF), routed=False)
            return Entry(always(_AX_PIN + _FF_FROM_PIN + leaves), routed=True)
        if kind is Kind.CARRY:
            if source is Kind.CARRY and port in ("CI", "CI_TOP") and driver is not None and driver.port == "CO":
                return Entry(always(0 if name == "CARRY4" else _NEXT_SLICE), routed=False)
            if port == "S":
                if from_lut and loads.count == 1:
                    return Entry(always(_LUT_TO_S), routed=False)
                # Nothing but a LUT leads there, so that one is passed.
                return Entry(always(_LUT_PIN[0] + _LUT[0] + _LUT_TO_S + leaves), routed=True)
            if port == "DI" and driver is not None and driver.cell["type"] == "LUT6_2" and driver.port == "O5":
                return Entry(always(0), routed=False)
            late = _AX_O[0] - _CI_O[0] if port in ("CI", "CI_TOP") else 0
            return Entry(always(_AX_PIN + late + leaves), routed=True)
        if name in _WIDE:
            if port != "S" and (from_lut or from_mux):
                return Entry(always(_LUT_TO_MUX), routed=False)
            return Entry(always(_AX_PIN + leaves), routed=True)
        if kind is Kind.LOGIC or (kind is Kind.LUTS and port.startswith(("A", "DPRA"))):
            size = sum(way == "input" for way in cell["port_directions"].values()) if kind is Kind.LOGIC else 6
            return Entry([ps + leaves for ps in _LUTS[min(size, 6)][1]], routed=True)
        if kind is Kind.LUTS:
            return Entry(always(_AX_PIN + leaves), routed=True)
        return Entry(always((_CONTROL_PIN if kind is Kind.REGISTER else _BLOCK_PIN) + leaves), routed=True)

    def is_data(self, cell: Cell, port: str) -> bool:
        return port == "D" and cell["type"].startswith("FD")

    def limit(self, cell: Cell) -> float | None:
        if not cell["type"].startswith("DSP48") or not (_registered(cell, "A") and number(cell, "PREG")):
            return None
        return _DSP_MHZ[number(cell, "MREG") > 0]


_CLOCK_PORTS = ("C", "CLK", "WCLK", "CLKARDCLK", "CLKBWRCLK")


def _is_true(cell, name):
    return cell["parameters"].get(name, "FALSE").strip() in ("TRUE", "1") or str(cell["parameters"].get(name)).endswith("01")


def _registered(cell, port):
    return number(cell, f"{port}REG") > 0


def _carry(cell, port, index):
    short = cell["type"] == "CARRY4"
    sums, wires = port == "O", cell["connections"]
    found = []
    for name, to_sum, to_carry in (("S", _S_O, _S_CO), ("DI", _DI_O, _DI_CO)):
        # A sum bit does not pass through its own carry multiplexer.
        for i, bit in enumerate(wires[name][: index + (name == "S" or not sums)]):
            found.append(Arc(bit, name, i, 1, always((to_sum if sums else to_carry)[i][index])))
    through = _HALF if short and not sums and index == 3 else (_CI_O if sums else _CI_CO)[index]
    entered = (_AX_O if sums else _AX_CO)[index]
    halves = cell["parameters"].get("CARRY_TYPE", "").startswith("DUAL")
    for name, ps in (("CI", through), ("CYINIT", entered), ("CI_TOP", (_AX_O if sums else _AX_CO)[index % 4])):
        if name in wires and not (halves and (name == "CI_TOP") != (index > 3)):
            found.append(Arc(wires[name][0], name, 0, 0, always(ps)))
    return found


def _depends(cell, port, k):
    """Whether an output of a LUT6_2, which is two LUTs over the same inputs, is a function of input ``k``."""
    if port == "O5" and k == 5:
        return False
    table = int(cell["parameters"]["INIT"], 2)
    rows = range(32 if port == "O5" else 64)
    constant = {i: bit for i in range(6) if (bit := cell["connections"][f"I{i}"][0]) in ("0", "1")}
    reached = [row for row in rows if all(str(row >> i & 1) == bit for i, bit in constant.items() if i < 5 or port == "O6")]
    return any((table >> row ^ table >> (row ^ 1 << k)) & 1 for row in reached)


def _read_address(cell, port):
    """Ports by which a memory of LUTs is read at output ``port``."""
    wires, name = cell["connections"], cell["type"]
    if port in ("DPO", "SPO"):
        start = "DPRA" if port == "DPO" else "A"
        return [key for key in wires if key.startswith(start)]
    if name.startswith("SRL"):
        return [] if port in ("Q15", "Q31") else [key for key in wires if key.startswith("A")]
    if port.startswith("DO"):
        return [f"ADDR{port[2:]}"]
    return [key for key in wires if key.startswith("A")]
