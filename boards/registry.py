"""The boards there are: every folder here that has a record."""

import importlib
import pkgutil
from importlib.util import find_spec
from operator import attrgetter

import boards
from boards.board import Board


def all_boards() -> dict[str, Board]:
    """Records by name, in alphabetical order. Raises ValueError for a record of another name than its folder's."""
    found = {}
    for module in sorted(pkgutil.iter_modules(boards.__path__), key=attrgetter("name")):
        if module.ispkg and find_spec(f"boards.{module.name}.record"):
            board = importlib.import_module(f"boards.{module.name}.record").BOARD
            board.require(board.name == module.name, f"its name must be its folder's, {module.name}", board.name)
            found[board.name] = board
    return found
