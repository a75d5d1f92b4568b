"""What a user can put right: each is one sentence with the rule, the value and the way out; exit status 2."""


class UserError(ValueError):
    """Everything of this kind; the command line prints it as one sentence. Parts of the project derive their own."""


class UsageError(UserError):
    """An option that makes no sense."""


class BuildError(UserError):
    """A missing or failing tool; names it and where its output is."""
