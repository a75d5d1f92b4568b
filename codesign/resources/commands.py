"""Commands about resources."""

import sys
import time

from codesign.devices import LABELS, device, excess
from codesign.resources import advice, estimate, fit, tables
from codesign.resources import data as resource_data
from codesign.resources import model as resources
from codesign.resources import page as resource_page
from codesign.resources.synthesis import FAMILY, FLOW, Synthesis
from codesign.rtl import fingerprint
from formats.errors import UsageError
from isa.config import PRESETS

#: The preset that docs/resources.md compares with the same design synthesised flat.
CHECKED = "small"


def add_to(commands):
    command = commands.add_parser("estimate", help="resources of an accelerator by open synthesis, beside what a part has")
    _configured(command)
    command.add_argument("--paths", action="store_true", help="levels of logic of each unit, and the ten worst paths")
    command.add_argument("--check", action="store_true", help="compare the sum with the design synthesised flat")
    command.add_argument("--jobs", type=int, default=1, help="runs of Yosys at a time (default: 1)")
    command.set_defaults(run=_estimate)

    command = commands.add_parser("predict", help="the same by the fitted model, at once, with its measured error")
    _configured(command)
    command.set_defaults(run=_predict)

    command = commands.add_parser(
        "fit-resources", help="synthesise the configurations of the model anew (an hour or two; goes on where it was)"
    )
    command.add_argument("--jobs", type=int, default=1, help="runs of Yosys at a time (default: 1)")
    command.set_defaults(run=_fit)

    command = commands.add_parser("resource-page", help="write docs/resources.md")
    command.add_argument("--jobs", type=int, default=1, help="runs of Yosys at a time (default: 1)")
    command.set_defaults(run=_page)


def _configured(command):
    command.add_argument("--preset", default="zcu102", help=f"{', '.join(PRESETS)} (default: zcu102)")
    command.add_argument(
        "--set", action="append", default=[], metavar="PARAMETER=NUMBER", help="change a parameter; may be repeated"
    )
    command.add_argument("--device", default="XCZU9EG", help="part or board (default: XCZU9EG)")


def _progress(text):
    print(text, file=sys.stderr, flush=True)


def _estimate(options):
    start = time.monotonic()
    config = estimate.configuration(options.preset, options.set)
    part = device(options.device)
    _refuse(advice.certain_excess(config, part), config, part)
    synthesis = Synthesis(_progress, options.jobs)
    found = estimate.estimate(config, synthesis)
    depth = estimate.paths(found, synthesis) if options.paths else None
    name = " ".join([options.preset, *options.set])
    print(f"{name} on {part.name} ({part.board}), {synthesis.version}, {FLOW}", "", sep="\n")
    print(*tables.table(found, tables.levels(depth) if depth else None), "", *tables.usage(found, part), "", sep="\n")
    print(tables.density(found))
    if depth:
        print("", *tables.worst(depth), sep="\n")
    passed = True
    if options.check:
        flat = estimate.whole(config, synthesis)
        passed = tables.within(found.total, flat)
        shared = estimate.shared_lut(found, synthesis)
        print("", "against the same design synthesised flat", *tables.compared(found.total, flat, shared), sep="\n")
        print(f"{'within' if passed else 'NOT within'} {tables.TOLERANCE} % for every resource")
    _progress(f"{time.monotonic() - start:.0f} s")
    _refuse(excess(found.total, part), config, part)
    return 0 if passed else 1


def _refuse(over, config, part):
    """Raises UsageError if anything does not fit: what, by how much, and the nearest configuration that does.

    Not for a part of another family than is synthesised for, as what it takes there is unknown.
    """
    if over and part.family == FAMILY:
        text = " and ".join(f"{amount:,.0f} {LABELS[name]}" for name, amount in over.items())
        raise UsageError(f"this accelerator is too large for {part.name} by {text}; {advice.advice(config, part)}")


def _predict(options):
    config = estimate.configuration(options.preset, options.set)
    part = device(options.device)
    used = resources.predict(config)
    print(f"{' '.join([options.preset, *options.set])} on {part.name} ({part.board})")
    print(*tables.predicted(config, part, used, resources.errors()), sep="\n")
    fitted_to = resource_data.samples()[0].rtl
    if fitted_to != fingerprint():
        print(f"fitted to RTL {fitted_to}; it is {fingerprint()} now: `python -m codesign fit-resources` fits anew")
    _refuse(excess(used, part), config, part)
    return 0


def _fit(options):
    synthesis = Synthesis(_progress, options.jobs)
    resource_data.write(list(fit.synthesised(synthesis)))
    resources.forget()
    print(*tables.errors(resources.errors()), sep="\n")
    return 0


def _page(options):
    synthesis = Synthesis(_progress, options.jobs)
    found = {name: estimate.estimate(config, synthesis) for name, config in PRESETS.items()}
    flat = estimate.whole(PRESETS[CHECKED], synthesis)
    check = resource_page.Check(CHECKED, flat, estimate.shared_lut(found[CHECKED], synthesis))
    depth = estimate.paths(found[resource_page.PRESET], synthesis)
    resource_page.PAGE.write_text(resource_page.page(found, depth, check, synthesis.version))
    return 0 if tables.within(found[CHECKED].total, flat) else 1
