"""What a user can put right: each is one sentence with the rule, the value and the way out; exit status 2."""


class UsageError(ValueError):
    """An option that makes no sense."""


class BuildError(RuntimeError):
    """A missing or failing tool; names it and where its output is."""
