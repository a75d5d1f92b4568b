"""What several files of tests here look at and none changes."""

import pytest

from boards.zcu102.package import write_package


@pytest.fixture(scope="session")
def zcu102_folder(tmp_path_factory):
    """What `make zcu102` writes, for preset `tiny`."""
    path = tmp_path_factory.mktemp("zcu102")
    write_package("tiny", path)
    return path
