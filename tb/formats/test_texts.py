"""Texts that are too long lose what stands before their closing pieces."""

import pytest

from formats.texts import cut


@pytest.mark.parametrize(("ids", "closing", "tokens", "expected"), [
    ([1, 2, 3], 1, 3, [1, 2, 3]), ([1, 2, 3, 4, 5], 1, 3, [1, 2, 5]), ([1, 2, 3, 4, 5], 2, 3, [1, 4, 5]),
    ([1, 2, 3, 4], 0, 2, [1, 2]), ([1, 2, 3, 4], 3, 2, [2, 3]), ([], 0, 2, []), ([1], 1, 2, [1]),
])  # fmt: skip
def test_what_does_not_fit_is_cut_off_before_the_closing_pieces(ids, closing, tokens, expected):
    assert cut(ids, closing, tokens) == expected
