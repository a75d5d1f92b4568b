"""What a run says while it trains: a progress bar, a CSV file and, where the library is there, TensorBoard's events."""

import csv
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from formats.files import whole

COLUMNS = ("stage", "step", "epoch", "loss", "accuracy", "learning_rate", "validation_accuracy", "seconds")
#: Weight of what came before in the shown loss and accuracy.
SMOOTHING = 0.98
#: Steps between rows of the log; the last of each epoch has one too.
EVERY = 20


class Silent:
    """Says nothing: for tests, and for all processes but the first."""

    def begin(self, stage: str, total: int, done: int) -> None:
        pass

    def step(self, step: int, epoch: int, loss: float, hits: float, learning_rate: float) -> None:
        pass

    def validated(self, step: int, epoch: int, accuracy: float, best: float) -> None:
        pass

    def end(self) -> None:
        pass


class Report(Silent):
    """Writes to ``folder``/log.csv and, for TensorBoard, to ``folder``/events/STAGE, and to a console.

    After `begin` with steps done, rows of this stage beyond them, of a run that was interrupted, are dropped.
    """

    def __init__(self, folder: Path | str, console: Console):
        self.console, self.path = console, Path(folder) / "log.csv"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.events = None
        self.progress: Progress | None = None

    def begin(self, stage: str, total: int, done: int) -> None:
        self.stage, self.started, self.rows = stage, time.monotonic(), []
        self._keep(stage, done)
        self.events = _events(self.path.parent / "events" / stage, done)
        self.loss = self.accuracy = None
        self.validation = ""
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )  # fmt: skip
        self.progress = Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)
        self.progress.start()
        self.task = self.progress.add_task(stage, total=total, completed=done, note="")

    def step(self, step: int, epoch: int, loss: float, hits: float, learning_rate: float) -> None:
        for name, value in (("loss", loss), ("accuracy", hits)):
            before = getattr(self, name)
            setattr(self, name, value if before is None else SMOOTHING * before + (1 - SMOOTHING) * value)
        self.learning_rate = learning_rate
        note = f"loss {self.loss:.3f}, accuracy {self.accuracy:.1%}{self.validation}"
        if self.progress:
            self.progress.update(self.task, completed=step, note=note)
        if step % EVERY == 0:
            self._row(step, epoch)

    def validated(self, step: int, epoch: int, accuracy: float, best: float) -> None:
        self.validation = f", validation {accuracy:.1%} (best {best:.1%})"
        self._row(step, epoch, accuracy)
        self.console.print(f"{self.stage} epoch {epoch}: loss {self.loss:.4f}, validation {accuracy:.2%}, best {best:.2%}")

    def end(self) -> None:
        if self.progress:
            self.progress.stop()
            self.progress = None
        if self.events:
            self.events.close()
            self.events = None

    def _row(self, step, epoch, validation=None):
        seconds = round(time.monotonic() - self.started, 1)
        row = (self.stage, step, epoch, f"{self.loss:.6g}", f"{self.accuracy:.4f}", f"{self.learning_rate:.4g}",
               "" if validation is None else f"{validation:.5f}", seconds)  # fmt: skip
        with self.path.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(row)
        if self.events:
            values = {"loss": self.loss, "accuracy": self.accuracy, "learning_rate": self.learning_rate}
            if validation is not None:
                values = {"validation_accuracy": validation}
            for name, value in values.items():
                self.events.add_scalar(name, value, step)

    def _keep(self, stage, done):
        rows = []
        if self.path.exists():
            with self.path.open(newline="") as file:
                rows = [row for row in csv.reader(file) if len(row) == len(COLUMNS)][1:]
        kept = [row for row in rows if row[0] != stage or int(row[1]) <= done]
        with whole(self.path) as partial, partial.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([COLUMNS, *kept])


def _events(folder, done):
    """A writer of events; readers are told to drop those beyond the steps done."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=done + 1 if done else None)
