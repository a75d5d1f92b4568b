"""Several processes that train one model: as torchrun starts them, or this one alone."""

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from train.errors import TrainError


@dataclass(frozen=True)
class Workers:
    """``rank`` of ``count`` processes, and the device of this one."""

    device: torch.device
    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def wrap(self, model: torch.nn.Module) -> torch.nn.Module:
        """The model whose gradients are means over all processes."""
        return DistributedDataParallel(model) if self.count > 1 else model

    def mean(self, number: float) -> float:
        """Mean of a number over all processes."""
        if self.count == 1:
            return number
        total = torch.tensor(number, dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        return total.item() / self.count

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            distributed.barrier()

    def alone(self, model: torch.nn.Module) -> AbstractContextManager[None]:
        """Context in which gradients stay in this process, to be added to the next ones."""
        return model.no_sync() if self.count > 1 else nullcontext()


def join(device: str = "auto") -> Workers:
    """The workers: of torchrun's environment if it is there, and on a GPU where there is one.

    Parameters
    ----------
    device : str
        ``auto``, or what PyTorch calls it: ``cpu``, ``cuda``, ``cuda:1``.
    """
    count, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
        if chosen.type == "cuda" and chosen.index is None:
            chosen = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        raise TrainError(f"device {device!r} cannot be used ({reason}); leave --device out, or say cpu") from None
    if count > 1 and not distributed.is_initialized():
        distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    return Workers(chosen, rank, count)


def leave() -> None:
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
