"""`bittern train` and `bittern reproduce` as a user calls them."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from formats.files import ROOT

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from cli.main import main  # noqa: E402
from formats import bundle  # noqa: E402
from golden.encoder import encode  # noqa: E402
from tb.train.imports import write_description  # noqa: E402
from tb.train.run.test_recipe import GOOD, RECIPES  # noqa: E402
from tb.train.toys import RECIPE, run, same, toy_dataset  # noqa: E402
from train.data.load import load_data  # noqa: E402
from train.errors import CheckpointError  # noqa: E402
from train.run.predict import predict  # noqa: E402
from train.run.recipe import read_recipe  # noqa: E402
from train.run.saved import load_model, save_model  # noqa: E402
from train.run.stage import Stage  # noqa: E402

SMALL = GOOD.replace('mixed = "bfloat16"\n', "").replace("learning_rate = 1\n", "learning_rate = 3e-3\n")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder with a recipe of digits, small.toml, and one of texts, mr.toml."""
    monkeypatch.chdir(tmp_path)
    Path("small.toml").write_text(SMALL)
    Path("mr.toml").write_text(SMALL.replace('"digits"', '"mr"'))
    return tmp_path


def test_a_run_leaves_a_model_a_log_and_a_bundle_that_golden_runs(here, capsys):
    assert main(["train", "small.toml", "--threads", "1", "--control"]) == 0
    folder = here / "build" / "train" / "small"
    assert {"best.pt", "log.csv", "small.bundle", "measured.json"} <= {path.name for path in folder.iterdir()}
    loaded = bundle.load(folder / "small.bundle")
    assert loaded.record["command"] == "bittern train small.toml"
    assert loaded.record["accuracy"] == json.loads((folder / "measured.json").read_text())
    assert loaded.record["accuracy"]["agreement"] == 100
    assert "control_without_layers" in loaded.record["accuracy"]
    saved = load_model(folder / "best.pt")
    test = toy_like(loaded.samples)
    integer = [encode(loaded.encoder, x, int(n))["logits"].argmax() for x, n in zip(test.inputs, test.lengths)]
    assert np.array_equal(predict(saved.model, test), integer)
    assert not list(folder.rglob("*.partial"))
    printed = capsys.readouterr().out
    assert "best.pt" in printed
    assert re.search(r"small\.bundle: 0\.\d\d MiB", printed)


def test_a_run_in_full_precision_says_its_accuracy_and_has_no_bundle(here, capsys):
    start, teacher, *_ = SMALL.split("[[steps]]")
    (here / "full.toml").write_text("[[steps]]".join([start, teacher, teacher]))
    assert main(["train", "full.toml", "--threads", "1", "--control"]) == 0
    folder = here / "build" / "train" / "full"
    measured = json.loads((folder / "measured.json").read_text())
    assert not list(folder.glob("*.bundle"))
    model, test = load_model(folder / "best.pt").model, load_data(read_recipe(here / "full.toml")).test
    assert model.formats is None
    assert measured["full_precision"] == round(100 * float((predict(model, test) == test.labels).mean()), 2)
    assert measured["test_samples"] == len(test)
    assert 5 < measured["control_without_layers"] < measured["full_precision"]
    assert f"full precision  {measured['full_precision']}" in capsys.readouterr().out


def test_teacher_and_control_of_a_run_start_from_the_imported_checkpoint(here, monkeypatch):
    from safetensors.torch import save_file

    (here / "begun").mkdir()
    save_file({"embedding.bias": torch.full((16,), 0.5)}, here / "begun" / "model.safetensors")
    write_description(here / "begun", read_recipe(here / "small.toml").model)
    start, teacher, *_ = SMALL.replace("seed = 1", "seed = 1\nstart = 'begun'").split("[[steps]]")
    (here / "begun.toml").write_text("[[steps]]".join([start, teacher]))
    began = []
    monkeypatch.setattr("train.run.loop._begin", lambda model, weights, _: began.append((model.config.layers, *weights)))
    assert main(["train", "begun.toml", "--threads", "1", "--control"]) == 0
    assert began == [(1, "embedding.bias"), (0, "embedding.bias")]


