"""What the vendor's own checklist asks of a design before placement, as far as a netlist of Yosys can say.

Limits are those of `report_failfast` (github.com/Xilinx/XilinxTclStore, commit 287ad19855ef, tclapp/xilinx/designutils/
report_failfast.tcl; the line behind each). It works before placement, and what exceeds a limit it marks for review: such a
design may close, but not easily.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from codesign.devices import Device
from codesign.resources.synthesis import Resources
from codesign.timing.estimate import Timing

#: Nanoseconds of a LUT with its net, and of a net alone, by speed grade, at 0.85 V and above (lines 3118, 3128, 3132).
BUDGET = {1: (0.350, 0.239), 2: (0.300, 0.208), 3: (0.250, 0.177)}
GRADE = 2
#: A register that is not one drives so many inputs at most (line 4372).
_WIDEST = 10_000


@dataclass(frozen=True)
class Check:
    """``value`` must be at most ``limit``; in ``unit``, such as "%"."""

    name: str
    value: float
    limit: float
    unit: str

    @property
    def passed(self) -> bool:
        return self.value <= self.limit


def levels(mhz: float, grade: int = GRADE) -> int:
    """Levels of logic that the vendor's budget allows at a clock (line 3580: a whole number of LUTs with their nets)."""
    return int(1000 / mhz / BUDGET[grade][0])


def checks(total: Resources, cells: Mapping[str, int], timing: Timing, part: Device, mhz: float) -> list[Check]:
    """All checks. ``cells`` counts primitives of the whole design by type; ``mhz`` is the clock that is asked for."""

    def share(used, available):
        return 100 * used / available if available else 0.0

    luts = sum(count for name, count in cells.items() if name.startswith("LUT") and name != "LUT6_2")
    plain = total.lut - total.memory_lut - cells.get("LUT6_2", 0)
    combined = 2 * (luts - plain + cells.get("LUT6_2", 0))
    blocks = [share(total.bram36, part.bram36), share(total.dsp, part.dsp)]
    found = [
        Check("LUT", share(total.lut, part.lut), 70, "%"),  # 4309
        Check("FF", share(total.ff, part.ff), 50, "%"),  # 4312
        Check("CARRY8", share(total.carry, part.lut / 8), 25, "%"),  # 4321
        Check("MUXF7", share(cells.get("MUXF7", 0), part.lut / 2), 15, "%"),  # 4327
        Check("BRAM36", blocks[0], 80, "%"),  # 4339
        Check("DSP48E2", blocks[1], 80, "%"),  # 4336
        Check("mean of DSP and BRAM", sum(blocks) / len(blocks), 70, "%"),  # 4345
        Check("control sets", timing.control_sets, round(part.ff / 8 * 7.5 / 100), ""),  # 2739
        Check("mean fan-out", timing.mean_fanout, 4, ""),  # 4369
        Check(
            f"nets of more than {_WIDEST:,} inputs that no register drives",
            sum(net.loads > _WIDEST and not net.registered for net in timing.nets), 0, "",
        ),  # 4375
        Check(
            f"ends behind more than {levels(mhz)} levels ({BUDGET[GRADE][0]} ns each at {mhz:g} MHz)",
            sum(timing.deeper(levels(mhz)).values()), 0, "",
        ),  # 4399
    ]  # fmt: skip
    if found[0].value >= 50:
        # It leaves this out where there is room (line 2567).
        found.insert(
            2, Check("LUTs that share one with another", share(combined, luts + 2 * cells.get("LUT6_2", 0)), 20, "%")
        )
    return found
