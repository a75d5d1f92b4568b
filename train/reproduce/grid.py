"""The grid behind docs/accuracy.md: which models are trained, each as a recipe, at equal budgets."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from golden.model import Order
from train.data.tasks import Task
from train.errors import TrainError
from train.model.precision import FULL, Weights
from train.model.structure import Activation
from train.run.recipe import Model, Recipe, Schedule, StageRecipe


class Method(StrEnum):
    TEACHER = "teacher"
    #: The teacher without its layers.
    CONTROL = "control"
    #: Binary from the teacher's weights on.
    DIRECT = "direct"
    #: Half the width and ternary for half of the epochs, then split.
    TWS = "tws"
    #: The same, weighted, with trained scales.
    WTWS = "wtws"


BITS = (8, 4, 2, 1)
SEEDS = (1, 2, 3)
#: Learning rates and weight decays that the control is tuned over; the best validation counts.
CONTROL_RATES, CONTROL_DECAYS = (5e-4, 2e-3, 8e-3), (0.0, 0.05)


@dataclass(frozen=True)
class Experiment:
    """One training: ``task`` names a plan, ``bits`` of the activations, ``distilled`` or from labels alone."""

    task: str
    method: Method
    bits: int
    distilled: bool
    seed: int

    @property
    def name(self) -> str:
        parts = [self.task, self.method]
        if self.method not in (Method.TEACHER, Method.CONTROL):
            parts += [f"w1a{self.bits}", "distilled" if self.distilled else "labels"]
        return "-".join([*parts, f"seed{self.seed}"])


@dataclass(frozen=True)
class Plan:
    """What the cells of a task share: the teacher's step, and ``student``, whose epochs are every student's budget."""

    task: Task
    model: Model
    teacher: StageRecipe
    student: StageRecipe
    #: Pixels that images are shifted by at most in training, of teacher, control and students alike.
    shift: int = 0
    #: Imported checkpoint that teacher and control start from: the name of its folder among those of results.
    start: str = ""

    def start_in(self, folder: Path | str) -> str | None:
        """Where the imported checkpoint is, None without."""
        return str(Path(folder) / self.start) if self.start else None

    def recipe(self, cell: Experiment, folder: Path | str) -> Recipe:
        """The recipe of a cell: all but the control's, which has several. ``folder`` is that of results."""
        start = self._begin(cell, folder, self.model, (self.teacher,))
        if cell.method is Method.TEACHER:
            return start
        step = dataclasses.replace(self.student, activation_bits=cell.bits)
        if not cell.distilled:
            step = dataclasses.replace(step, label_weight=1.0, hidden_weight=0.0, attention_weight=0.0)
        if cell.method is Method.DIRECT:
            return dataclasses.replace(start, steps=(self.teacher, step))
        weighted = cell.method is Method.WTWS
        first = step.epochs // 2
        ternary = dataclasses.replace(step, epochs=first, weights=Weights.TERNARY, half=True, weighted=weighted)
        split = dataclasses.replace(
            step, epochs=step.epochs - first, weights=Weights.SPLIT, weighted=weighted, trained_scale=weighted
        )
        return dataclasses.replace(start, steps=(self.teacher, ternary, split))

    def _begin(self, cell, folder, model, steps):
        return Recipe(cell.name, self.task, cell.seed, model, steps, start=self.start_in(folder), shift=self.shift)

    def controls(self, cell: Experiment, folder: Path | str) -> Iterator[Recipe]:
        """Recipes of the control: the tries of its tuning, each with the teacher's epochs."""
        start = self._begin(cell, folder, dataclasses.replace(self.model, layers=0), ())
        for rate in CONTROL_RATES:
            for decay in CONTROL_DECAYS:
                step = dataclasses.replace(self.teacher, learning_rate=rate, weight_decay=decay)
                yield dataclasses.replace(start, steps=(step,))


def _full(**settings):
    return StageRecipe(activation_bits=FULL, **settings)