def toy_like(samples):
    """A bundle's samples as a split."""
    from train.data.sets import Split

    return Split(samples.inputs, samples.lengths, samples.labels)


def test_an_interrupted_run_says_where_and_goes_on_only_if_asked_to(here, capsys, monkeypatch):
    update = Stage._update
    calls = []

    def stop(self, *arguments):
        calls.append(1)
        if len(calls) > 70:
            raise KeyboardInterrupt
        return update(self, *arguments)

    text = SMALL.replace("seed = 1", "seed = 1\ncheckpoint_every = 10")
    Path("small.toml").write_text(text)
    with monkeypatch.context() as patched:
        patched.setattr(Stage, "_update", stop)
        assert main(["train", "small.toml", "--threads", "1"]) == 130
    assert "interrupted at step 32 of 38" in capsys.readouterr().err
    assert main(["train", "small.toml", "--threads", "1"]) == 2
    error = capsys.readouterr().err
    assert "add --resume" in error
    assert error.count("\n") == 1
    assert main(["train", "small.toml", "--threads", "1", "--resume"]) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.toml"], "there is no recipe at none.toml"),
        ([str(RECIPES / "sst2-w1a1.toml")], "BITTERN_SST2"),
        ([str(RECIPES / "fashion-mnist-w1a1.toml"), "--data", "nowhere"], "dataset-fashion-mnist"),
        (["small.toml", "--device", "abacus"], "device 'abacus' cannot be used"),
        (["small.toml", "--resume"], "there is nothing to resume"),
        (["small.toml", "--threads", "100000"], "--threads must be in 0..1024, not 100000"),
        (["small.toml", "--threads", "-1"], "--threads must be in 0..1024, not -1"),
        (["mr.toml"], "data of task mr cannot be read, of texts only of sst2, cola"),
    ],
)
def test_what_a_user_gets_wrong_is_one_sentence_and_status_2(here, arguments, words, capsys, monkeypatch):
    monkeypatch.delenv("BITTERN_SST2", raising=False)
    assert main(["train", *arguments]) == 2
    printed = capsys.readouterr()
    assert words in printed.err
    assert printed.err.count("\n") == 1
    assert not list(here.rglob("*.pt"))


@pytest.mark.parametrize("missing", ["torch", "tokenizers"])
def test_without_the_extra_the_command_says_what_to_install(here, missing):
    script = f"import sys; sys.modules[{missing!r}] = None\nfrom cli.main import main\nsys.exit(main(sys.argv[1:]))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for arguments in (["train", "small.toml"], ["reproduce", "--quick"]):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], capture_output=True, text=True, env=environment, check=False
        )
        assert done.returncode == 2
        assert f"training needs {missing}, which is not installed; run `make train-setup`" in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_saved_model_is_the_one_that_was_trained(tmp_path):
    trained = run(tmp_path)
    save_model(trained, RECIPE, toy_dataset(), tmp_path / "best.pt")
    saved = load_model(tmp_path / "best.pt")
    assert same(saved.model, trained[-1])
    assert same(saved.teacher, trained[0])
    assert saved.recipe == RECIPE
    assert saved.labels == ("0", "1", "2", "3")


def test_a_file_that_is_no_saved_model_is_refused(tmp_path):
    run(tmp_path, dataclasses.replace(RECIPE, steps=RECIPE.steps[:1]), toy_dataset(96))
    (stage,) = tmp_path.glob("*.pt")
    with pytest.raises(CheckpointError, match="is no model checkpoint"):
        load_model(stage)
    with pytest.raises(CheckpointError, match="there is no checkpoint at"):
        load_model(tmp_path / "none.pt")
