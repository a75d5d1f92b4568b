"""What the units did when: a picture, and a trace for the Perfetto viewer."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib

from formats.files import whole, write_whole
from program.program import Program
from sim.simulation import Event

matplotlib.use("Agg")
from matplotlib import pyplot

from isa.instruction import Opcode, Queue, operation
from sim.watch import queue_order

#: The queue of each opcode that takes time.
_QUEUES = {opcode: queue for opcode in Opcode if (queue := operation(opcode).queue) is not None}


class MeasuredSpan(NamedTuple):
    """An instruction from issue to completion, in cycles of the run."""

    instruction: int
    opcode: Opcode
    name: str
    start: int
    end: int


def spans(program: Program, events: Sequence[Event]) -> list[MeasuredSpan]:
    """One `MeasuredSpan` per instruction from the events of a run, in program order."""
    origin = min((event.cycle for event in events), default=0)
    times = {(queue, done): [e.cycle - origin for e in events if e.queue is queue and e.completed is done]
             for queue in Queue for done in (False, True)}  # fmt: skip
    found = []
    for queue, indices in queue_order(program).items():
        for index, start, end in zip(indices, times[queue, False], times[queue, True], strict=True):
            found.append(MeasuredSpan(index, program.instructions[index].opcode, program.names[index], start, end))
    return sorted(found, key=lambda span: span.instruction)


def write_trace(program: Program, events: Sequence[Event], path: Path | str) -> None:
    """Perfetto (Chrome trace) JSON: one track per queue, a cycle shown as a microsecond."""
    records: list[dict[str, Any]] = [
        {"name": "thread_name", "ph": "M", "pid": 0, "tid": queue.value, "args": {"name": f"{queue.name} queue"}}
        for queue in Queue
    ]
    for span in spans(program, events):
        records.append({
            "name": f"{span.opcode.name} {span.name}", "ph": "X", "pid": 0, "tid": _QUEUES[span.opcode].value,
            "ts": span.start, "dur": span.end - span.start, "args": {"instruction": span.instruction},
        })  # fmt: skip
    write_whole(path, json.dumps({"traceEvents": records, "displayTimeUnit": "ns"}))


def write_picture(program: Program, events: Sequence[Event], path: Path | str, title: str) -> None:
    """The same as a PNG."""
    figure, axes = pyplot.subplots(figsize=(12, 3), dpi=110)
    for span in spans(program, events):
        # Instructions of a queue overlap: the next one starts while the last still drains.
        row = _QUEUES[span.opcode].value + (0.22 if span.instruction % 2 else -0.22)
        axes.barh(row, span.end - span.start, left=span.start, height=0.4, color=operation(span.opcode).colour, linewidth=0)
    axes.set_yticks([queue.value for queue in Queue], [queue.name for queue in Queue])
    axes.invert_yaxis()
    axes.set_xlabel("cycle")
    axes.set_title(title, fontsize=10)
    handles = [pyplot.Rectangle((0, 0), 1, 1, color=operation(opcode).colour) for opcode in _QUEUES]
    axes.legend(
        handles, [opcode.name for opcode in _QUEUES], ncols=6, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.2)
    )
    figure.tight_layout()
    with whole(path) as partial:
        figure.savefig(partial, format="png")
    pyplot.close(figure)
