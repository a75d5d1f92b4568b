"""Commands about resources: estimate."""

import sys
import time

from codesign import estimate
from codesign.devices import LABELS, device, excess
from codesign.synthesis import FLOW, Synthesis
from hw.config import PRESETS
from program.errors import UsageError

#: The preset whose sum is compared with the same design synthesised flat.
CHECKED = "small"


def add_to(commands):
    command = commands.add_parser("estimate", help="resources of an accelerator by open synthesis, beside what a part has")
    command.add_argument("--preset", default="zcu102", help=f"{', '.join(PRESETS)} (default: zcu102)")
    command.add_argument(
        "--set", action="append", default=[], metavar="PARAMETER=NUMBER", help="change a parameter; may be repeated"
    )
    command.add_argument("--device", default="XCZU9EG", help="part or board (default: XCZU9EG)")
    command.add_argument("--paths", action="store_true", help="levels of logic of each unit, and the ten worst paths")
    command.add_argument(
        "--check", action="store_true", help=f"compare the sum with the design synthesised flat (default preset: {CHECKED})"
    )
    command.add_argument("--jobs", type=int, default=1, help="units synthesised at a time (default: 1)")
    command.set_defaults(run=_estimate)


def _progress(text):
    print(text, file=sys.stderr, flush=True)


def _estimate(options):
    start = time.monotonic()
    config = estimate.configuration(options.preset, options.set)
    part = device(options.device)
    synthesis = Synthesis(_progress, options.jobs)
    found = estimate.estimate(config, synthesis)
    depth = estimate.paths(found, synthesis) if options.paths else None
    levels = None
    if depth:
        levels = {}
        for path in depth.paths:
            levels[path.unit] = max(levels.get(path.unit, 0), path.levels)
    print(f"{' '.join([options.preset, *options.set])} on {part.name} ({part.board}), {synthesis.version}, {FLOW}")
    print("\n".join(estimate.table(found, levels)), "", *estimate.usage(found, part), "", sep="\n")
    print(estimate.density(found))
    if depth:
        print("", *_depth(depth), sep="\n")
    if options.check:
        print("", *_compared(found, estimate.whole(config, synthesis)), sep="\n")
    _progress(f"{time.monotonic() - start:.0f} s")
    if over := excess(found.total, part):
        text = ", ".join(f"{amount:,.0f} {LABELS[name]}" for name, amount in over.items())
        raise UsageError(f"this accelerator is too large for {part.name} by {text}")
    return 0


def _depth(depth):
    yield "the ten worst paths between registers, in levels of logic"
    yield from estimate.aligned(
        [["end", "levels"], *([f"{path.end}  from {path.start}", str(path.levels)] for path in depth.paths[:10])]
    )
    where = {"inside": "registered inside", "behind": "read by registers only", "logic": "read by logic"}
    for (kind, place), count in sorted(depth.blocks.items()):
        yield f"outputs of {count} {kind}: {where[place]}"


def _compared(found, flat):
    yield "sum of the units against the same design synthesised flat"
    for name, label in LABELS.items():
        if hasattr(flat, name):
            of_units, of_flat = getattr(found.total, name), getattr(flat, name)
            yield f"{label}: {of_units:,.1f} and {of_flat:,.1f}, {100 * (of_units / of_flat - 1):+.1f} %"
