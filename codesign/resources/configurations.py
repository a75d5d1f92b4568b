"""The configurations of the resource model, and which of them it may be fitted to.

Both were fixed in data/configurations.csv before any error on them was seen (presets `tiny` and `zcu102` were in an earlier
list, and fitted): sizes drawn by seed, so that nobody chose what is easy; sorted by what the array computes in a cycle; and
of each two neighbours one held out, drawn by the same seed. Presets follow the same rule. A test draws the list again.

What sizes the row units is drawn as a whole from a pool, that of the presets and some drawn once: these units take half the
time of synthesis, and those that are equal are synthesised once.
"""

import csv
import random
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import astuple, dataclass, fields
from functools import cache
from pathlib import Path

from isa.config import AcceleratorConfig
from isa.presets import PRESETS

DATA = Path(__file__).parent / "configurations.csv"
PARAMETERS = [field.name for field in fields(AcceleratorConfig)]
SEED = 3
#: How many are drawn, with how many binary multiply-accumulates in a cycle, as exponents of 2, and the most that the drain
#: may be, which what is not shared grows with.
STRATA = (
    (4, range(7, 10), 32),
    (6, range(10, 12), 32),
    (5, range(12, 14), 64),
    (3, range(14, 16), 64),
    (3, range(16, 18), 64),
)
#: Those that the list was drawn around: two presets, and what `zcu102` was then.
AMONG = (
    PRESETS["tiny"],
    PRESETS["small"],
    AcceleratorConfig(
        rows=16, columns=32, depth=128, drain=128, row_lanes=32, axi_bits=512, left_depth=4096, right_depth=2048,
        constant_depth=512, norm_depth=128, residual_depth=12288, row_columns=1024, dma_queue=64,
    ),
)  # fmt: skip
#: Parameters of the row units; of each of these numbers of lanes a set is drawn, beside those of the presets.
ROW_SIDE = ("row_lanes", "axi_bits", "norm_depth", "residual_depth", "row_columns", "dma_queue")
LANES = (4, 4, 8, 8, 16, 16, 32)
_CHOICES = {
    "rows": [1 << i for i in range(1, 7)],
    "columns": [1 << i for i in range(2, 7)],
    "depth": [1 << i for i in range(3, 9)],
    "drain": [1 << i for i in range(2, 9)],
    "axi_bits": [64, 128, 256, 512],
    "left_depth": [256, 512, 768, 1024, 2048, 3072, 4096, 8192],
    "right_depth": [256, 512, 768, 1024, 2048, 3072, 4096, 8192],
    "constant_depth": [32, 64, 128, 256, 512],
    "norm_depth": [32, 64, 128, 256],
    "residual_depth": [512, 1024, 2048, 3072, 4096, 8192, 12288],
    "row_columns": [128, 256, 384, 512, 768, 1024, 2048],
    "accumulator_bits": [16, 18, 20, 22, 24, 28, 32],
    "dma_queue": [4, 8, 16, 32, 64],
}


@dataclass(frozen=True)
class Choice:
    """``fitted``: the model may be fitted to ``config``; otherwise it is held out and measures the error."""

    config: AcceleratorConfig
    fitted: bool


def macs(config: AcceleratorConfig) -> int:
    """Binary multiply-accumulates of the array in a cycle."""
    return config.rows * config.columns * config.depth


def _one(numbers, names):
    """{name: value drawn}; `random.random` alone gives the same numbers in every version of Python."""
    return {name: _CHOICES[name][int(numbers.random() * len(_CHOICES[name]))] for name in names if name in _CHOICES}


def _row_side(numbers, lanes):
    """A set whose bus is not wider than what it fills, nor so narrow that a row takes more than eight beats."""
    while True:
        side = {"row_lanes": lanes} | _one(numbers, ROW_SIDE)
        if 2 * lanes <= side["axi_bits"] <= 16 * lanes:
            return side


def _legal(numbers, side, others, sizes, most, tries=2000):
    """A configuration with these row units, or None if so many tries found none."""
    for _ in range(tries):
        values = _one(numbers, others) | side
        # No elements of several column tiles: their row buffer has more to choose from, by `codesign.resources.features`.
        narrow = values["row_lanes"] <= values["columns"]
        if values["rows"] * values["columns"] * values["depth"] in sizes and values["drain"] <= most and narrow:
            with suppress(ValueError):
                return AcceleratorConfig(**values)
    return None


def draw(seed: int = SEED) -> list[Choice]:
    """The list anew, smallest first: the same for the same seed."""
    numbers = random.Random(seed)
    drawn = list(AMONG)
    sides = [{name: getattr(config, name) for name in ROW_SIDE} for config in drawn]
    sides += [_row_side(numbers, lanes) for lanes in LANES]
    others = [name for name in _CHOICES if name not in ROW_SIDE]
    for count, exponents, most in STRATA:
        sizes = {1 << exponent for exponent in exponents}
        for _ in range(count):
            while (config := _legal(numbers, sides[int(numbers.random() * len(sides))], others, sizes, most)) in (
                None,
                *drawn,
            ):
                pass
            drawn.append(config)
    drawn.sort(key=lambda config: (macs(config), astuple(config)))
    chosen = []
    for first in range(0, len(drawn), 2):
        pair = drawn[first : first + 2]
        fitted = int(numbers.random() * len(pair))
        chosen += [Choice(config, i == fitted) for i, config in enumerate(pair)]
    return chosen


@cache
def choices(path: Path = DATA) -> list[Choice]:
    """All `Choice`s of the committed list, smallest first."""
    with path.open(newline="") as file:
        return [
            # A parameter that is newer than the list has its default.
            Choice(AcceleratorConfig(**{name: int(row[name]) for name in PARAMETERS if name in row}), row["fitted"] == "1")
            for row in csv.DictReader(file)
        ]


def write(chosen: Iterable[Choice], path: Path = DATA) -> None:
    with path.open("w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["fitted", *PARAMETERS])
        out.writerows([int(choice.fitted), *astuple(choice.config)] for choice in chosen)
