"""Generated pages and the C header are what the code says now."""

import pytest

from isa.documents import FOLDER, documents


@pytest.mark.parametrize("name", documents())
def test_the_file_is_up_to_date(name):
    assert (FOLDER / name).read_text() == documents()[name], "run `bittern documents`"
