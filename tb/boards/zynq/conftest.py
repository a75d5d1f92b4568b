"""What several files of tests here look at and none changes."""

import pytest

from boards.zcu102.record import BOARD
from boards.zynq.package import write_package
from isa.options import Chosen
from isa.presets import preset

TINY = Chosen("tiny", preset("tiny"))


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """What `bittern zcu102` writes, for preset `tiny`."""
    path = tmp_path_factory.mktemp("zcu102")
    write_package(BOARD, TINY, path, BOARD.clock_mhz)
    return path
