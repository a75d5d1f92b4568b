"""What does not fit into a part, and the nearest configuration that does."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import astuple, replace

from codesign.devices import COUNTED, LABELS, Device, excess
from codesign.resources.block_memory import block_memory
from codesign.resources.configurations import PARAMETERS, macs
from codesign.resources.model import errors, predict
from codesign.resources.synthesis import Resources
from isa.config import AcceleratorConfig

#: What `advice` may halve, memories and lanes before the array, and how often in all.
BESIDE_ARRAY = ("drain", "row_lanes", "left_depth", "right_depth", "residual_depth", "row_columns")
ARRAY = ("rows", "columns", "depth")
MOST_HALVINGS = 5


def certain_excess(config: AcceleratorConfig, part: Device) -> dict[str, float]:
    """What does not fit even if the model errs by its worst error: {resource: amount beyond the part, as predicted}."""
    used = predict(config)
    least = Resources(**{name: getattr(used, name) / (1 + _worst(name)) for name in COUNTED})
    return {name: amount for name, amount in excess(used, part).items() if name in excess(least, part)}


def _fits(config, part):
    """Whether it fits even if it takes as much more than predicted as the worst error says."""
    used = predict(config)
    return all(getattr(used, name) <= (1 - _worst(name)) * getattr(part, name) for name in COUNTED)


def _worst(name):
    """Worst error of the model, as a fraction; none where it follows from rules alone."""
    return errors()[name].worst / 100 if name in errors() else 0


def advice(config: AcceleratorConfig, part: Device) -> str:
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
        reached = {near for before in reached for near in halved(before, names)}
        if fitting := [candidate for candidate in reached if _fits(candidate, part)]:
            return max(fitting, key=lambda c: (macs(c), c.drain, block_memory(c), astuple(c)))
    return None


def halved(config: AcceleratorConfig, names: Iterable[str]) -> Iterator[AcceleratorConfig]:
    """Legal configurations with one parameter halved, or one and the drain, which may not be more than the array gives."""
    for name in names:
        value = getattr(config, name)
        for also in ({}, {"drain": config.drain // 2}):
            if value % 2 == 0 and (also or name != "drain"):
                with suppress(ValueError):
                    yield replace(config, **({name: value // 2} | also))
