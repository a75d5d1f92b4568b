"""Rows of a table by token id."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.embedding import gather


@given(st.lists(st.integers(0, 6), max_size=20))
def test_each_token_gets_its_row(ids):
    table = np.arange(7 * 3).reshape(7, 3)
    assert gather(table, np.array(ids, np.int64)).tolist() == [table[i].tolist() for i in ids]


@pytest.mark.parametrize("wrong", [-1, 7])
def test_an_id_outside_the_table_is_named(wrong):
    with pytest.raises(ValueError, match=rf"0\.\.6, not {wrong}"):
        gather(np.zeros((7, 3), np.int64), np.array([0, wrong]))
