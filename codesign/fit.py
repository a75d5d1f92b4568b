"""Synthesises the configurations of the resource model's data anew."""

from collections import defaultdict

from codesign.estimate import estimate
from codesign.resources import Sample, kind, samples
from codesign.synthesis import Resources


def synthesised(synthesis):
    """The configurations of data/resources.csv, as `Sample`s by synthesis: what was measured with stays that."""
    known = samples()
    for number, sample in enumerate(known, 1):
        synthesis.progress(f"configuration {number} of {len(known)}")
        yield sample_of(sample.config, sample.fitted, synthesis)


def sample_of(config, fitted, synthesis):
    """`Sample` of a configuration by synthesis."""
    parts = defaultdict(Resources)
    for unit, used in estimate(config, synthesis).units:
        parts[kind(unit.name)] += used * unit.count
    return Sample(config, fitted, dict(parts))
