"""What the pages name is there: pages of the site, links, files, modules and what they define. Needs no mkdocs."""

import re
from pathlib import Path

import pytest

from tb.docs.names import exists
from tb.docs.pages import DOCS, PAGES, ROOT, prose

#: Folders of the tree, whose names begin those of files and modules.
FOLDERS = sorted(path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "." and path.name != "build")
DOTTED = re.compile(rf"(?:{'|'.join(FOLDERS)})(?:\.\w+)+")
#: A file or folder of the tree, from its root; with * for several.
FILE = re.compile(rf"(?:{'|'.join(FOLDERS)})/[\w./*-]*")
MODULE = re.compile(r"\w+\.py")
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def test_the_site_names_every_page_once():
    navigation = (ROOT / "mkdocs.yml").read_text().split("\nnav:\n")[1].split("\nhooks:")[0]
    named = re.findall(r": (\S+\.md)$", navigation, re.MULTILINE)
    assert sorted(named) == [str(page.relative_to(DOCS)) for page in sorted(DOCS.rglob("*.md"))]


@each_page
def test_links_lead_to_files(page):
    for target in LINK.findall(prose(page)):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{target} is not there"


@each_page
def test_pages_link_to_what_the_site_has(page):
    if page.is_relative_to(DOCS):
        for target in LINK.findall(prose(page)):
            if "://" not in target:
                assert (page.parent / target).resolve().is_relative_to(DOCS), f"{target} is not part of the site"


@each_page
def test_code_that_is_named_exists(page):
    for text in re.findall(r"`([^`\n(]+)(?:\([^`]*\))?`", prose(page)):
        if "NAME" in text:
            continue  # one that the reader will make
        if FILE.fullmatch(text):
            assert list(ROOT.glob(text)), f"there is no {text}"
        elif DOTTED.fullmatch(text) and Path(text).suffix not in (".md", ".bundle"):
            assert exists(text), f"there is no {text}"
        elif MODULE.fullmatch(text):
            assert any(True for folder in FOLDERS for _ in (ROOT / folder).rglob(text)), f"there is no {text}"


@pytest.mark.parametrize(
    "name",
    ["golden", "hw.vector", "golden.codes.Kind", "golden.codes.Kind.BIPOLAR", "isa.config.AcceleratorConfig.rows",
     "hw.vector.row_ring.RowRing.width", "golden.softmax.SCORE_FRACTION"],
)  # fmt: skip
def test_names_that_there_are_are_found(name):
    assert exists(name)


@pytest.mark.parametrize(
    "name", ["golden.nothing", "golden.codes.Nothing", "golden.codes.Kind.NOTHING", "hw.vector.softmax.Softmax.nothing"]
)
def test_names_that_there_are_not_are_missed(name):
    assert not exists(name)
