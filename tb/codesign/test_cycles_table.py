"""The cycle model is within two percent of the RTL on every pair that was measured."""

import csv

import pytest

from bench.cycles import DATA, fingerprint, pair
from codesign.cycles import predict

TOLERANCE = 0.02
ROWS = list(csv.DictReader(DATA.open()))


def test_the_table_is_large_enough():
    assert len({row["pair"] for row in ROWS}) == len(ROWS) >= 50
    assert len({(row["latency"], row["bandwidth"]) for row in ROWS}) >= 4
    assert len({tuple(row[name] for name in "RCKDLA") for row in ROWS}) >= 10


@pytest.mark.parametrize("row", ROWS, ids=[row["pair"] for row in ROWS])
def test_every_pair_is_within_two_percent_of_the_rtl(row):
    chosen = pair(int(row["pair"]))
    got = predict(chosen.program, chosen.latency, chosen.bandwidth).cycles
    rtl = int(row["rtl"])
    what = "the" if fingerprint(chosen.program) == row["program"] else "another than the"
    assert abs(got - rtl) <= TOLERANCE * rtl, f"{what} program measured; `python -m bench.cycles` measures again"
