"""Benches: true work counted right, every tensor compared, nothing private in the JSON, bad input in one sentence."""

import json
import os
import re
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import compare, measure, report, tables, work
from bench.cases import BENCHES, BERT_BASE, DEIT_TINY, SHAPES, Case, Shape
from bench.names import Bench
from cli.main import main
from codesign import energy
from golden.codes import Kind
from golden.model import Format, Input
from isa.presets import preset
from tb.lib.words import naming
from tb.models import random_encoder

SMALL = Case(Shape("two layers", 2, 16, 2, 24, input_size=20, head_width=8), tokens=7, memory="plain", latency=9)


@pytest.fixture
def small_benches(monkeypatch):
    """One bench of one small case, and one that the tiny preset cannot hold."""
    large = replace(SMALL, shape=replace(SMALL.shape, name="large", width=2000))
    monkeypatch.setattr("bench.command.BENCHES", {"shapes": (SMALL,), "sequence": (large,)})


def test_the_work_of_bert_base_is_counted_by_hand():
    shape = {**vars(BERT_BASE), "tokens": 128, "classes": 2}
    shape.pop("name")
    config: Any = type("Config", (), shape)
    found = work.operations(config)
    weights = 12 * (4 * 768 * 768 + 2 * 768 * 3072)
    assert weights == 84_934_656
    assert found["linears"] == 2 * 128 * weights
    assert found["scores"] == found["context"] == 2 * 12 * 12 * 128 * 128 * 64
    assert found["embedding"] == 0
    assert work.encoder_operations(config) == 22_347_251_712


def test_a_patch_embedding_is_listed_and_does_not_count():
    shape = {**vars(DEIT_TINY), "tokens": 197, "classes": 2}
    config: Any = type("Config", (), shape)
    assert shape["input"] is Input.PATCHES
    assert work.operations(config)["embedding"] == 2 * 197 * 768 * 192
    assert work.encoder_operations(config) == sum(work.operations(config)[part] for part in ("linears", "scores", "context"))


def test_every_activation_has_the_bits_of_the_case_and_weights_have_one():
    encoder = random_encoder(np.random.default_rng(1), **replace(SMALL, bits=4).encoder())
    for layer in encoder.layers:
        block, feed = layer.attention, layer.feed_forward
        linears = (block.query, block.key, block.value, block.output, feed.up, feed.down)
        assert all(linear.weight_format == Format(Kind.BIPOLAR, 1) for linear in linears)
        made = [block.query.output, block.key.output, block.value.output, block.context_format, block.probability,
                block.norm.output, feed.up.output, feed.norm.output]  # fmt: skip
        assert [code.bits for code in made] == [4] * len(made)


def test_the_cases_are_those_that_are_asked_for():
    found = [(case.bits, case.memory, case.tokens, case.batch) for case in BENCHES["bert-base"]]
    assert found == [
        (1, "zcu102", 128, 1), (1, "zcu102", 128, 4), (1, "zcu102", 32, 8), (1, "plain", 128, 1),
        *((bits, "zcu102", 128, 1) for bits in (2, 4)),
    ]  # fmt: skip
    assert [case.tokens for case in BENCHES["sequence"]] == [64, 128, 256, 384, 512]
    assert all(case.shape is BERT_BASE and case.bandwidth is None for case in BENCHES["bert-base"] + BENCHES["sequence"])
    assert all(shape.width == shape.heads * shape.head_width for shape in (*SHAPES, BERT_BASE, DEIT_TINY))
    assert compare.CASE in [case.name for case in BENCHES["bert-base"]]
    assert set(BENCHES) == {name for name in Bench if name.measured}


