"""Damaged files through every command that reads them: one sentence, status 2, no traceback."""

import importlib.util

import numpy as np
import pytest

from cli.main import main
from formats import bundle
from formats.errors import UserError
from golden.model import Input
from tb.formats.bundles import make_bundle, put, rewrite

COMMANDS = {
    "info": ["info", "FILE"],
    "sim": ["sim", "--preset", "tiny", "--samples", "1", "--bundle", "FILE"],
    "run": ["run", "FILE", "a film!"],
    "image": ["image", "FILE", "--preset", "tiny", "--output", "none.image"],
    "evaluate": ["evaluate", "FILE", "--processes", "1"],
}
#: What is wrong, by the kind of bundle, and what the sentence must name.
DAMAGE = {
    "labels a text": ("patches", "labels", "abc", "labels must be a list"),
    "half a character": ("patches", "labels", ["a", "b", "\ud800"], "labels.2 must be a text of whole characters"),
    "record a list": ("patches", "record", [], "record must be a table"),
    "checkpoint a text": ("patches", "record.checkpoint", "best.pt", "record.checkpoint must be a table"),
    "no preprocessing": ("patches", "preprocessing", None, "preprocessing must be a table"),
    "a patch of 0": ("patches", "preprocessing.patch", 0, "preprocessing.patch must be a whole number"),
    "an image of one side": ("patches", "preprocessing.image", [8], "preprocessing.image must be a list of 2"),
    "endless class tokens": ("patches", "preprocessing.class_tokens", 10**9, "preprocessing.class_tokens must be"),
    "no tokens left": ("tokens", "preprocessing.truncate", -5, "preprocessing.truncate must be a whole number"),
    "a tokenizer that is a list": ("tokens", "preprocessing.tokenizer", [], "preprocessing.tokenizer must be a table"),
    "an id beyond the table": ("tokens", "preprocessing.tokenizer.model.vocab.film", 99, "gives 'film' the id 99"),
    "a bit and a half": ("patches", "encoder.embedding.norm.output", ["signed", 1.5], "norm.output.1 must be a whole"),
    "a shift of 1.5": ("patches", "encoder.classifier.constants.shift", 1.5, "classifier.constants.shift must be"),
    "no number": ("patches", "encoder.config.residual_fraction", float("nan"), "residual_fraction must be a finite"),
    "an unknown key": ("patches", "encoder.config.colour", 1, "encoder.config knows no 'colour'"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Whole bundles of each kind of input, by its name."""
    folder = tmp_path_factory.mktemp("whole")
    for kind in Input:
        bundle.save(make_bundle(input=kind), folder / f"{kind}.bundle")
    return folder


def refusal(command, path, capsys):
    """The sentence on standard error of a command that refuses a file."""
    if command == "evaluate" and importlib.util.find_spec("torch") is None:
        pytest.skip("evaluating needs the extra 'train'")
    assert main([str(path) if part == "FILE" else part for part in COMMANDS[command]]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("bittern: ")
    assert printed.err.count("\n") == 1
    assert "Traceback" not in printed.err
    return printed.err


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_bundle_is_one_sentence_and_status_2(damage, command, whole, tmp_path, capsys):
    kind, key, value, words = DAMAGE[damage]
    path = tmp_path / "a.bundle"
    path.write_bytes((whole / f"{kind}.bundle").read_bytes())
    rewrite(path, lambda description, _: put(description, key, value))
    said = refusal(command, path, capsys)
    assert words in said
    assert f"bundle {path} is invalid" in said


@pytest.mark.parametrize("command", COMMANDS)
def test_tensors_of_fractions_are_one_sentence_and_status_2(command, whole, tmp_path, capsys):
    path = tmp_path / "a.bundle"
    path.write_bytes((whole / "patches.bundle").read_bytes())
    name = "encoder.layers.0.feed_forward.up.weight"
    rewrite(path, lambda _, tensors: tensors.update({name: tensors[name].astype(np.float32)}))
    assert f"tensor '{name}' must be of one of the types U8" in refusal(command, path, capsys)


@pytest.mark.parametrize("command", ["info", "image"])
@pytest.mark.parametrize("kind", Input)
def test_the_same_bundles_are_taken_as_long_as_they_are_whole(kind, command, whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = whole / f"{kind}.bundle"
    assert main([str(path) if part == "FILE" else part for part in COMMANDS[command]]) == 0


def test_a_text_goes_through_the_tokenizer_of_a_whole_bundle(whole, capsys):
    assert main(["run", str(whole / "tokens.bundle"), "A films!", "--preset", "tiny", "--top", "1"]) == 0
    assert capsys.readouterr().out.startswith("A films!: ")


def test_whatever_a_user_can_put_right_is_one_sentence(monkeypatch, capsys):
    class Further(UserError):
        """Of a part of the project that the command line knows nothing of."""

    def refuse(options):
        raise Further("a rule, a value, a way out")

    monkeypatch.setattr("boards.run.command.run", refuse)
    assert main(["run", "a.bundle", "a text"]) == 2
    assert capsys.readouterr().err == "bittern: a rule, a value, a way out\n"
