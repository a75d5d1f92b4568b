"""Records of boards: which there are, what cannot be one, and how little a further UIO board takes."""

from dataclasses import replace

import pytest

import boards
from boards.board import REGISTER_BYTES, Tool, Window
from boards.registry import all_boards
from boards.ulx3s.record import BOARD as ULX3S
from boards.zcu102.record import BOARD as ZCU102
from cli.main import main
from isa.memory_timing import ZYNQ_ULTRASCALE
from isa.options import Chosen
from isa.presets import PRESETS, preset
from tb.boards.zynq.vivado.checks import check_folder
from tb.boards.zynq.vivado.run import needs_tcl

#: Everything that a further board's folder needs.
RECORD = '''"""A module with a Zynq UltraScale+, on a carrier."""

from dataclasses import replace
from pathlib import Path

from boards.board import Window
from boards.zynq.board import ZynqBoard
from isa.memory_timing import ZYNQ_ULTRASCALE

BOARD = ZynqBoard(
    name="other",
    title="Other",
    part="xck26-sfvc784-2LV-c",
    board_part="xilinx.com:other_som:part0:1.4",
    preset="tiny",
    clock_mhz=100,
    memory=Window(0x6000_0000, 0x0100_0000),
    registers=Window(0xA001_0000, 4096),
    external=replace(ZYNQ_ULTRASCALE, ports=2, port_bits=64),
    templates=Path(__file__).parent / "templates",
)
'''
CONSTRAINTS = """# Of {{ board.title }}.
set_false_path -to [get_pins -hierarchical -filter {NAME =~ "*PS8_i/PLPSIRQ0[*]"}]
"""


def test_the_boards_are_those_with_a_record():
    assert all_boards().items() >= {"ulx3s": ULX3S, "zcu102": ZCU102}.items()
    assert {board.tool for board in all_boards().values()} == set(Tool)


@pytest.mark.parametrize(("board", "changes", "words"), [
    (ZCU102, {"name": "ZCU 102"}, "board ZCU 102: its name must be a folder's in small letters, not ZCU 102"),
    (ZCU102, {"preset": "huge"}, f"board zcu102: its preset must be one of {', '.join(PRESETS)}, not huge"),
    (ZCU102, {"clock_mhz": 400}, r"its clock must be in 1\.\.333 MHz, not 400"),
    (ZCU102, {"clock_mhz": 0.5}, r"its clock must be in 1\.\.333 MHz, not 0.5"),
    (ZCU102, {"memory": Window(0x7000_0000, 0x2000_0000)}, r"its memory must lie in 0x0\.\.0x7FFFFFFF, not 0x7.*0x8FFFFFFF"),
    (ZCU102, {"memory": Window(0x7000_0000, 0)}, r"its memory must lie in"),
    (ZCU102, {"memory": Window(0x7000_0100, 4096)}, "its memory must be whole pages of 4096 bytes"),
    (ZCU102, {"registers": Window(0x9FFF_F000, REGISTER_BYTES)}, r"its registers must lie in 0xA0000000\.\.0xAFFFFFFF"),
    (ZCU102, {"registers": Window(0xA000_0000, 8192)}, "its registers must take 4096 bytes, not 8192"),
    (ZCU102, {"external": replace(ZYNQ_ULTRASCALE, port_bits=256)}, "memory ports must have 32, 64 or 128 bits, not 256"),
    (ZCU102, {"external": replace(ZYNQ_ULTRASCALE, ports=5)}, "it must have 1 to 4 memory ports, not 5"),
    (ULX3S, {"baud": 0}, "board ulx3s: its line must have at least 1 baud, not 0"),
    (ULX3S, {"memory_bytes": 0}, "its memory must have at least 1 byte, not 0"),
    (ULX3S, {"oscillator_mhz": 0}, "its oscillator must have more than 0 MHz, not 0"),
])  # fmt: skip
def test_a_board_that_cannot_be_is_refused(board, changes, words):
    with pytest.raises(ValueError, match=words):
        replace(board, **changes)


@pytest.fixture
def other_board(tmp_path, monkeypatch):
    """The record of a board whose folder lies elsewhere, found as if it lay in ``boards/``."""
    folder = tmp_path / "boards" / "other"
    (folder / "templates").mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "record.py").write_text(RECORD)
    (folder / "templates" / "bittern.xdc.j2").write_text(CONSTRAINTS)
    monkeypatch.setattr(boards, "__path__", [*boards.__path__, str(folder.parent)])
    return all_boards()["other"]


@needs_tcl
def test_a_further_uio_board_is_a_record_and_what_differs_of_the_templates(other_board, tmp_path, capsys):
    assert main(["other", "--output", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "bittern.xdc").read_text().startswith("# Of Other.\n")
    for file in ("README.md", "build.tcl", "bittern.dtso"):
        assert "the Other" in (tmp_path / "out" / file).read_text()
    check_folder(tmp_path / "out", other_board, Chosen("tiny", preset("tiny")))


def test_a_record_of_another_name_than_its_folder_s_is_refused(other_board, tmp_path):
    (tmp_path / "boards" / "other").rename(tmp_path / "boards" / "another")
    with pytest.raises(ValueError, match="board other: its name must be its folder's, another, not other"):
        all_boards()
