"""Energy estimate: activity counted in simulation times coefficients from published measurements; always a range.

Method. An inference takes

    cycles / clock * base power + array operations * energy of one + external bytes * energy of one

* *Array*: binary multiply-accumulates that the array performs, padding included (busy cycles * R * C * K). BISMO's binary
  matrix engine, LUT popcounts fed from block RAM as ours, reaches 15.4 TOPS on a chip of the same family with the whole
  board under 8 W: no more than 1.04 pJ for a multiply-accumulate. That is the upper end. The lower end takes a quarter of
  those 8 W as the array's and leaves the rest to processor, memory and leakage: `JUDGEMENT`, no source.
* *Base*: all the rest of a board, from published binary transformer accelerators: their power (throughput over efficiency)
  less what this model gives their array. Lower end: the most frugal board less the costliest array; upper end: the
  hungriest board less the cheapest array.
* *External memory*: 20 to 40 pJ a bit, from 1.3 to 2.6 nJ an access in M. Horowitz, "Computing's energy problem", ISSCC
  2014, as SASiML (a simulator of ETH Zurich, arXiv 2202.02310) quotes it. That an access there has 64 bits is from memory,
  and its memory is not that of our boards: `JUDGEMENT` too.

What is uncertain: no placed design and no board of ours has been measured; a clock of another design's board, its toggle
rates and its memory are taken as if they were ours. The range is no distribution: nothing inside it is more likely.
"""

from typing import NamedTuple

#: What of the range has no source that was read for it; stands under every table of estimates.
JUDGEMENT = (
    "Two things in it are judgement: that the array takes at least a quarter of the power of BISMO's board (lower end of "
    "the array), and that the 1.3 to 2.6 nJ of a memory access (Horowitz, ISSCC 2014, read second-hand) are for 64 bits."
)


class Range(NamedTuple):
    """Lower and upper end; the truth is expected between them and nowhere in particular."""

    low: float
    high: float


class PublishedBoard(NamedTuple):
    """A published binary transformer accelerator: throughput (1e9 operations/s) and efficiency (1e9 operations/s/W)."""

    name: str
    gops: float
    gops_per_watt: float

    @property
    def watts(self) -> float:
        return self.gops / self.gops_per_watt


class Activity(NamedTuple):
    """What one inference does: clock cycles, binary multiply-accumulates of the array, bytes to and from external memory."""

    cycles: int
    macs: int
    external_bytes: int


#: Operations per second and power of BISMO on the Ultra96 (EECS-NTNU/bismo, README): "15.4 TOPS", "less than 8 W".
BISMO_OPERATIONS, BISMO_WATTS = 15.4e12, 8.0
_MOST = BISMO_WATTS / (BISMO_OPERATIONS / 2)
ARRAY_JOULES = Range(_MOST / 4, _MOST)
EXTERNAL_JOULES = Range(8 * 20e-12, 8 * 40e-12)  #: for a byte

BOARDS = (
    PublishedBoard("BETA on ZCU102", 1436.0, 174.0),  # arXiv 2401.11851, 2409.03384
    PublishedBoard("COBRA on ZCU102", 3894.7, 448.7),  # arXiv 2504.16269
    PublishedBoard("COBRA on KV260", 846.0, 208.0),
)


def _array_watts(board):
    macs = board.gops * 1e9 / 2
    return Range(macs * ARRAY_JOULES.low, macs * ARRAY_JOULES.high)


BASE_WATTS = Range(
    min(board.watts - _array_watts(board).high for board in BOARDS),
    max(board.watts - _array_watts(board).low for board in BOARDS),
)


def estimate(activity: Activity, hertz: float) -> Range:
    """Joules of one inference at a clock of ``hertz``, which is an assumption of the caller's: a `Range`."""
    seconds = activity.cycles / hertz
    return Range(*(
        seconds * base + activity.macs * array + activity.external_bytes * external
        for base, array, external in zip(BASE_WATTS, ARRAY_JOULES, EXTERNAL_JOULES, strict=True)
    ))  # fmt: skip
