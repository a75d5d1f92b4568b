"""Texts as token ids: what does not fit is cut off the same way in training and on a board."""

from collections.abc import Sequence


def cut(ids: Sequence[int], closing: int, tokens: int) -> list[int]:
    """At most ``tokens`` of ``ids``: the last ``closing`` of them stay, what is cut off stood before these."""
    if len(ids) <= tokens:
        return list(ids)
    return [*ids[: max(0, tokens - closing)], *ids[len(ids) - closing :]][:tokens]
