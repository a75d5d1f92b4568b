"""docs/accuracy.md from the results of the grid: means, deviations and differences; what was not run is said so."""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from formats.files import write_whole
from train.reproduce.grid import CONTROL_DECAYS, CONTROL_RATES, Experiment, Method, plans

NOT_RUN = "not run"
NAMES = {Method.DIRECT: "direct", Method.TWS: "TWS", Method.WTWS: "WTWS"}
TITLES = {
    "fashion-mnist": "Fashion-MNIST",
    "sst2": "SST-2",
    "sst2-bert-tiny": "SST-2, from BERT-tiny",
    "cola": "CoLA (Matthews' correlation x 100)",
    "digits": "Digits",
}
HEAD = """# Accuracy

{origin}

Test sets are whole, and were used for nothing but these numbers; the best epoch is that of the validation split. Numbers
are mean +- sample deviation over seeds (how many is in brackets), in percent. *Integer* is the reference model, which
the RTL equals bit for bit; *trained model* computes as in training, with real numbers between its quantizers;
*agreement* is the lowest share over seeds of samples that both label alike. *Kept* is (accuracy - control) / (teacher -
control), of the means over the same seeds. The *control* has the same embedding and head and no layers, and is the best
by validation of {tries} settings of learning rate and weight decay. All students of a task train the same number of
epochs: *direct* is binary in all of them; *TWS* and *WTWS* are ternary at half width in the first half and split in the
second ([what that is](weight-splitting.md)). Students have weights of 8 bits in patch projection and classifier, and of
one or (split, at half the width) two bits in the layers.
"""


def write_page(
    cells: Sequence[Experiment], result_of: Callable[[Experiment], dict[str, Any] | None], quick: bool, path: Path | str
) -> None:
    """Write the page, whole or not at all.

    Parameters
    ----------
    cells : list of train.reproduce.grid.Experiment
        All of the grid.
    result_of : function
        Of a cell: its result as `train.reproduce.cell.run_cell` gives it, or None.
    """
    origin = "Written by `bittern reproduce --quick`: a check that all of it works, no benchmark." if quick else (
        "Written by `bittern reproduce`."
    )  # fmt: skip
    parts = [HEAD.format(origin=origin, tries=len(CONTROL_RATES) * len(CONTROL_DECAYS))]
    for task in dict.fromkeys(cell.task for cell in cells):
        mine = [cell for cell in cells if cell.task == task]
        parts.append(_section(task, plans(quick)[task], mine, {cell: result_of(cell) for cell in mine}))
    write_whole(path, "\n".join(parts))


def _section(task, plan, cells, results):
    model = plan.model
    table = f"; word embeddings of {model.table_bits} bit{'s' * (model.table_bits > 1)}" if model.vocabulary else ""
    lines = [
        f"## {TITLES[task]}", "",
        f"{model.layers} layers, d {model.width}, {model.heads} heads of {model.head_width}, f {model.feed_forward}{table}; "
        f"teacher and control {plan.teacher.epochs} epochs, students {plan.student.epochs}.", "",
    ]  # fmt: skip
    whole = {method: _values(cells, results, "float", method=method) for method in (Method.TEACHER, Method.CONTROL)}
    lines += [f"* full precision: {_spread(whole[Method.TEACHER])}", f"* control: {_spread(whole[Method.CONTROL])}"]
    lines += [*_headroom(*whole.values()), ""]
    rows, kinds = [], 0
    for bits in sorted({cell.bits for cell in cells if cell.method in NAMES}, reverse=True):
        for method, name in NAMES.items():
            for distilled in (True, False):
                chosen = {"method": method, "bits": bits, "distilled": distilled}
                row = [_values(cells, results, key, **chosen) for key in ("float", "integer", "agreement")]
                kinds += 1
                if row[1]:
                    rows.append(f"| W1A{bits} {name} | {'yes' if distilled else 'no'} | {_row(row, whole)} |")
    if rows:
        lines += ["| | distilled | trained model | integer | loss to teacher | kept | agreement |", "|---" * 7 + "|"]
        lines += [*rows, ""]
    if len(rows) < kinds:
        lines += [f"{kinds - len(rows)} of {kinds} kinds of student: {NOT_RUN}.", ""]
    return "\n".join([*lines, *_verdicts(cells, results), ""])


def _headroom(teacher, control):
    """A warning, where layers do not help on this task even in full precision: then students cannot be told apart."""
    both = sorted(teacher.keys() & control.keys())
    if len(both) < 2:
        return []
    gain, deviation = difference(*([values[seed] for seed in both] for values in (teacher, control)))
    warning = "* full precision is no better than the control beyond the deviation: this task does not tell students apart"
    return [] if gain > deviation else [warning]


def _values(cells, results, key, **chosen):
    """The number of each seed that was run, {seed: number}."""
    found = [cell for cell in cells if all(getattr(cell, name) == value for name, value in chosen.items())]
    return {cell.seed: results[cell]["measured"][key] for cell in found if results[cell] is not None}


def _mean(values, seeds):
    """Over ``seeds``: what is compared must be of the same. None if one of them was not run."""
    return statistics.mean(values[seed] for seed in seeds) if seeds <= values.keys() else None


def _row(row, whole):
    trained, integer, agreement = row
    mean, teacher, control = (_mean(values, integer.keys()) for values in (integer, *whole.values()))
    loss = kept = NOT_RUN
    if teacher is not None:
        loss = f"{teacher - mean:.2f}"
        if control is not None:
            kept = f"{100 * (mean - control) / (teacher - control):.0f} %" if teacher > control else "control is no worse"
    return f"{_spread(trained)} | {_spread(integer)} | {loss} | {kept} | {min(agreement.values()):.2f} %"


def _spread(values):
    if not values:
        return NOT_RUN
    numbers = values.values()
    deviation = f" +- {statistics.stdev(numbers):.2f}" if len(numbers) > 1 else ""
    return f"{statistics.mean(numbers):.2f}{deviation} ({len(numbers)})"


def _verdicts(cells, results):
    """One sentence for each comparison with direct binarization that was run on at least two seeds, fewest bits first."""
    lines = []
    for bits in sorted({cell.bits for cell in cells if cell.method in NAMES}):
        for distilled in (True, False):
            for method in (Method.TWS, Method.WTWS):
                mine, direct = (
                    _values(cells, results, "integer", method=m, bits=bits, distilled=distilled)
                    for m in (method, Method.DIRECT)
                )
                how = "with distillation" if distilled else "from labels alone"
                both = sorted(mine.keys() & direct.keys())
                if len(both) > 1:
                    found = verdict(*([values[seed] for seed in both] for values in (mine, direct)))
                    lines.append(f"* W1A{bits} {how}: {NAMES[method]} against direct: {found}")
    return lines


def verdict(mine: Sequence[float], other: Sequence[float]) -> str:
    """What a comparison of results over two seeds or more says; helps means by more than the larger deviation."""
    gain, deviation = difference(mine, other)
    word = "helps" if gain > deviation else "hurts" if -gain > deviation else "makes no difference beyond the deviation"
    return f"{gain:+.2f} points, deviation {deviation:.2f}: {word}."


def difference(mine: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """Of the means of two lists of results, and the larger of their deviations."""
    return statistics.mean(mine) - statistics.mean(other), max(statistics.stdev(mine), statistics.stdev(other))
