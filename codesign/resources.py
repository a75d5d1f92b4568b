"""Resources of a configuration from its parameters, without synthesis, in a millisecond.

Each kind of unit has features, numbers that follow from the structure of its RTL (lanes, bits of a bus, inputs of a
multiplexer); a few coefficients for each are fitted by least squares to synthesised configurations in data/resources.csv.
Block memories are not fitted: they follow from the depth and width of every memory. ``python -m codesign fit-resources``
synthesises the configurations anew. Half of them are not used for the fit and measure the error.
"""

import csv
from collections import defaultdict
from contextlib import suppress
from dataclasses import astuple, dataclass, fields, replace
from functools import cache
from pathlib import Path
from statistics import median

import numpy as np

from codesign.block_memory import block_memory, memories
from codesign.devices import LABELS, LIMITED, excess
from codesign.synthesis import Resources
from hw.config import AcceleratorConfig

DATA = Path(__file__).parent / "data" / "resources.csv"
PARAMETERS = [field.name for field in fields(AcceleratorConfig)]
#: What `advice` may halve, memories and lanes before the array, and how often in all.
BESIDE_ARRAY = ("drain", "row_lanes", "left_depth", "right_depth", "residual_depth", "row_columns")
ARRAY = ("rows", "columns", "depth")
MOST_HALVINGS = 5
#: What is fitted; ``bram36`` follows from rules.
FITTED = ("lut", "most_lut", "memory_lut", "ff", "dsp")


def choices(inputs):
    """LUTs for each bit of a multiplexer, four inputs in one."""
    return 0 if inputs < 2 else max(1, inputs / 4)


