"""What a message must name, without pinning the words between."""

import re


def naming(*parts):
    """A pattern for ``match=`` or `re.search`: ``parts`` in this order, each a whole word or number, whatever is between.

    A refusal names its rule, the value and the way out: ``naming("rows", "power of two", 12)``.
    """
    return ".*".join(rf"(?<![\w-])(?<!\d\.){re.escape(str(part))}(?!\w|\.\d)" for part in parts)
