"""Command-line options that choose an accelerator and a batch, the same for every command: ``--preset``, ``--set`` and
``--batch``."""

import argparse
from dataclasses import fields, replace
from typing import NamedTuple

from formats.errors import UsageError
from isa.config import AcceleratorConfig, Uram
from isa.presets import PRESETS, preset

#: What ``--preset`` takes for all presets, where a command can do them all.
ALL = "all"


class Chosen(NamedTuple):
    """An accelerator and what it is called: the preset's name, then what was changed, as in ``tiny rows=8``."""

    name: str
    config: AcceleratorConfig


def add_accelerator(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the options to a parser; with default `ALL` every preset can be asked for at once."""
    names = ", ".join(PRESETS)
    listed = f"{names} or {ALL} (default)" if default == ALL else f"{names} (default: {default})"
    parser.add_argument("--preset", default=default, help=f"the accelerator: {listed}")
    parser.add_argument(
        "--set", action="append", default=[], metavar="PARAMETER=NUMBER",
        help="change a parameter of the preset, as in rows=8; may be repeated",
    )  # fmt: skip


def add_batch(parser: argparse.ArgumentParser) -> None:
    """Add ``--batch`` to a parser; whether it can be, the compiler says."""
    parser.add_argument(
        "--batch", type=int, default=1, metavar="SAMPLES",
        help="samples computed in a run, for all of which weights are read once (default: %(default)s)",
    )  # fmt: skip


def chosen_accelerator(options: argparse.Namespace) -> Chosen:
    """What the options choose, a `Chosen`. Raises UsageError for what is no preset or no accelerator."""
    return _changed(options.preset, options.set)


def chosen_accelerators(options: argparse.Namespace) -> list[Chosen]:
    """A list of `Chosen`: all presets, each changed alike, or the one that the options name. Raises UsageError."""
    names = PRESETS if options.preset == ALL else [options.preset]
    return [_changed(name, options.set) for name in names]


def _changed(name, changes):
    try:
        config = preset(name)
    except ValueError as error:
        raise UsageError(str(error)) from None
    names = [field.name for field in fields(AcceleratorConfig)]
    values = {}
    for change in changes:
        key, _, value = change.partition("=")
        if key == "uram":
            values[key] = _memories(value)
            continue
        if key not in names or not (value.isascii() and value.isdigit()):
            raise UsageError(f"--set takes PARAMETER=NUMBER with a parameter of {', '.join(names)}, not {change!r}")
        values[key] = int(value)
    try:
        return Chosen(" ".join([name, *changes]), replace(config, **values))
    except ValueError as error:
        raise UsageError(f"this accelerator cannot be built: {error}") from None


def _memories(text):
    try:
        return Uram.named(text)
    except ValueError as error:
        raise UsageError(str(error)) from None
