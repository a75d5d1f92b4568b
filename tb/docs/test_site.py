"""The site as `make docs` builds it: without a warning, and without anything that would be fetched when it is read."""

import os
import re
import subprocess
import sys

import pytest

from tb.docs.names import ROOT
from tb.docs.pages import DOCS

#: Attributes by which a browser fetches something, links that are followed by hand aside.
FETCHED = re.compile(r'<(?:script|link|img|source|iframe|object|embed|video|use)\b[^>]*\b(?:src|href|data)="([^"]+)"')
IN_STYLES = re.compile(r"(?:url\(|@import)\s*[\"']?([^\"')\s]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    for package in ("mkdocs", "material.templates", "mkdocstrings_handlers.python", "mkdocs_autorefs"):
        pytest.importorskip(package, reason="the site needs what `make docs` installs", exc_type=ImportError)
    folder = tmp_path_factory.mktemp("site")
    # Nothing may be fetched while it is built either: there is no way out but this proxy, which is none.
    nowhere = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT, env=os.environ | nowhere, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_there_is_a_page_for_each_of_ours(site):
    for page in DOCS.rglob("*.md"):
        assert (site / page.relative_to(DOCS).with_suffix(".html")).is_file()


def test_nothing_is_fetched_from_elsewhere(site):
    found = 0
    for path in site.rglob("*"):
        if path.suffix in (".html", ".css", ".svg"):
            pattern = IN_STYLES if path.suffix == ".css" else FETCHED
            for target in pattern.findall(path.read_text()):
                found += 1
                assert not re.match(r"(?:\w+:)?//", target), f"{path.relative_to(site)} fetches {target}"
    assert found > 100


def test_the_search_index_can_be_read_from_disk(site):
    assert "softmax" in (site / "search" / "search_index.js").read_text()
    assert '<script src="assets/iframe-worker.js"></script>' in (site / "index.html").read_text()


def test_the_reference_shows_ports_parameters_and_links(site):
    text = (site / "reference" / "hw.vector.html").read_text()
    softmax = text[text.index('id="hw.vector.softmax.Softmax"') :]
    buffer = text[text.index('id="hw.vector.row_buffer.RowBuffer"') :]
    assert re.search(r"<summary>Members</summary>\s*<dl>\s*<dt><code>i : In\(stream\)</code></dt>", buffer)
    assert "Parameters:" in softmax
    assert 'href="golden.html#golden.softmax.softmax"' in softmax
