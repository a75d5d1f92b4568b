"""What a user can get wrong in training; imports no PyTorch, so that the command line knows it without."""

from formats.errors import UserError


class TrainError(UserError):
    """Input that cannot be used: one sentence with the rule, the value and the way out."""


class RecipeError(TrainError):
    """A recipe that cannot be run."""


class DataError(TrainError):
    """Data that is missing or not what it should be."""


class CheckpointError(TrainError):
    """A checkpoint that is missing, damaged or of another run."""


class Diverged(TrainError):
    """The loss is not a number any more; the last checkpoint was written before that."""


class ExportError(TrainError):
    """A model that the hardware cannot run."""