def test_a_bench_measures_compares_and_keeps_what_it_ran(small_benches, tmp_path, capsys, monkeypatch):
    command = ["bench", "shapes", "--preset", "tiny", "--output", str(tmp_path)]
    assert main(command) == 0
    assert SMALL.name in capsys.readouterr().out
    text = (tmp_path / "shapes.json").read_text()
    document = json.loads(text)
    (row,) = document["rows"]
    assert row["passed"]
    assert row["tensors_compared"] > 2 * 10
    assert row["latency_cycles"] == 9
    assert row["cycles"] == row["counters"]["cycles"] > max(row["bound"].values())
    assert row["gops"] == pytest.approx(row["encoder_operations"] / row["cycles"] * 0.2)  # 0.2 cycles a nanosecond
    assert 0 < row["embedding_cycles"] < row["cycles"]
    assert row["bound"]["memory"] == row["counters"]["read_beats"] > row["counters"]["write_beats"]
    assert row["predicted_cycles"] == pytest.approx(row["cycles"], rel=0.05)
    assert sum(row["engine_causes"].values()) == row["predicted_cycles"]
    assert row["watts"][0] < row["watts"][1]
    assert row["gops_per_watt"][0] < row["gops_per_watt"][1]
    for private in (socket.gethostname(), str(Path.home()), os.getcwd(), str(tmp_path)):
        assert private not in text
    assert set(document["versions"]) == {"commit", "verilator", "python", "amaranth", "yosys", "numpy"}

    def must_not_run(*_):
        raise AssertionError("the same program ran again on the same RTL")

    monkeypatch.setattr(measure, "_run", must_not_run)
    assert main(command) == 0
    again = json.loads((tmp_path / "shapes.json").read_text())["rows"][0]
    assert again["cycles"] == row["cycles"]


def test_cases_not_asked_for_stay_if_they_are_of_the_same_rtl(small_benches, tmp_path, monkeypatch):
    command = ["bench", "shapes", "--preset", "tiny", "--output", str(tmp_path)]
    assert main(command) == 0
    path = tmp_path / "shapes.json"
    first = json.loads(path.read_text())["rows"][0]
    other = replace(SMALL, latency=10)
    monkeypatch.setattr("bench.command.BENCHES", {"shapes": (SMALL, other)})
    assert main([*command, "--case", "latency 10"]) == 0
    document = json.loads(path.read_text())
    assert [row["case"] for row in document["rows"]] == [SMALL.name, other.name]
    assert document["rows"][0] == first

    path.write_text(json.dumps(document | {"rtl": "another"}))
    assert main([*command, "--case", "latency 10"]) == 0
    assert [row["case"] for row in json.loads(path.read_text())["rows"]] == [other.name]


def test_a_page_names_what_was_not_measured(tmp_path):
    row = {"case": compare.CASE, "latency_cycles": 40, "bytes_per_cycle": 64.0, "refused": "a reason"}
    document = {"bench": "bert-base", "preset": "zcu102", "rows": [row]}
    (tmp_path / "bert-base.json").write_text(json.dumps(document))
    (table,) = report.tables_of(tmp_path, Bench.BERT_BASE)
    assert re.search(naming(compare.CASE, "does not fit", "a reason"), table.notes[0])
    said, _, names = table.notes[1].rstrip(".").partition(": ")
    assert "ot measured" in said
    assert names.split("; ") == [case.name for case in BENCHES["bert-base"][1:]]


def test_a_wrong_tensor_is_named_and_fails_the_bench(small_benches, tmp_path, capsys, monkeypatch):
    def wrong(encoder, inputs, length):
        trace = encode(encoder, inputs, length)
        trace["layer1.attention.key"][3, 5] ^= 1
        return trace

    encode = measure.encode
    monkeypatch.setattr(measure, "encode", wrong)
    assert main(["bench", "shapes", "--preset", "tiny", "--output", str(tmp_path)]) == 1
    output = capsys.readouterr()
    assert "layer1.attention.key[3, 5]" in output.err
    row = next(line for line in output.out.splitlines() if line.startswith(SMALL.name))
    assert row.split()[-1] == "NO"


@pytest.mark.parametrize(("arguments", "named"), [
    (["bert-large"], ("'bert-large'", "bert-base", "sequence", "shapes")),
    (["shapes", "--preset", "huge"], ("'huge'", "tiny", "small", "ecp5", "zcu102")),
    (["shapes", "--write-docs", "--preset", "tiny"], ("--write-docs", "leave out", "--preset", "--case")),
    (["shapes", "--write-docs", "--set", "dma_queue=32"], ("--write-docs", "leave out", "--set", "--case")),
    (["shapes", "--write-docs", "--case", "two"], ("--write-docs", "leave out", "--preset", "--case")),
    (["comparison", "--case", "two"], ("--case two",)),
    (["shapes", "--case", "nothing"], ("shapes", "'nothing'", SMALL.name)),
])  # fmt: skip
def test_bad_input_is_one_sentence_and_status_2(arguments, named, small_benches, tmp_path, capsys):
    assert main(["bench", *arguments, "--output", str(tmp_path)]) == 2
    printed = capsys.readouterr().err
    assert re.search(naming(*named), printed)
    assert printed.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("arguments", "said"), [
    (["cycles", "3", "88"], "a pair is a number in 0..87, not 88"), (["dpu", "0"], "a depth is at least 1 bit pair, not 0"),
])  # fmt: skip
def test_a_number_that_is_none_is_told_before_anything_runs(arguments, said, capsys, monkeypatch):
    for module in ("cycles", "dpu"):
        monkeypatch.setattr(f"bench.{module}.measure", None)
    assert main(["bench", *arguments]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"bittern: {said}\n")


