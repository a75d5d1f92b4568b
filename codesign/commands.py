"""Commands about resources and the clock: `bittern estimate`, `predict`, `timing`, their pages, their data."""

import argparse

from isa.options import add_accelerator


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the sub-parsers of a command line."""
    estimate = commands.add_parser("estimate", help="resources of an accelerator by open synthesis, beside what a part has")
    _add_accelerator_on_a_part(estimate)
    estimate.add_argument("--paths", action="store_true", help="levels of logic of each unit, and the ten worst paths")
    estimate.add_argument("--check", action="store_true", help="compare the sum with the design synthesised flat")
    _add_jobs(estimate)
    estimate.set_defaults(run=_estimate)

    timing = commands.add_parser("timing", help="an estimate of the clock from published delays, and the vendor's checks")
    _add_accelerator_on_a_part(timing)
    timing.add_argument("--clock", type=float, default=300, metavar="MHZ", help="what is asked for (default: %(default)s)")
    timing.add_argument("--paths", type=int, default=10, help="how many paths and nets are listed (default: %(default)s)")
    timing.add_argument("--json", metavar="FILE", help="write all of it there")
    _add_jobs(timing)
    timing.set_defaults(run=_timing)

    walked = commands.add_parser("timing-routed", help="the same walk over the ECP5 design that was placed and routed")
    walked.add_argument("folder", help="where `bittern ulx3s` built it, such as build/ulx3s")
    walked.set_defaults(run=_timing_routed)

    timing_page = commands.add_parser("timing-page", help="write docs/timing.md and the estimated clocks of the presets")
    _add_jobs(timing_page)
    timing_page.set_defaults(run=_timing_page)

    predict = commands.add_parser("predict", help="the same by the fitted model, at once, with its measured error")
    _add_accelerator_on_a_part(predict)
    predict.set_defaults(run=_predict)

    fit = commands.add_parser(
        "fit-resources", help="synthesise the configurations of the model anew (an hour or two; goes on where it was)"
    )
    _add_jobs(fit)
    fit.set_defaults(run=_fit)

    page = commands.add_parser("resource-page", help="write docs/resources.md")
    _add_jobs(page)
    page.set_defaults(run=_page)

    routed = commands.add_parser("routed", help="write what place and route measured into the pages that show it")
    routed.set_defaults(run=_routed)


def _add_accelerator_on_a_part(parser):
    add_accelerator(parser, "zcu102")
    parser.add_argument("--device", default="XCZU9EG", help="part or board (default: %(default)s)")


def _add_jobs(parser):
    parser.add_argument("--jobs", type=int, default=1, help="runs of Yosys at a time (default: %(default)s)")


def _estimate(options):
    from codesign.resources.run import run_estimate

    return run_estimate(options)


def _timing(options):
    from codesign.timing.run import run_timing

    return run_timing(options)


def _timing_routed(options):
    from codesign.timing.routed import run_routed

    return run_routed(options)


def _timing_page(options):
    from codesign.timing.page import run_page

    return run_page(options)


def _predict(options):
    from codesign.resources.run import run_predict

    return run_predict(options)


def _fit(options):
    from codesign.resources.run import run_fit

    return run_fit(options)


def _page(options):
    from codesign.resources.run import run_page

    return run_page(options)


def _routed(options):
    from codesign.routed import write

    return write(options)
