"""Synthesises the configurations that the resource model is fitted to and measured by.

A configuration that is done is kept under build/synthesis by its parameters, the RTL and the flow, and so is every unit: an
interrupted run goes on where it was.
"""

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from codesign.resources.configurations import Choice, choices
from codesign.resources.data import Sample, kind
from codesign.resources.estimate import estimate
from codesign.resources.synthesis import FLOW, Resources, Synthesis
from codesign.rtl import fingerprint
from formats.files import write_whole
from isa.config import AcceleratorConfig


def synthesised(synthesis: Synthesis, chosen: Sequence[Choice] | None = None) -> Iterator[Sample]:
    """`Sample`s of ``chosen``, all `Choice`s unless given, in that order. The smallest come first, so that a mistake in the
    RTL shows early."""
    chosen = choices() if chosen is None else chosen
    start = time.monotonic()
    for number, choice in enumerate(chosen, 1):
        c = choice.config
        sizes = f"{c.rows} x {c.columns} x {c.depth}, D {c.drain}, {c.row_lanes} lanes"
        synthesis.progress(f"configuration {number} of {len(chosen)} ({sizes}), {time.monotonic() - start:.0f} s so far")
        yield sample_of(c, synthesis)


def sample_of(config: AcceleratorConfig, synthesis: Synthesis) -> Sample:
    """`Sample` of a configuration, from the cache or by synthesis."""
    rtl = fingerprint()
    key = repr((sorted(asdict(config).items()), rtl, synthesis.version, FLOW))
    path = synthesis.cache / "configurations" / f"{hashlib.sha256(key.encode()).hexdigest()[:20]}.json"
    if not path.exists():
        used_by = defaultdict(Resources)
        for unit, used in estimate(config, synthesis).units:
            used_by[kind(unit.name)] += used * unit.count
        write_whole(path, json.dumps({unit: asdict(used) for unit, used in used_by.items()}))
    parts = {unit: Resources(**used) for unit, used in json.loads(path.read_text()).items()}
    return Sample(config, parts, rtl, synthesis.release)
