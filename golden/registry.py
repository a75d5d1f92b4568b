"""Registries: what each kind of a thing is in one layer of the project, found by the kind's name."""

import importlib
from collections.abc import Iterator
from enum import Enum
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Registry(Generic[T]):
    """The object of each member of an enum: ``KIND`` of the module in ``package`` that has the member's name, in lower case.

    So the member is the only line that registers a kind, and each layer that must know it has a module for it.

    Parameters
    ----------
    package : str
        Dotted name. The test of the architecture reads it: who has a registry imports all of its package.
    base : type
        Of the objects.
    kinds : enum
        One or more; members of the same name are the same kind.
    """

    def __init__(self, package: str, base: type[Any], *kinds: type[Enum]):
        self.package, self.base, self.kinds = package, base, kinds

    def __getitem__(self, member: Enum) -> T:
        """Raises KeyError for what is no member, and TypeError for a module whose ``KIND`` is of another type."""
        if not isinstance(member, self.kinds):
            names = " and ".join(kind.__name__ for kind in self.kinds)
            raise KeyError(f"{self.package} has what is a kind of {names}, not {member!r}")
        found = importlib.import_module(f"{self.package}.{member.name.lower()}").KIND
        if not isinstance(found, self.base):
            raise TypeError(f"KIND in {self.package}.{member.name.lower()} must be a {self.base.__name__}, not {found!r}")
        return found

    def __iter__(self) -> Iterator[Enum]:
        """The members, in the order of their enums."""
        return (member for kind in self.kinds for member in kind)
