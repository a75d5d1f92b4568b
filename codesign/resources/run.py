"""What the commands about resources do: each takes the options of `codesign.commands` and returns the exit status."""

import argparse
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
from isa.options import chosen_accelerator
from isa.presets import PRESETS

#: The preset that docs/resources.md compares with the same design synthesised flat.
CHECKED = "small"


def _progress(text):
    print(text, file=sys.stderr, flush=True)


def run_estimate(options: argparse.Namespace) -> int:
    start = time.monotonic()
    name, config = chosen_accelerator(options)
    part = device(options.device)
    _refuse(advice.certain_excess(config, part), config, part)
    synthesis = Synthesis(_progress, options.jobs)
    found = estimate.estimate(config, synthesis)
    depth = estimate.paths(found, synthesis) if options.paths else None
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


def run_predict(options: argparse.Namespace) -> int:
    name, config = chosen_accelerator(options)
    part = device(options.device)
    used = resources.predict(config)
    print(f"{name} on {part.name} ({part.board})")
    print(*tables.predicted(config, part, used, resources.errors()), sep="\n")
    fitted_to = resource_data.samples()[0].rtl
    if fitted_to != fingerprint():
        print(f"fitted to RTL {fitted_to}; it is {fingerprint()} now: `bittern fit-resources` fits anew")
    _refuse(excess(used, part), config, part)
    return 0


def run_fit(options: argparse.Namespace) -> int:
    synthesis = Synthesis(_progress, options.jobs)
    resource_data.write(list(fit.synthesised(synthesis)))
    resources.forget()
    print(*tables.errors(resources.errors()), sep="\n")
    return 0


def run_page(options: argparse.Namespace) -> int:
    synthesis = Synthesis(_progress, options.jobs)
    found = {name: estimate.estimate(config, synthesis) for name, config in PRESETS.items()}
    flat = estimate.whole(PRESETS[CHECKED], synthesis)
    check = resource_page.Check(CHECKED, flat, estimate.shared_lut(found[CHECKED], synthesis))
    depth = estimate.paths(found[resource_page.PRESET], synthesis)
    resource_page.PAGE.write_text(resource_page.page(found, depth, check, synthesis.version))
    return 0 if tables.within(found[CHECKED].total, flat) else 1
