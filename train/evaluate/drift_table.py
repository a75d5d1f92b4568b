"""Tables of `bittern evaluate`."""

from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from train.evaluate.drift import Drift

CAPTION = (
    "differs: share of the codes that differ; of streams and logits, root mean square of the difference. own: the same when "
    "the layer is given the integer model's input. at limit: codes at an end of their range. saturated: elements of the "
    "stream. from full: distance from full precision, in real numbers."
)


def score_table(scores: Mapping[str, Mapping[str, float]], title: str) -> Table:
    """A table of ``{form: {"accuracy", "agreement"}}`` in percent."""
    table = Table("form of the model", title=title, title_justify="left")
    table.add_column("accuracy", justify="right")
    table.add_column("labels as the integer model's", justify="right")
    for name, score in scores.items():
        table.add_row(name, f"{score['accuracy']:.2f} %", f"{score['agreement']:.2f} %")
    return table


def drift_table(rows: Sequence[Drift], samples: int) -> Table:
    """A table of a list of `train.evaluate.drift.Drift`."""
    title = f"integers against real numbers, over {samples} samples"
    table = Table(
        title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, caption=CAPTION, caption_justify="left"
    )
    table.add_column("tensor", no_wrap=True, min_width=max(len(row.name) for row in rows))
    for name in ("differs", "own", "at limit", "saturated", "from full"):
        table.add_column(name, justify="right")
    for row in rows:
        saturated = "" if row.saturated is None else str(row.saturated)
        table.add_row(row.name, _share(row.differ), _share(row.own), _share(row.limit), saturated, _share(row.from_full))
    return table


def _share(value):
    return "" if value is None else f"{100 * value:.2f} %"