class _Sizes:
    """Numbers of a configuration that the features are made of."""

    def __init__(self, c):
        self.units, self.borders = c.rows * c.columns, c.rows + c.columns
        self.words = self.borders * c.depth
        self.G = c.drain_rows
        self.groups = c.rows // c.drain_rows
        self.bus = {side: max(c.drain_rows, c.axi_bits // c.depth) * c.depth for side in ("left", "right")}
        self.K, self.D, self.C, self.R, self.L, self.A = c.depth, c.drain, c.columns, c.rows, c.row_lanes, c.axi_bits
        self.a, self.queue = c.accumulator_bits, c.dma_queue
        self.constants = next((memory.luts for memory in memories(c) if memory.free and not memory.blocks), 0)


#: Features of each kind of unit, beside a constant.
FEATURES = {
    "dpu": lambda s: (s.units * s.K, s.units * s.a, s.units),
    "border": lambda s: (s.borders * s.K, s.borders * s.a, s.borders),
    "bank": lambda s: (s.words,),
    "core.qmm.array": lambda s: (s.words, s.D * s.a, s.D * s.a * choices(s.groups), s.R),
    "core.qmm.drain": lambda s: (s.D * s.a, s.C, s.G, s.G * choices(s.C // s.G), s.D, s.constants),
    "core.qmm.drain.rescale": lambda s: (s.D, s.D * s.a, s.C),
    "core.qmm.left_memory": lambda s: (s.bus["left"], s.R, s.R * s.K / s.C),
    "core.qmm.right_memory": lambda s: (s.bus["right"], s.C, s.K),
    "core.qmm.writer": lambda s: (s.D,),
    "core.dma": lambda s: (s.A, s.queue),
    "core.rows.norm": lambda s: (s.L, s.A),
    "core.rows.softmax": lambda s: (s.L,),
    "core.rows.buffer": lambda s: (s.L, s.L * choices(s.D // s.L)),
    "core.rows.left": lambda s: (s.K, s.L),
    "core.rows.right": lambda s: (s.K, s.L),
    "core.rows": lambda s: (s.L, s.A),
    "core": lambda s: (s.A,),
    "scheduler": lambda s: (s.A, s.queue),
    "reader": lambda s: (s.A,),
    "writer": lambda s: (s.A,),
    "arbiter": lambda s: (s.A,),
}


@dataclass(frozen=True)
class Sample:
    """A synthesised configuration: ``parts`` by kind of unit, all its instances together. ``fitted``: used for the fit."""

    config: AcceleratorConfig
    fitted: bool
    parts: dict

    @property
    def total(self):
        return sum(self.parts.values(), Resources())


def kind(name):
    """Of a unit: its name without the sizes that a shared one carries."""
    head, _, tail = name.partition("_")
    return head if tail and set(tail) <= set("0123456789x_") else name


@cache
def samples(path=DATA):
    """All `Sample`s of the CSV, in its order."""
    found = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            # A parameter that is newer than the data has its default.
            config = AcceleratorConfig(**{name: int(row[name]) for name in PARAMETERS if name in row})
            parts = found.setdefault((config, row["fitted"] == "1"), {})
            parts[row["unit"]] = Resources(**{field.name: float(row[field.name]) for field in fields(Resources)})
    return [Sample(config, fitted, parts) for (config, fitted), parts in found.items()]


def forget():
    """What was read and fitted so far: the data have changed."""
    for function in (samples, coefficients, errors):
        function.cache_clear()


def write(rows, path=DATA):
    """``rows``: `Sample`s."""
    numbers = [field.name for field in fields(Resources)]
    with path.open("w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["fitted", *PARAMETERS, "unit", *numbers])
        for sample in rows:
            values = [getattr(sample.config, name) for name in PARAMETERS]
            for unit, used in sorted(sample.parts.items()):
                out.writerow([int(sample.fitted), *values, unit, *(f"{getattr(used, name):g}" for name in numbers)])


def features(unit, config):
    return np.array([1, *FEATURES.get(unit, lambda s: ())(_Sizes(config))], float)


def _least_squares(matrix, values):
    """Coefficients that are not negative: a feature that would get one less than 0 is left out."""
    used = list(range(matrix.shape[1]))
    result = np.zeros(matrix.shape[1])
    while used:
        found = np.linalg.lstsq(matrix[:, used], values, rcond=None)[0]
        if found.min() >= 0:
            result[used] = found
            break
        used.pop(int(np.argmin(found * np.abs(matrix[:, used]).max(axis=0))))
    return result


@cache
def coefficients(path=DATA):
    """{(kind of unit, resource): array, one for the constant and one for each feature}."""
    fitted = [sample for sample in samples(path) if sample.fitted]
    found = {}
    for unit in sorted({unit for sample in fitted for unit in sample.parts}):
        present = [sample for sample in fitted if unit in sample.parts]
        matrix = np.array([features(unit, sample.config) for sample in present])
        for name in FITTED:
            # Relative to the whole: what is small in its configuration need not be exact.
            weight = 1 / np.array([max(getattr(sample.total, name), 1) for sample in present])
            values = np.array([getattr(sample.parts[unit], name) for sample in present])
            found[unit, name] = _least_squares(matrix * weight[:, None], values * weight)
    return found


def predict(config, path=DATA):
    """`Resources` of a configuration, predicted; ``carry`` is not."""
    found = defaultdict(float)
    for (unit, name), values in coefficients(path).items():
        found[name] += float(values @ features(unit, config))
    return Resources(**{name: round(value) for name, value in found.items()}, bram36=block_memory(config))


@dataclass(frozen=True)
class Errors:
    """Relative errors of a resource over configurations that were not fitted, in percent."""

    median: float
    worst: float
    count: int

    def __str__(self):
        return f"error {self.median:.1f} % in the median, {self.worst:.1f} % at worst, of {self.count} not fitted"


@cache
def errors(path=DATA):
    """{resource: `Errors`} of the configurations that were not used for the fit."""
    held_out = [sample for sample in samples(path) if not sample.fitted]
    found = {}
    for name in LIMITED:
        percent = []
        for sample in held_out:
            actual = getattr(sample.total, name)
            percent.append(100 * abs(getattr(predict(sample.config, path), name) - actual) / max(actual, 1))
        found[name] = Errors(median(percent), max(percent), len(percent))
    return found


def certain_excess(config, part):
    """What does not fit even if the model errs by its worst error: {resource: amount beyond the part, as predicted}."""
    used = predict(config)
    least = Resources(**{name: getattr(used, name) / (1 + errors()[name].worst / 100) for name in LIMITED})
    return {name: amount for name, amount in excess(used, part).items() if name in excess(least, part)}


def _fits(config, part):
    used = predict(config)
    most = Resources(**{name: getattr(used, name) * (1 + errors()[name].worst / 100) for name in LIMITED})
    return not excess(most, part)


def advice(config, part):
    """Words for the nearest configuration that fits: the array as it is if possible, then the fewest halvings of parameters,
    then the most operations a cycle and the most memory."""
    nearest = _nearest(config, part, BESIDE_ARRAY) or _nearest(config, part, BESIDE_ARRAY + ARRAY)
    if nearest is None:
        return f"no parameters that are up to {MOST_HALVINGS} halvings away fit"
    changes = [f"{name}={getattr(nearest, name)}" for name in PARAMETERS if getattr(nearest, name) != getattr(config, name)]
    used = predict(nearest)
    text = ", ".join(f"{getattr(used, name):,.0f} {LABELS[name]}" for name in ("lut", "bram36"))
    return f"{' '.join(changes)} would fit (predicted {text}; LUT {errors()['lut']})"


def _nearest(config, part, names):
    reached = {config}
    for _ in range(MOST_HALVINGS):
        reached = {halved for before in reached for halved in _halved(before, names)}
        if fitting := [candidate for candidate in reached if _fits(candidate, part)]:
            return max(fitting, key=lambda c: (c.rows * c.columns * c.depth, c.drain, block_memory(c), astuple(c)))
    return None


def _halved(config, names):
    """Legal configurations with one parameter halved, or one and the drain, which may not be more than the array gives."""
    for name in names:
        value = getattr(config, name)
        for also in ({}, {"drain": config.drain // 2}):
            if value % 2 == 0 and (also or name != "drain"):
                with suppress(ValueError):
                    yield replace(config, **({name: value // 2} | also))
