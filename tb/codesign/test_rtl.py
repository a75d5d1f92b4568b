"""The fingerprint of the RTL changes with what the RTL is made of, and with nothing else."""

import shutil

import pytest

from codesign import rtl
from codesign.rtl import PACKAGES, fingerprint
from formats.files import ROOT

TOP = '''"""The top."""

from golden.codes import BITS
from hw import part


def build(width):
    # Twice.
    return part.make(2 * width + BITS)
'''
PART = "def make(width):\n    return width\n"
CODES = "BITS = 8\n"


@pytest.fixture
def of(tmp_path):
    """Fingerprint of a small tree with files replaced."""
    number = iter(range(100))

    def of(**changed):
        root = tmp_path / str(next(number))
        files = {"hw/top.py": TOP, "hw/part.py": PART, "golden/codes.py": CODES, "hw/other.py": "A = 1\n"}
        for path, text in (files | {name.replace("__", "/") + ".py": text for name, text in changed.items()}).items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        return fingerprint("hw.top", root)

    return of


def test_equal_sources_have_equal_fingerprints(of):
    assert of() == of()


@pytest.mark.parametrize(
    "changed",
    [
        {"hw__top": TOP.replace("2 * width", "3 * width")},
        {"hw__top": TOP.replace("* width + BITS", "* (width + BITS)")},
        {"hw__part": PART.replace("return width", "return -width")},
        {"hw__part": PART.replace("return width", "return 'width'")},
        {"golden__codes": "BITS = 9\n"},
        {"hw__part": "import hw.other\n" + PART},
    ],
)
def test_a_change_of_what_is_built_changes_it(of, changed):
    assert of(**changed) != of()


@pytest.mark.parametrize(
    "changed",
    [
        {"hw__top": TOP.replace("The top.", "Another top.")},
        {"hw__top": TOP.replace("# Twice.", "# Two times.")},
        {"hw__part": "def make(width):\n    '''As wide.'''\n\n    return (width)\n"},
        {"hw__other": "A = 2\n"},
    ],
)
def test_words_layout_and_modules_that_are_not_used_do_not(of, changed):
    assert of(**changed) == of()


def test_a_module_may_be_imported_in_either_form(of):
    part = "import hw.other\n" + PART
    assert of(hw__part=part) != of(hw__part=part, hw__other="A = 2\n")


def test_another_amaranth_may_emit_other_verilog(of, monkeypatch):
    before = of()
    monkeypatch.setattr(rtl, "version", lambda name: "another")
    assert of() != before


def test_presets_of_this_design_do_not_count(tmp_path):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "isa" / "presets.py"
    path.write_text(path.read_text() + "\nPRESETS.clear()\n")
    assert fingerprint("hw.top", tmp_path) == fingerprint()


def test_units_deep_in_this_design_count(tmp_path):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    assert fingerprint("hw.top", tmp_path) == fingerprint()
    path = tmp_path / "golden" / "rescale.py"
    path.write_text(path.read_text() + "\nONE_MORE = 1\n")
    fingerprint.cache_clear()
    assert fingerprint("hw.top", tmp_path) != fingerprint()


def test_instructions_count_which_are_found_by_name(tmp_path):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "isa" / "instructions" / "qmm.py"
    path.write_text(path.read_text().replace('"words", 12', '"words", 13'))
    assert fingerprint("hw.top", tmp_path) != fingerprint()
