"""One run on the simulated RTL, every tensor compared with the reference: what `bittern sim` and the benches run."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from driver.accelerator import Accelerator
from driver.errors import RunError
from isa.memory_timing import MemoryTiming
from program.placement import Placement
from program.program import Program
from sim.compare import Comparison
from sim.progress import RunProgress
from sim.simulation import Event, Simulation
from sim.watch import watch


@dataclass(frozen=True)
class Inference:
    """What one run gave: ``logits`` (samples, ...), or None where the accelerator reported an error.

    ``problem`` is the first tensor that differs, the error, or a wrong count of saturations, in one sentence; None if all
    is as it should be. ``counters`` are the accelerator's by name, ``events`` those of the run. Simulating it took
    ``seconds`` of CPU time, the comparison included, for ``simulated`` cycles.
    """

    logits: np.ndarray | None
    problem: str | None
    tensors: int
    counters: dict[str, int]
    events: list[Event]
    simulated: int
    seconds: float

    @property
    def cycles(self) -> int:
        """Clock cycles from START to the end."""
        return self.counters["cycles"]


def simulated_accelerator(
    program: Program,
    timing: MemoryTiming,
    library: Path | None = None,
    progress: Callable[[str], object] = lambda text: None,
) -> Accelerator[Simulation]:
    """An accelerator on the RTL for ``program``, which is not loaded yet; see `sim.simulation.Simulation`.

    The watchdog alone ends a run that hangs: whoever simulates a slow memory waits as long as it takes.
    """
    simulation = Simulation(program.config, Placement.of(program).bytes, timing=timing, library=library, progress=progress)
    return Accelerator(simulation, timeout=math.inf)


def compared(
    accelerator: Accelerator[Simulation],
    program: Program,
    inputs: np.ndarray,
    lengths: Sequence[int],
    expected: Sequence[Mapping[str, Any]],
    progress: RunProgress,
) -> Inference:
    """Run the samples of a batch, or fewer, and compare everything.

    Parameters
    ----------
    accelerator : Accelerator on a `Simulation`
        With ``program`` loaded; or a damaged copy of it, to see it found.
    inputs, lengths
        See `program.memory_image.pack_batch`.
    expected : sequence of dict
        All tensors of each sample, from `golden.encoder.encode`.
    progress : sim.progress.RunProgress
        Shows the run.

    Raises
    ------
    sim.watch.Interrupted
        On Ctrl-C.
    """
    simulation, output = accelerator.transport, accelerator.placement.outputs[0]
    simulation.write_memory(output, bytes(program.output_bytes))  # the last inference's logits must not count
    comparison, logits, error = Comparison(simulation, program, expected, lengths), None, None
    progress.start_run(len(program.instructions) - 1)
    started, first = time.process_time(), simulation.cycle
    try:
        with watch(simulation, program, comparison.completed, progress.watch):
            logits = accelerator.run(inputs, lengths)
    except RunError as stop:
        error = str(stop)
    finally:
        progress.finish_run()
    counters = accelerator.counters()
    seconds, simulated = time.process_time() - started, simulation.cycle - first
    if logits is not None:
        comparison.finished(logits)
        saturated = sum(tensors["saturated"] for tensors in expected)
        if counters["saturations"] != saturated:
            error = f"{counters['saturations']} residual elements saturated, expected {saturated}"
    problem = str(comparison.first) if comparison.first is not None else error
    return Inference(logits, problem, comparison.count, counters, simulation.events, simulated, seconds)
