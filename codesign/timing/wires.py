"""How long a net takes through general routing: by how far its inputs lie apart, and that by how many it has.

How long a wire of a given length takes is published. How far the ends of a net lie apart, nobody knows before placement: it
is taken to grow with the cube root of its inputs, between not at all, as for a critical input that a placer pulls near, and
the square root, as for an area that all of them cover. That is a judgement. How far it is for one input follows from what
the vendor budgets for a net before placement.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from statistics import fmean

from codesign.netlist.family import Corner

#: By how much the ends of nets are nearer, or farther, than the vendor's budget has them: a judgement.
FARTHER = {Corner.OPTIMISTIC: 0.5, Corner.MIDDLE: 1.0, Corner.PESSIMISTIC: 2.0}
#: Picoseconds of a net with its way into a LUT, speed grade -2: report_failfast.tcl, line 3129, as in
#: `codesign.timing.checks`. Of a net with as many inputs as nets of this project have on average, in whole ones.
NET, INPUTS = 208, 2
#: Of it, from the routing into a LUT: the mean of its six pins (`codesign.netlist.ultrascale_plus`).
PIN = 51
_GROWTH = 1 / 3
#: Tiles that are tried at most; the parts of interest are smaller.
_FARTHEST = 400


@dataclass(frozen=True)
class Routing:
    """Wires of a family. ``luts``: LUTs at a tile of its routing; ``along``: picoseconds for so many tiles."""

    luts: int
    along: Callable[[float], float]

    def tiles(self, corner: Corner, fanout: int) -> float:
        """Tiles from the driver of a net with ``fanout`` inputs to one of them."""
        # As much logic covers a smaller square where a tile holds more of it.
        return FARTHER[corner] * one_input() * fanout**_GROWTH * (ULTRASCALE_PLUS.luts / self.luts) ** 0.5

    def delay(self, corner: Corner, fanout: int) -> float:
        """Picoseconds that this takes."""
        return self.along(self.tiles(corner, fanout))


@cache
def one_input() -> float:
    """Tiles of UltraScale+'s routing from the driver of a net with one input to that, with the vendor's budget."""
    least, most = 0.0, float(_FARTHEST)
    while most - least > 1e-3:
        tiles = (least + most) / 2
        least, most = (tiles, most) if ULTRASCALE_PLUS.along(tiles) < NET - PIN else (least, tiles)
    return least / INPUTS**_GROWTH


# RapidWright's model of UltraScale+ (github.com/Xilinx/RapidWright, commit 325baa006242): a segment takes k0 + k1 L + k2 d
# picoseconds (src/com/xilinx/rapidwright/timing/TimingModel.java, from line 1150), with the terms of
# timing/ultrascaleplus/intersite_delay_terms.txt, lines 38-58, and tiles as in delayestimator/InterconnectInfo.java.
_K0 = 43.0
_HORIZONTAL = {1: _K0 + 3.5 * 1, 2: _K0 + 3.5 * 10, 6: _K0 + 3.5 * 14}  # tiles: single, quad, long
_VERTICAL = {1: _K0 + 3.6 * 1, 2: _K0 + 3.6 * 3, 4: _K0 + 3.6 * 5, 12: _K0 + 3.6 * 12}  # single, double, quad, long
#: Of the last hop, within the tile, that every net takes.
_LAST = _K0
#: What columns of block memories (d 16 to 20) and multipliers (d 3) add to a horizontal tile, k2 2.4: an XCZU9EG has one of
#: the first in 9 columns of tiles and one of the second in 5.
_COLUMNS = 2.4 * (18 / 9 + 3 / 5)


@cache
def _shortest(horizontal: bool) -> list[float]:
    """Least picoseconds for each number of tiles; segments may go past and come back."""
    segments = _HORIZONTAL if horizontal else _VERTICAL
    least = [0.0] + [float("inf")] * _FARTHEST
    for _ in range(3):
        for tiles in range(1, _FARTHEST + 1):
            for length, ps in segments.items():
                for before in (tiles - length, tiles + length):
                    if 0 <= before <= _FARTHEST:
                        least[tiles] = min(least[tiles], least[before] + ps)
    # A longer way is never taken to be quicker.
    for tiles in range(1, _FARTHEST + 1):
        least[tiles] = max(least[tiles], least[tiles - 1])
    return least


@cache
def _ultrascale_plus(tiles: int) -> float:
    across, up = _shortest(True), _shortest(False)
    return _LAST + fmean(across[x] + up[tiles - x] + _COLUMNS * x for x in range(tiles + 1))


@cache
def _ecp5(tiles: int) -> float:
    # nextpnr's own estimate (github.com/YosysHQ/nextpnr, ecp5/arch.cc, Arch::estimateDelay), at speed grade 6.
    return 120 * fmean(
        6 + max(x - 5, 0) + max(y - 5, 0) + 2 * (min(x, 5) + min(y, 5)) for x in range(tiles + 1) for y in [tiles - x]
    )


def _between(of_tiles: Callable[[int], float]) -> Callable[[float], float]:
    """A function of whole tiles, mean over all ways to go so far across and up, for any number of tiles."""

    def along(tiles: float) -> float:
        tiles = min(tiles, _FARTHEST - 1)
        whole = int(tiles)
        return of_tiles(whole) + (tiles - whole) * (of_tiles(whole + 1) - of_tiles(whole))

    return along


#: A tile of the routing has slices of 8 LUTs on both sides.
ULTRASCALE_PLUS = Routing(16, _between(_ultrascale_plus))
ECP5 = Routing(8, _between(_ecp5))
