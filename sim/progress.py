"""What a run on the RTL shows while it runs: inferences, cycles, cycles per second, instructions."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

PERIOD = 0.1  # seconds between two updates


class RunProgress(Progress):
    """A bar that counts ``total`` pieces of work, and in each the run that is going on; a context manager.

    `start_run` begins a run of ``instructions`` instructions; `watch` is what `sim.watch.watch` takes as
    ``on_progress``; `finish_run` counts it. Nothing shows where the output is no terminal.
    """

    def __init__(self, console: Console, total: int, unit: str):
        columns = (
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed} / {task.total}"),
            TimeElapsedColumn(), TextColumn("{task.fields[rate]}"),
        )  # fmt: skip
        super().__init__(*columns, console=console, transient=True)
        self._all = self.add_task(unit, total=total, rate="")
        self._run = self.add_task("instructions", total=0, rate="", visible=False)

    def start_run(self, instructions: int) -> None:
        """A run begins. ``instructions``: how many will complete, HALT not counted."""
        self._started = self._shown = time.monotonic()
        self.reset(self._run, total=instructions, rate="cycle 0", visible=True)

    def watch(self, cycle: int, completed: int) -> None:
        """Show the cycles since START and the instructions completed."""
        now = time.monotonic()
        if now - self._shown >= PERIOD:
            self._shown = now
            rate = cycle / (now - self._started)
            self.update(self._run, completed=completed, rate=f"cycle {cycle:,}, {rate:,.0f} cycles/s")

    def finish_run(self) -> None:
        """The run has ended."""
        self.update(self._run, visible=False)
        self.advance(self._all)
