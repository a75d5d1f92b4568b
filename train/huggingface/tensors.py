"""Tensors of a checkpoint by the names of its family; what is never asked for is noticed."""

from collections.abc import Iterable, Mapping

import torch

from train.errors import CheckpointError
from train.huggingface.family import Family

#: How norms were called once.
OLD_NAMES = {".gamma": ".weight", ".beta": ".bias"}


class Tensors:
    """Parameters: the ``state`` of a checkpoint, names to tensors, and its `train.huggingface.family.Family`."""

    def __init__(self, state: Mapping[str, torch.Tensor], family: Family):
        self.family = family
        self._original = {self._plain(name): name for name in state}
        self._state = {plain: state[name] for plain, name in self._original.items()}
        self._taken = set()

    def _plain(self, name):
        name = name.removeprefix(self.family.prefix)
        for old, new in OLD_NAMES.items():
            if name.endswith(old):
                name = name.removesuffix(old) + new
        return name

    def __contains__(self, name: str) -> bool:
        return name in self._state

    def original(self, name: str) -> str:
        """What the checkpoint calls it."""
        return self._original.get(name, name)

    def take(self, name: str) -> torch.Tensor:
        """The tensor as float32. Raises CheckpointError if there is none."""
        if name not in self._state:
            raise CheckpointError(
                f"the checkpoint lacks {name}, which a model of the family {self.family.name} has; give another, or name "
                "its family with --family"
            )
        self._taken.add(name)
        return self._state[name].float()

    def count(self, pattern: str) -> int:
        """How many layers there are: the first number for which ``pattern``, with ``{}`` for it, is no name."""
        index = 0
        while pattern.format(index) in self._state:
            index += 1
        return index

    def check_all_taken(self, unused: Iterable[str]) -> None:
        """Raise CheckpointError, naming the tensor, for one that was not taken and does not begin with any of ``unused``."""
        ignored = (*self.family.ignored, *unused)
        left = [name for name in self._state if name not in self._taken and not name.startswith(ignored)]
        if left:
            raise CheckpointError(
                f"the layer of tensor {self.original(left[0])} is not supported: a model of the family {self.family.name} "
                "has no place for it here; remove the layer, or import another checkpoint"
            )
