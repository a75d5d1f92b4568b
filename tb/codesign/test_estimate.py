"""The estimate's command: what it refuses, and how."""

import pytest

from codesign.__main__ import main
from codesign.devices import DEVICES, device, excess
from codesign.estimate import configuration
from codesign.synthesis import Resources
from program.errors import UsageError


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--preset", "zcu103"], "zcu102"),
        (["--set", "rows"], "PARAMETER=NUMBER"),
        (["--set", "lanes=4"], "row_lanes"),
        (["--set", "rows=12"], "power of two"),
        (["--device", "XC1"], "XCZU9EG"),
    ],
)
def test_what_makes_no_sense_is_one_sentence_and_status_2(arguments, part, capsys):
    assert main(["estimate", *arguments]) == 2
    text = capsys.readouterr().err
    assert part in text
    assert len(text.splitlines()) == 1


def test_parameters_of_a_preset_change_by_name():
    config = configuration("tiny", ["rows=8", "row_columns=128"])
    assert (config.rows, config.row_columns, config.columns) == (8, 128, 4)


def test_parts_are_found_by_name_and_board():
    assert device("zcu102") is device("xczu9eg") is DEVICES["XCZU9EG"]
    with pytest.raises(UsageError, match="XCU50"):
        device("zcu")


def test_what_does_not_fit_is_named_with_the_amount():
    part = device("zcu102")
    assert excess(Resources(lut=274_080, ff=548_160, bram36=912, dsp=2520), part) == {}
    assert excess(Resources(lut=274_081, bram36=912.5), part) == {"lut": 1, "bram36": 0.5}
