"""Patterns of messages match what names everything in order, and nothing else."""

import re

import pytest

from tb.lib.words import naming


@pytest.mark.parametrize("text", ["rows must be a power of two, not 12", "12 rows: rows is no power of two (12)"])
def test_a_sentence_that_names_everything_is_found(text):
    assert re.search(naming("rows", "power of two", 12), text)


@pytest.mark.parametrize(
    "text",
    [
        "BROKEN", "rows must be a power of two", "rows must be a power of two, not 120", "arrows: a power of two, not 12",
        "rows must be a power of two, not -12", "rows must be a power of two, not 12.5", "rows: power of two, not 1.12",
        "not 12: rows must be a power of two",
    ],
)  # fmt: skip
def test_one_that_lacks_a_part_or_has_another_number_is_not(text):
    assert not re.search(naming("rows", "power of two", 12), text)


def test_the_ends_of_a_range_are_numbers_of_their_own():
    assert re.search(naming("2..64", 1), "dma_queue must be in 2..64, not 1")
    assert re.search(naming(2, 64, 1), "dma_queue must be in 2..64, not 1")
