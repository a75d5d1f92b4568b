"""Resources of a configuration from its parameters, without synthesis, in a millisecond.

Each kind of unit has features, numbers that follow from the structure of its RTL (lanes, bits of a bus, inputs of a
multiplexer); a few coefficients for each are fitted by least squares to the synthesised configurations in resources.csv that
`codesign.resources.configurations` gives to the fit. The others measure the error. Block memories are not fitted: they
follow from the depth and width of every memory. ``bittern fit-resources`` synthesises the configurations anew.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from codesign.devices import LIMITED
from codesign.resources.block_memory import block_memory, ultra_memory
from codesign.resources.data import DATA, samples
from codesign.resources.features import features
from codesign.resources.synthesis import Resources
from isa.config import AcceleratorConfig

#: What is fitted; ``bram36`` and ``uram`` follow from rules.
FITTED = ("lut", "most_lut", "memory_lut", "ff", "dsp")


def forget() -> None:
    """What was read and fitted so far: the data have changed."""
    for function in (samples, coefficients, errors):
        function.cache_clear()


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
def coefficients(path: Path = DATA) -> dict[tuple[str, str], NDArray[np.float64]]:
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


def predict(config: AcceleratorConfig, path: Path = DATA) -> Resources:
    """`Resources` of a configuration, predicted; ``carry`` is not."""
    found = defaultdict(float)
    for (unit, name), values in coefficients(path).items():
        found[name] += float(values @ features(unit, config))
    counted = {name: round(value) for name, value in found.items()}
    return Resources(**counted, bram36=block_memory(config), uram=ultra_memory(config))


@dataclass(frozen=True)
class Errors:
    """Relative errors of a resource over configurations that were not fitted, in percent."""

    median: float
    worst: float
    count: int

    def __str__(self) -> str:
        return f"error {self.median:.1f} % in the median, {self.worst:.1f} % at worst, of {self.count} not fitted"


@cache
def errors(path: Path = DATA) -> dict[str, Errors]:
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
