"""Training: it learns, goes on where it stopped, and says what is wrong with recipes and data."""

import dataclasses
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from rich.console import Console  # noqa: E402

from train.__main__ import main  # noqa: E402
from train.data import Dataset, Split, to_patches, tokenize, train_tokenizer  # noqa: E402
from train.loop import predict, shift_and_flip, train  # noqa: E402
from train.recipe import Model, Recipe, RecipeError, Step, Task, read_recipe  # noqa: E402

RECIPES = Path(__file__).parents[2] / "train" / "recipes"
STEPS = (Step(32, 3, 32, 3e-3), Step(1, 2, 32, 3e-3, hidden_weight=0.1))
RECIPE = Recipe("toy", Task.FASHION_MNIST, 1, Model(1, 32, 2, 16, 32), STEPS)


def toy_dataset():
    """Which pixel of every patch is bright."""
    rng = np.random.default_rng(0)

    def split(count):
        labels = rng.integers(0, 4, count)
        inputs = rng.integers(0, 120, (count, 4, 9))
        inputs[np.arange(count), :, labels] += 100
        return Split(inputs, np.full(count, 4), labels)

    return Dataset(split(480), split(100), split(200), ("0", "1", "2", "3"), {})


def run(folder, recipe=RECIPE):
    return train(recipe, toy_dataset(), folder, Console(file=io.StringIO()))


def test_every_step_learns(tmp_path):
    dataset = toy_dataset()
    for model in run(tmp_path):
        assert np.mean(predict(model, dataset.test) == dataset.test.labels) > 0.9


def test_a_run_goes_on_with_its_last_epoch_and_ends_the_same(tmp_path, monkeypatch):
    whole = run(tmp_path / "whole")[-1].state_dict()

    calls = []

    def stop(*arguments):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return predict(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr("train.loop.predict", stop)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "parts")
    resumed = run(tmp_path / "parts")[-1].state_dict()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_recipes_with_a_common_beginning_share_it(tmp_path):
    run(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    run(tmp_path, dataclasses.replace(RECIPE, name="other", steps=STEPS[:1]))
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_shifting_and_flipping_keeps_the_pixels():
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 10:12, 10:13] = [[1, 2, 3], [4, 5, 6]]
    patches = torch.from_numpy(to_patches(image, 7))
    rng = np.random.default_rng(0)
    for _ in range(10):
        assert sorted(shift_and_flip(patches, rng).ravel().tolist())[-6:] == [1, 2, 3, 4, 5, 6]


def test_patches_go_row_by_row():
    images = np.arange(16).reshape(1, 4, 4)
    assert to_patches(images, 2).tolist() == [[[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]]


def test_texts_become_padded_ids_with_lengths():
    tokenizer = train_tokenizer(["good film", "bad film"] * 10, 40)
    inputs, lengths = tokenize(tokenizer, ["Good film", "film film film film"], 4)
    assert inputs.shape == (2, 4)
    assert lengths.tolist() == [3, 4]
    assert inputs[0, 3] == 0
    assert tokenizer.decode(inputs[0, :3].tolist()) == "good film"


def test_the_same_texts_give_the_same_vocabulary_in_every_process():
    program = (
        "from train.data import train_tokenizer\n"
        "words = [f'{a}{b}{c}' for a in 'abcdef' for b in 'ghijk' for c in 'lmnop']\n"
        "print(sorted(train_tokenizer(words, 120).get_vocab().items()))"
    )
    runs = {subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout for _ in range(3)}
    assert len(runs) == 1


@pytest.mark.parametrize("name", ["fashion-mnist-w1a1", "fashion-mnist-w1a4", "sst2-w1a1"])
def test_the_recipes_of_the_project_are_valid(name):
    assert read_recipe(RECIPES / f"{name}.toml").name == name


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("task = ", "invalid"),
        ("task = 'chess'\nseed = 1\nsteps = []\n[model]\n", "lacks 'layers'"),
        ("task = 'sst2'\nseed = 1\nsteps = []\ncolour = 3\n[model]\n", "'colour'"),
        ("task = 'sst2'\nseed = 1\nsteps = []\nmodel = {layers=1,width=1,heads=1,head_width=1,feed_forward=1}", "teacher"),
    ],
)
def test_a_recipe_that_cannot_run_is_refused_in_one_sentence(tmp_path, text, word):
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=word) as caught:
        read_recipe(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["none.toml"], "there is no recipe at none.toml"),
        ([str(RECIPES / "sst2-w1a1.toml")], "BITTERN_SST2"),
        ([str(RECIPES / "fashion-mnist-w1a1.toml"), "--data", "nowhere"], "dataset-fashion-mnist"),
    ],
)
def test_what_a_user_gets_wrong_is_one_sentence_and_status_2(arguments, word, capsys, monkeypatch):
    monkeypatch.delenv("BITTERN_SST2", raising=False)
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert word in printed.err
    assert printed.err.count("\n") == 1
