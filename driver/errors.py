"""What can go wrong between a host and an accelerator: each says the cause and the way out in one sentence."""

from formats.errors import UserError
from isa.errors import Error


class BoardError(UserError):
    """Everything in this file."""


class TransportError(BoardError):
    """The way to the accelerator failed: a device that cannot be opened, a short read, a corrupt or missing answer."""


class WrongDevice(BoardError):
    """What answers is not this accelerator, or not of this version: identification, version or shape registers differ."""


class WrongProgram(BoardError):
    """A program compiled for another configuration, or too large for the memory that the transport offers."""


class RunTimeout(BoardError):
    """The accelerator did not end a run in time; it may still be busy."""


class RunError(BoardError):
    """A run that the accelerator ended with an error.

    ``code`` is a `isa.errors.Error`, ``instruction`` the index of the instruction that caused it, ``name`` what
    that instruction computes, ``port`` the memory port that answered with the error, or did not answer; None if no port
    had to do with it.
    """

    def __init__(self, code: Error, instruction: int, name: str, advice: str, port: int | None = None):
        where = "" if port is None else f" on memory port {port}"
        super().__init__(f"the accelerator stopped with {code.name}{where} at instruction {instruction} ({name}); {advice}")
        self.code, self.instruction, self.name, self.port = code, instruction, name, port
