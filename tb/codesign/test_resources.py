"""The resource model meets its bars on configurations that it was not fitted to, and refuses what does not fit."""

import dataclasses

import pytest

from codesign.__main__ import main
from codesign.block_memory import BlockMemory
from codesign.devices import LIMITED, device, excess
from codesign.resources import DATA, advice, errors, kind, predict, samples, write
from codesign.synthesis import Resources
from hw.config import preset

LARGE = dataclasses.replace(preset("zcu102"), left_depth=32768)


@pytest.mark.parametrize("name", LIMITED)
def test_errors_are_within_the_bars(name):
    assert errors()[name].median <= 5
    assert errors()[name].worst <= 15


def test_block_memories_follow_from_rules():
    assert [predict(sample.config).bram36 for sample in samples()] == [sample.total.bram36 for sample in samples()]


@pytest.mark.parametrize(
    ("memory", "blocks"),
    [
        (BlockMemory(1, 1024, 36, 36), 1),
        (BlockMemory(1, 512, 36, 36), 0.5),
        (BlockMemory(1, 512, 72, 72), 1),
        (BlockMemory(1, 4096, 128, 32), 16),
        (BlockMemory(1, 32768, 1, 1), 1),
        (BlockMemory(1, 12288, 512, 512), 171),
        (BlockMemory(1, 64, 224, 56, free=True), 0),
        (BlockMemory(1, 64, 224, 56), 3.5),
    ],
)
def test_blocks_of_a_memory(memory, blocks):
    assert memory.blocks == blocks


def test_a_shared_unit_loses_its_sizes_and_others_keep_their_names():
    assert [kind(name) for name in ("dpu_64_24", "bank_4096x64_32", "core.qmm.left_memory")] == [
        "dpu",
        "bank",
        "core.qmm.left_memory",
    ]


def test_data_come_back_as_they_were_written(tmp_path):
    write(samples()[:2], tmp_path / "copy.csv")
    assert samples(tmp_path / "copy.csv") == samples()[:2]


def test_a_parameter_that_is_newer_than_the_data_has_its_default(tmp_path):
    lines = DATA.read_text().splitlines()
    column = lines[0].split(",").index("dma_queue")
    without = (",".join(cell for i, cell in enumerate(line.split(",")) if i != column) for line in lines)
    (tmp_path / "older.csv").write_text("\n".join(without))
    assert {sample.config.dma_queue for sample in samples(tmp_path / "older.csv")} == {8}


def test_a_prediction_shows_its_error(capsys):
    assert main(["predict", "--preset", "small"]) == 0
    text = capsys.readouterr().out
    for name in LIMITED:
        assert str(errors()[name]) in text


def test_what_cannot_fit_is_refused_before_anything_is_synthesised(capsys):
    assert main(["estimate", "--preset", "zcu102", "--set", "left_depth=32768"]) == 2
    text = capsys.readouterr().err
    assert len(text.splitlines()) == 1
    assert f"{excess(predict(LARGE), device('zcu102'))['bram36']:,.0f} BRAM36" in text


def test_the_advice_fits_by_more_than_the_error_and_changes_little():
    part = device("zcu102")
    text = advice(LARGE, part).partition(" would fit")[0]
    changed = dataclasses.replace(LARGE, **{name: int(value) for name, value in (word.split("=") for word in text.split())})
    assert excess(predict(changed), part) == {}
    assert changed.rows * changed.columns * changed.depth == LARGE.rows * LARGE.columns * LARGE.depth
    assert changed.left_depth < LARGE.left_depth


def test_where_nothing_near_fits_the_advice_says_so():
    part = dataclasses.replace(device("zcu102"), lut=10)
    assert "halvings" in advice(preset("tiny"), part)


def test_no_resources_are_nothing():
    assert excess(Resources(), device("XC7Z020")) == {}
