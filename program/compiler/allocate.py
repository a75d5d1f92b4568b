"""Addresses: every buffer gets words that nobody else uses while it lives, and every load its place in the program."""

from collections.abc import Sequence
from dataclasses import dataclass

from isa.config import AcceleratorConfig
from isa.instruction import Memory
from isa.memory import depth_of
from program.compiler.graph import Buffer, Op
from program.program import CompileError


class DoesNotFit(Exception):
    """A buffer found no place at operation ``op``, where ``free`` words are free together."""

    def __init__(self, buffer: Buffer, op: Op, free: int):
        super().__init__(buffer.name)
        self.buffer, self.op, self.free = buffer, op, free


@dataclass
class _Tenant:
    address: int
    size: int
    start: int
    end: int


class _Space:
    """One memory over time, time counted in operations."""

    def __init__(self, depth):
        self.depth = depth
        self.tenants = []

    def find(self, size, start, end, from_top):
        """First free address for ``size`` words over operations start .. end, or None."""
        gaps = [(low, high) for low, high in self.gaps(start, end) if high - low >= size]
        if not gaps:
            return None
        return gaps[-1][1] - size if from_top else gaps[0][0]

    def gaps(self, start, end):
        """``(first, end)`` of the words that are free over operations start .. end."""
        busy = sorted((t.address, t.address + t.size) for t in self.tenants if t.start <= end and start <= t.end)
        gaps, edge = [], 0
        for low, high in busy:
            if low > edge:
                gaps.append((edge, low))
            edge = max(edge, high)
        return [*gaps, (edge, self.depth)]

    def largest(self, start, end):
        """Words that are free together over operations start .. end."""
        return max(high - low for low, high in self.gaps(start, end))

    def take(self, address, size, start, end):
        self.tenants.append(_Tenant(address, size, start, end))


def allocate(ops: Sequence[Op], config: AcceleratorConfig) -> list[list[Buffer]]:
    """Place all buffers of ``ops``.

    What operations write comes first, from the bottom up; what is loaded goes where that leaves space, from the top
    down and as early as possible, never before what is used earlier, so that the queue of loads is in order of use.

    Returns
    -------
    list of list of Buffer
        For each operation the buffers whose loads are issued just before it.

    Raises
    ------
    DoesNotFit
    """
    spaces = {memory: _Space(depth_of(config, memory)[0]) for memory in Memory}
    first, last = {}, {}
    for index, op in enumerate(ops):
        for buffer in op.buffers:
            first.setdefault(buffer, index)
            last[buffer] = index
    for buffer in sorted((b for b in first if not b.fetches), key=lambda b: (first[b], -b.size, b.name)):
        space = spaces[buffer.memory]
        address = space.find(buffer.size, first[buffer], last[buffer], from_top=False)
        if address is None:
            raise DoesNotFit(buffer, ops[first[buffer]], space.largest(first[buffer], last[buffer]))
        _take(spaces, buffer, address, first[buffer], last[buffer])

    # More loads than this, and their queue would be full so often that the operations behind could not be fetched.
    ahead = config.dma_queue * 3 // 4
    issued = [[] for _ in ops]
    uses = []  # of each load so far, the operation that needs it
    earliest = 0
    for index, op in enumerate(ops):
        for buffer in op.buffers:
            if buffer.fetches and first[buffer] == index:
                uses += [index] * len(buffer.fetches)
                if len(uses) > ahead:
                    earliest = max(earliest, min(uses[-ahead - 1] + 1, index))
                earliest = _place_load(spaces, buffer, op, earliest, index, last[buffer])
                issued[earliest].append(buffer)
    return issued


def _place_load(spaces, buffer, op, earliest, use, last):
    """Place a loaded buffer; returns the operation before which its load is issued."""
    for issue in range(earliest, use + 1):
        # A load issued ahead of its use waits for nothing that the operation before it may still be using, so that
        # it does not hold up the queue.
        start = max(issue - 1, 0) if issue < use else issue
        address = spaces[buffer.memory].find(buffer.size, start, last, from_top=True)
        if address is not None:
            _take(spaces, buffer, address, start, last)
            return issue
    raise DoesNotFit(buffer, op, spaces[buffer.memory].largest(use, last))


def _take(spaces, buffer, address, start, end):
    buffer.address = address
    spaces[buffer.memory].take(address, buffer.size, start, end)


def refusal(failure: DoesNotFit, config: AcceleratorConfig, batch: int) -> CompileError:
    """The CompileError for a buffer that found no place: which memory lacks how many words, and the largest ``batch`` that
    would fit, 0 for none."""
    buffer = failure.buffer
    depth, name = depth_of(config, buffer.memory)
    memory = f"the {buffer.memory.name.lower()} memory"
    have = f"of the {depth} in {memory} only {failure.free} are free together during {failure.op.name}"
    smaller = f", choose a larger preset, or a batch of {batch}, which fits" if batch else " or choose a larger preset"
    lacking = buffer.size - failure.free
    return CompileError(f"{buffer.name} needs {buffer.size} words, but {have}: {lacking} are lacking; raise {name}{smaller}")
