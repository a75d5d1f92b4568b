"""Learning rate over the steps of a stage."""

import math

from train.run.recipe import Schedule


def rate(step: int, total: int, schedule: Schedule, warmup: float) -> float:
    """Factor of the learning rate at ``step``, 0..total - 1: up along a line in a share ``warmup`` of them, then down."""
    rising = max(1, int(warmup * total))
    if step < rising:
        return (step + 1) / rising
    left = (total - step) / (total - rising + 1)
    return left if schedule is Schedule.LINEAR else 0.5 * (1 - math.cos(math.pi * left))
