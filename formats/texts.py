"""Texts as token ids: what does not fit is cut off the same way in training and on a board."""


def cut(ids, closing, tokens):
    """At most ``tokens`` of ``ids``: the last ``closing`` of them stay, what is cut off stood before these."""
    if len(ids) <= tokens:
        return list(ids)
    return [*ids[: max(0, tokens - closing)], *ids[len(ids) - closing :]][:tokens]
