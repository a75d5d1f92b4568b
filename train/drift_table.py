"""Tables of `bittern evaluate`."""

from rich.table import Table


def score_table(scores, title):
    """A table of ``{form: {"accuracy", "agreement"}}`` in percent."""
    table = Table("form of the model", title=title, title_justify="left")
    table.add_column("accuracy", justify="right")
    table.add_column("labels as the integer model's", justify="right")
    for name, score in scores.items():
        table.add_row(name, f"{score['accuracy']:.2f} %", f"{score['agreement']:.2f} %")
    return table


def drift_table(rows, samples):
    """A table of a list of `train.drift.Drift`."""
    title = f"integers against real numbers, over {samples} samples: where codes and streams differ"
    table = Table("tensor", title=title, title_justify="left")
    for name in ("differs", "of its own", "at its limit", "saturated", "from full precision"):
        table.add_column(name, justify="right")
    for row in rows:
        saturated = "" if row.saturated is None else str(row.saturated)
        table.add_row(row.name, _share(row.differ), _share(row.own), _share(row.limit), saturated, _share(row.from_full))
    table.caption = (
        "codes: share that differs; streams and logits: root mean square of the difference. of its own: when the layer is "
        "given the integer model's input"
    )
    return table


def _share(value):
    return "" if value is None else f"{100 * value:.2f} %"
