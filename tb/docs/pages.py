"""The pages that people read, and what stands in them."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])

FENCE = re.compile(r"^```(\w*)(?: title=\"([^\"]*)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: ``language`` and ``title``, both "" where there is none, and its text."""

    language: str
    title: str
    text: str


def blocks(page):
    """Fenced blocks of a page, in order."""
    return [Block(*found) for found in FENCE.findall(page.read_text())]


def prose(page):
    """The text of a page without fenced blocks, and without indented ones, which follow an empty line."""
    kept, code, before = [], False, ""
    for line in FENCE.sub("", page.read_text()).splitlines():
        code = line.startswith("    ") and (code or not before) if line else code
        kept += [] if code else [line]
        before = line
    return "\n".join(kept)
