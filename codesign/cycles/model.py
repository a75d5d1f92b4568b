"""Cycle model: when every instruction of a program starts and ends, how long the inference takes, and what bounds it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from codesign.cycles.engine import Engine, RowRoom
from codesign.cycles.events import Events, Port
from codesign.cycles.frontend import Frontend
from codesign.cycles.memory import Dma, ExternalMemory
from codesign.cycles.rows import RowUnits
from codesign.cycles.timing import Timing
from isa.instruction import SAMPLES, Memory, Opcode, Queue
from isa.memory_timing import PLAIN, MemoryTiming
from isa.resolve import resolve
from program.program import Program

END = 4  #: from the last instruction's end to the end of the run


class PredictedSpan(NamedTuple):
    """An instruction: issued in cycle ``start``, done in ``end``; ``bound`` has its cycles by cause, waiting included."""

    instruction: int
    opcode: Opcode
    name: str
    start: int
    end: int
    bound: dict[str, int]

    @property
    def bound_by(self) -> str:
        """The cause of most of its cycles."""
        return max(self.bound, key=self.bound.__getitem__)


@dataclass(frozen=True)
class Prediction:
    """Cycles from START to the end, one `PredictedSpan` for each instruction in program order, and all cycles by what
    the engine did or waited for."""

    cycles: int
    spans: list[PredictedSpan]
    breakdown: dict[str, int]


def predict(program: Program, memory: MemoryTiming = PLAIN, lengths: Sequence[int] | None = None) -> Prediction:
    """Cycles of one inference.

    Parameters
    ----------
    program : program.program.Program
    memory : isa.memory_timing.MemoryTiming
        Of external memory.
    lengths : sequence of int
        Tokens of each sample that are not padding; all by default.

    Returns
    -------
    Prediction
    """
    config = program.config
    lengths = [program.input.tokens] * SAMPLES if lengths is None else lengths
    left = [resolve(instruction, lengths, config) for instruction in program.instructions]
    nothing = frozenset(index for index, instruction in enumerate(left) if instruction is None)
    # Units see what is left; what nothing is left of they never ask for.
    kept = (now or before for now, before in zip(left, program.instructions, strict=True))
    program = replace(program, instructions=tuple(kept))
    events, timing = Events(), Timing.of(config)
    ports = {memory: Port() for memory in (Memory.LEFT, Memory.RIGHT, Memory.RESIDUAL)}
    external = ExternalMemory(events, config, memory, ports)
    frontend = Frontend(events, program, nothing, timing, external)
    dma = Dma(events, program, frontend, external)
    buffer = RowRoom(events, timing.row_slots, timing.slot_tiles)
    engine = Engine(events, program, timing, frontend, ports, buffer)
    rows = RowUnits(events, program, timing, frontend, ports, buffer, memory.latency)
    events.run()
    count = sum(len(frontend.completed[queue]) for queue in Queue)
    if count != len(program.instructions) - 1:
        raise RuntimeError(f"the model completed {count} of {len(program.instructions) - 1} instructions")
    last = max(frontend.completed[queue][-1] for queue in Queue if frontend.completed[queue])
    cycles = max(last + END, frontend.halted[0] + 3)
    bounds = {index: load.bound for index, load in dma.loads}
    bounds |= {index: bound for index, _, _, bound in engine.spans} | dict(rows.spans)
    bounds |= {index: {"nothing left": 1} for index in nothing}
    spans = []
    for queue in Queue:
        for (start, index, wait), end in zip(frontend.issued[queue], frontend.completed[queue], strict=True):
            opcode, name = program.instructions[index].opcode, program.names[index]
            bound = {cause: count for cause, count in bounds[index].items() if count}
            if wait.cycles and queue is not Queue.QMM:
                bound[wait.cause] = bound.get(wait.cause, 0) + wait.cycles
            spans.append(PredictedSpan(index, opcode, name, start, end, bound))
    spans.sort(key=lambda span: span.instruction)
    return Prediction(cycles, spans, _breakdown(bounds, frontend.started[Queue.QMM], engine.spans, cycles))


def _breakdown(bounds, started, sequenced, cycles):
    """All cycles by what the engine did or waited for, the longest first."""
    causes = {}
    for (_, _, wait), (_, _, _, bound) in zip(started, sequenced, strict=True):
        for cause, count in bound.items():
            if cause == wait.cause and wait.blocker is not None:
                blocker = bounds[wait.blocker]
                cause = f"{cause}: {max(blocker, key=blocker.__getitem__)}"
            causes[cause] = causes.get(cause, 0) + count
    causes["after the last words"] = cycles - sequenced[-1][2]
    return dict(sorted(((c, n) for c, n in causes.items() if n), key=lambda item: -item[1]))
