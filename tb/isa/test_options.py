"""Options that choose an accelerator: presets by name, parameters changed by name, and what is neither refused."""

from argparse import ArgumentParser
from dataclasses import replace

import pytest

from formats.errors import UsageError
from isa.config import Uram
from isa.options import ALL, Chosen, add_accelerator, chosen_accelerator, chosen_accelerators
from isa.presets import PRESETS, preset


def options(*arguments, default="small"):
    parser = ArgumentParser()
    add_accelerator(parser, default)
    return parser.parse_args(arguments)


def test_without_options_it_is_the_default():
    assert chosen_accelerator(options()) == Chosen("small", preset("small"))


def test_parameters_of_a_preset_change_by_name():
    chosen = chosen_accelerator(options("--preset", "tiny", "--set", "rows=8", "--set", "row_columns=128"))
    assert chosen == Chosen("tiny rows=8 row_columns=128", replace(preset("tiny"), rows=8, row_columns=128))


def test_memories_of_ultraram_are_chosen_by_name():
    chosen = chosen_accelerator(options("--set", "uram=left+residual"))
    assert chosen == Chosen("small uram=left+residual", replace(preset("small"), uram=Uram.LEFT | Uram.RESIDUAL))


def test_all_presets_can_be_asked_for_where_that_is_the_default():
    assert chosen_accelerators(options(default=ALL)) == [Chosen(name, config) for name, config in PRESETS.items()]
    assert chosen_accelerators(options("--preset", "tiny", default=ALL)) == [Chosen("tiny", preset("tiny"))]
    changed = chosen_accelerators(options("--set", "dma_queue=4", default=ALL))
    assert [(chosen.name, chosen.config.dma_queue) for chosen in changed] == [(f"{name} dma_queue=4", 4) for name in PRESETS]


@pytest.mark.parametrize(("arguments", "words"), [
    (["--preset", "huge"], "there is no preset 'huge'; choose one of tiny, small, ecp5, zcu102"),
    (["--preset", ALL], "there is no preset 'all'"),
    (["--set", "rows"], "--set takes PARAMETER=NUMBER with a parameter of rows, columns, .*, not 'rows'"),
    (["--set", "lanes=4"], "not 'lanes=4'"),
    (["--set", "rows=-4"], "not 'rows=-4'"),
    (["--set", "rows=²"], "not 'rows=²'"),
    (["--set", "uram=lef"], "uram takes names of none, left, right, residual, row_buffer with . between them, not 'lef'"),
    (["--set", "rows=12"], "this accelerator cannot be built: rows must be a power of two, not 12"),
], ids=str)  # fmt: skip
def test_what_is_no_accelerator_is_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        chosen_accelerator(options(*arguments))
