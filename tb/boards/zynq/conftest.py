"""What several files of tests here look at and none changes."""

from dataclasses import replace

import pytest

from boards.zcu102.record import BOARD
from boards.zynq.package import write_package
from isa.options import Chosen
from isa.presets import preset

#: With two memory ports, so that what is there for each of them is seen to be.
TINY = Chosen("tiny ports=2", replace(preset("tiny"), ports=2))


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """What `bittern zcu102` writes, for preset `tiny` with two ports."""
    path = tmp_path_factory.mktemp("zcu102")
    write_package(BOARD, TINY, path, BOARD.clock_mhz)
    return path