def test_a_model_that_does_not_fit_is_one_sentence_and_status_2(small_benches, tmp_path, capsys):
    assert main(["bench", "sequence", "--preset", "tiny", "--output", str(tmp_path)]) == 2
    output = capsys.readouterr()
    assert output.err.startswith("bittern: large W1A1, 7 tokens")
    assert "width of the model is 2000" in output.err
    assert "raise row_columns" in output.err
    assert output.err.count("\n") == 1
    assert "does not fit" in output.out


def test_a_comparison_needs_its_measurement(tmp_path, capsys):
    assert main(["bench", "comparison", "--output", str(tmp_path)]) == 2
    assert "run `make bench-bert-base` first" in capsys.readouterr().err


@pytest.mark.parametrize("board", energy.BOARDS, ids=lambda board: board.name)
def test_the_energy_model_holds_the_boards_it_comes_from(board):
    second = energy.Activity(cycles=200_000_000, macs=int(board.gops * 1e9 / 2), external_bytes=0)
    low, high = energy.estimate(second, 200e6)
    assert 1.01 * low < board.watts < 0.99 * high


def test_energy_is_a_range_that_grows_with_every_activity():
    activity = energy.Activity(cycles=200_000, macs=10**10, external_bytes=10**7)
    low, high = energy.estimate(activity, 200e6)
    assert 0 < low < high
    for more in (activity._replace(cycles=300_000), activity._replace(macs=2 * 10**10),
                 activity._replace(external_bytes=2 * 10**7)):  # fmt: skip
        grown = energy.estimate(more, 200e6)
        assert grown.low > low
        assert grown.high > high


def test_the_comparison_shows_every_published_row_and_which_are_derived(tmp_path):
    published = json.loads(compare.PUBLISHED.read_text())
    row = {"case": compare.CASE, "cycles": 200_000, "gops": 20_000.0, "mhz": 200, "mhz_basis": "assumed"}
    row["gops_per_watt"] = [1.0, 2.0]
    config = vars(preset("zcu102"))
    document = {"bench": "bert-base", "config": config, "versions": {}, "rows": [row]}
    (tmp_path / "bert-base.json").write_text(json.dumps(document))
    found = compare.compare(tmp_path)
    (table,) = tables.comparison(found)
    assert len(table.rows) == len(published["accelerators"]) + 3
    derived = [line for line in table.rows if any("derived" in cell for cell in line[:-1])]
    assert [line[0] for line in derived] == ["BAT, 2024"]
    assert sum("derived" in cell for cell in derived[0]) == 4  # its GOPS, per kLUT, and ours over both; the third is unknown
    cobra = found["rows"][2]
    assert cobra["ratio_gops"] == 20_000 / 3894.7
    assert cobra["gops_per_klut"] == pytest.approx(3894.7 / 274.080)
    assert cobra["ratio_chip"] == pytest.approx(20_000 / 3894.7)
    assert cobra["ratio_taken"] is None
    assert table.rows[2][8] == table.rows[-2][5] == "unknown"

    resources = {"config": config, "used": {"LUT": [100_000, 274_080]}, "array_lut": 80_000}
    (tmp_path / "resources.json").write_text(json.dumps(resources))
    found = compare.compare(tmp_path)
    assert found["rows"][2]["ratio_taken"] == pytest.approx(200 / (3894.7 / 274.080))
    assert [one["gops_per_klut"] for one in found["ours"]] == pytest.approx([20_000 / 274.08, 200, 26_214.4 / 80])
    (tmp_path / "resources.json").write_text(json.dumps(resources | {"config": vars(preset("tiny"))}))
    assert compare.compare(tmp_path)["ours"][1]["klut"] is None  # of another accelerator


def test_the_pages_are_what_the_data_gives():
    assert (report.DOCS / "benchmarks.md").read_text() == report.page(report.DATA)
    text = (report.DOCS / "performance.md").read_text()
    assert text == report.performance(text, report.DATA)