PLANS = {
    "fashion-mnist": Plan(
        Task.FASHION_MNIST,
        Model(3, 128, 4, 32, 256, order=Order.PRE, patch=12, stride=8),
        _full(epochs=60, batch=128, learning_rate=2e-3, weight_decay=0.05, schedule=Schedule.COSINE, average=0.999),
        # The streams of pre-LN grow: hidden states weigh little, or they drown the labels.
        StageRecipe(1, 12, 128, 1e-3, per_channel=True, hidden_weight=0.02, label_weight=0.2, schedule=Schedule.COSINE),
        shift=1,
    ),
    "digits": Plan(
        Task.DIGITS,
        Model(2, 32, 2, 16, 64, patch=4, stride=2),
        _full(epochs=40, batch=48, learning_rate=4e-3, weight_decay=0.01, schedule=Schedule.COSINE),
        StageRecipe(1, 30, 48, 4e-3, per_channel=True, hidden_weight=0.02, schedule=Schedule.COSINE),
    ),
    "sst2": Plan(
        Task.SST2,
        Model(2, 128, 2, 64, 256, vocabulary=8000, tokens=48),
        _full(epochs=3, batch=128, learning_rate=7e-4, dropout=0.25, weight_decay=0.05),
        StageRecipe(1, 4, 128, 1e-3, per_channel=True, hidden_weight=0.5),
    ),
    "sst2-bert-tiny": Plan(
        Task.SST2,
        Model(2, 128, 2, 64, 512, vocabulary=30522, tokens=64, table_bits=8, activation=Activation.GELU, epsilon=1e-12),
        _full(epochs=4, batch=64, learning_rate=2e-4, activation=Activation.RELU, dropout=0.1, weight_decay=0.01),
        StageRecipe(1, 4, 128, 1e-3, per_channel=True, label_weight=0.2, hidden_weight=0.5, schedule=Schedule.COSINE),
        start="bert-tiny",
    ),
    "cola": Plan(
        Task.COLA,
        Model(2, 128, 2, 64, 256, vocabulary=4000, tokens=32),
        _full(epochs=8, batch=64, learning_rate=7e-4, dropout=0.25, weight_decay=0.05),
        StageRecipe(1, 8, 64, 1e-3, per_channel=True, hidden_weight=0.5),
    ),
}
QUICK = {
    "digits": Plan(
        Task.DIGITS,
        Model(2, 32, 2, 16, 64, patch=4, stride=2),
        _full(epochs=8, batch=48, learning_rate=4e-3, weight_decay=0.01),
        StageRecipe(1, 4, 48, 4e-3, per_channel=True, hidden_weight=0.2),
    ),
}
QUICK_BITS, QUICK_SEEDS = (4, 1), (1, 2)


def plans(quick: bool) -> dict[str, Plan]:
    """The plans of the grid by name, or those of the quick one."""
    return QUICK if quick else PLANS


def cells(
    quick: bool,
    tasks: Sequence[str] | None = None,
    bits: Sequence[str] | None = None,
    methods: Sequence[str] | None = None,
    seeds: Sequence[str] | None = None,
) -> list[Experiment]:
    """The cells of the grid, or of a part: list of Experiment. Teachers and controls come whatever ``bits`` and
    ``methods`` are.

    Raises TrainError for a value that the grid does not have.
    """
    chosen = {
        "task": _choose("task", tasks, list(plans(quick))),
        "bits": _choose("bits", bits, QUICK_BITS if quick else BITS),
        "method": _choose("method", methods, (Method.DIRECT, Method.TWS, Method.WTWS)),
        "seed": _choose("seed", seeds, QUICK_SEEDS if quick else SEEDS),
    }
    result = []
    for task in chosen["task"]:
        for seed in chosen["seed"]:
            result += [Experiment(task, method, FULL, False, seed) for method in (Method.TEACHER, Method.CONTROL)]
            result += [
                Experiment(task, method, width, distilled, seed)
                for width in chosen["bits"]
                for method in chosen["method"]
                for distilled in (True, False)
            ]
    return result


def _choose(name, wanted, known):
    by_text = {str(value): value for value in known}
    for value in wanted or ():
        if value not in by_text:
            raise TrainError(f"--{name} must be one of {', '.join(by_text)}, not {value!r}")
    return [by_text[value] for value in wanted] if wanted else list(known)
