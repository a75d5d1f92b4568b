"""The walks are followed step by step in a copy of the tree: files are written, changed and run as the pages say.

What a fenced block asks for stands in its first line:

* ``diff`` with a file as title: its lines without a sign or with a minus are there once, and become those without minus.
* ``python``, ``toml`` with a file as title: the file is written. ``python`` without one: run.
* ``sh``: run, and must succeed; titled *fails*, must fail. Titled *takes minutes*, its commands are only understood.
* ``text`` titled *among its output*: each line was printed by the last block that ran.
"""

import os
import shlex
import shutil
import subprocess
import sys

import pytest

from tb.docs.names import ROOT
from tb.docs.pages import DOCS, blocks

WALKS = sorted((DOCS / "walks").glob("*.md"))
SLOW, FAILS, PRINTED = "takes minutes", "fails", "among its output"
#: Commands of the walks, as they run in a tree that is not installed.
COMMANDS = {"bittern": f"{sys.executable} -m cli.main", "python": sys.executable, "pytest": f"{sys.executable} -m pytest"}


class Walk:
    """A copy of the tracked and new files at ``tree``, and what was printed last."""

    def __init__(self, tree):
        self.tree, self.printed = tree, ""
        listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file():
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, tree / name)
        commands = tree / ".commands"
        commands.mkdir()
        for name, command in COMMANDS.items():
            (commands / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
            (commands / name).chmod(0o755)
        # One thread each: on a busy machine those of PyTorch wait for each other more than they compute.
        path = f"{commands}:{os.environ['PATH']}"
        self.environment = os.environ | {"PYTHONPATH": str(tree), "PATH": path, "OMP_NUM_THREADS": "1"}

    def follow(self, block):
        match block.language, block.title:
            case "diff", name:
                self.change(self.tree / name, block.text)
            case (("python" | "toml"), name) if name:
                (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
                (self.tree / name).write_text(block.text)
            case "python", "":
                self.run("python", "-c", block.text)
            case "sh", "" | "fails":
                self.run("sh", "-e", "-c", block.text, fails=block.title == FAILS)
            case "sh", "takes minutes":
                for line in block.text.splitlines():
                    self.understand(shlex.split(line))
            case "text", "among its output":
                for line in block.text.splitlines():
                    assert line in self.printed, f"{line!r} is not in\n{self.printed}"
            case other:
                raise AssertionError(f"nothing is known of blocks {other}")

    def change(self, path, text):
        lines = text.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if not line.startswith("+"))
        after = "".join(line[1:] for line in lines if not line.startswith("-"))
        content = path.read_text()
        assert content.count(before) == 1, f"{path.name} must have once:\n{before}"
        path.write_text(content.replace(before, after))

    def run(self, *command, fails=False):
        done = subprocess.run(
            command, cwd=self.tree, env=self.environment, capture_output=True, text=True, check=False, timeout=600
        )
        self.printed = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, f"status {done.returncode} of {command[-1]}\n{self.printed}"

    def understand(self, words):
        """That a command that is not run here exists and takes these arguments."""
        match words:
            case ["bittern", *arguments]:
                self.run("python", "-c", f"from cli.main import parser\nparser().parse_args({arguments!r})")
            case ["make", *targets]:
                self.run("make", "-n", *targets)
            case ["pytest", *paths]:
                assert all((self.tree / path.split("::")[0]).exists() for path in paths)
            case _:
                raise AssertionError(f"nothing is known of the command {words}")


@pytest.mark.parametrize("page", WALKS, ids=lambda page: page.stem)
def test_a_walk_leads_where_it_says(page, tmp_path):
    if any("import torch" in block.text or block.text.startswith("bittern train") for block in blocks(page)):
        pytest.importorskip("torch", reason="this walk trains: `make train-setup`")
    walk, found = Walk(tmp_path), blocks(page)
    assert len(found) > 5
    for block in found:
        walk.follow(block)
