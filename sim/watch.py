"""Follows the runs of a program on a simulation, instruction by instruction."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from isa.instruction import Queue, queue_of
from program.program import Program
from sim.simulation import Event, Observer, Simulation


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a run: at which ``cycle``, how many instructions were ``completed``, of how many.

    ``last`` is the index of the instruction that completed last, or None, and ``name`` what it computes.
    """

    def __init__(self, cycle: int, completed: int, total: int, last: int | None, name: str | None):
        place = "" if last is None else f", the last of them instruction {last} ({name})"
        super().__init__(f"at cycle {cycle}, {completed} of {total} instructions completed{place}")
        self.cycle, self.completed, self.last = cycle, completed, last


def queue_order(program: Program) -> dict[Queue, list[int]]:
    """Indices of the instructions that go to each queue, in the order in which they are issued and complete there."""
    order: dict[Queue, list[int]] = {queue: [] for queue in Queue}
    for index, instruction in enumerate(program.instructions):
        queue = queue_of(instruction)
        if queue is not None:
            order[queue].append(index)
    return order


@contextmanager
def watch(
    simulation: Simulation,
    program: Program,
    on_completed: Callable[[int], object] = lambda index: None,
    on_progress: Callable[[int, int], object] = lambda cycle, completed: None,
) -> Iterator[None]:
    """As long as it lasts, every run of ``program`` that is started on the simulation is watched.

    Parameters
    ----------
    on_completed
        Called with the index of each instruction when it has completed, to look into memories.
    on_progress
        Called often, with the cycles since the start of the run and the number of instructions completed; HALT is none of
        them.

    Raises
    ------
    Interrupted
        On Ctrl-C.
    """
    follower = _Follower(program, on_completed, on_progress)
    simulation.observer = follower
    try:
        yield
    except KeyboardInterrupt:
        raise follower.interrupted() from None
    finally:
        simulation.observer = Observer()


class _Follower(Observer):
    """Tells events by the instructions that they belong to, once a run has been started."""

    def __init__(self, program, on_completed, on_progress):
        self._program, self._on_completed, self._on_progress = program, on_completed, on_progress
        self._order = queue_order(program)
        self._cycle, self._done, self._left = 0, [], {}

    def started(self) -> None:
        self._cycle, self._done = 0, []
        self._left = {queue: iter(order) for queue, order in self._order.items()}

    def advanced(self, cycle: int, events: list[Event]) -> None:
        if not self._left:
            return
        self._cycle = cycle
        for event in events:
            if event.completed:
                index = next(self._left[event.queue], None)
                if index is not None:  # a corrupted image may hold more instructions than its program
                    self._done.append(index)
                    self._on_completed(index)
        self._on_progress(cycle, len(self._done))

    def interrupted(self) -> Interrupted:
        last = self._done[-1] if self._done else None
        total = sum(map(len, self._order.values()))
        name = None if last is None else self._program.names[last]
        return Interrupted(self._cycle, len(self._done), total, last, name)
