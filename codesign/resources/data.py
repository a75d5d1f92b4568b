"""What the resource model is fitted to and measured by: data/resources.csv, synthesised configurations."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from codesign.resources.configurations import PARAMETERS, choices
from codesign.resources.synthesis import Resources
from formats.errors import UsageError
from formats.files import whole
from isa.config import AcceleratorConfig

DATA = Path(__file__).parent / "resources.csv"
_NUMBERS = [field.name for field in fields(Resources)]
#: Fingerprint of the RTL and version of Yosys: all rows have the same, or else they are not to be compared.
_ORIGIN = ("rtl", "yosys")


@dataclass(frozen=True)
class Sample:
    """A synthesised configuration: ``parts`` by kind of unit, all its instances together; ``rtl``: `codesign.rtl`'s
    fingerprint, ``yosys``: version. ``fitted``: the model may be fitted to it, as the list of configurations says."""

    config: AcceleratorConfig
    parts: dict[str, Resources]
    rtl: str
    yosys: str

    @property
    def fitted(self) -> bool:
        return next(choice.fitted for choice in choices() if choice.config == self.config)

    @property
    def total(self) -> Resources:
        return sum(self.parts.values(), Resources())


def kind(name: str) -> str:
    """Kind of a unit: its name without the sizes that a shared one carries."""
    head, _, tail = name.partition("_")
    return head if tail and set(tail) <= set("0123456789x_") else name


@cache
def samples(path: Path = DATA) -> list[Sample]:
    """All `Sample`s of the CSV, in its order. Raises UsageError for one that mixes RTL or holds what the list does not."""
    found, origins = {}, set()
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            # A parameter that is newer than the data has its default.
            config = AcceleratorConfig(**{name: int(row[name]) for name in PARAMETERS if name in row})
            used = Resources(**{name: float(row[name]) for name in _NUMBERS if name in row})
            found.setdefault(config, {})[row["unit"]] = used
            origins.add(tuple(row[name] for name in _ORIGIN))
    if len(origins) != 1:
        raise UsageError(
            f"{path.name} has rows of {len(origins)} RTLs or Yosys versions; run `bittern fit-resources`"
        )
    if unknown := set(found) - {choice.config for choice in choices()}:
        raise UsageError(f"{path.name} has {len(unknown)} configurations that are not in configurations.csv")
    (origin,) = origins
    return [Sample(config, parts, *origin) for config, parts in found.items()]


def write(rows: Iterable[Sample], path: Path = DATA) -> None:
    """``rows``: `Sample`s. The file is replaced as a whole: one that was interrupted leaves the old one."""
    with whole(path) as partial, partial.open("w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow([*_ORIGIN, *PARAMETERS, "unit", *_NUMBERS])
        for sample in rows:
            values = [getattr(sample.config, name) for name in PARAMETERS]
            for unit, used in sorted(sample.parts.items()):
                numbers = (f"{getattr(used, name):.10g}" for name in _NUMBERS)
                out.writerow([sample.rtl, sample.yosys, *values, unit, *numbers])
