"""Descriptions of saved models and of imported checkpoints: what is damaged is refused by name."""

import json

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from tb.formats.bundles import put  # noqa: E402
from tb.train.toys import RECIPE, toy_dataset  # noqa: E402
from train.errors import CheckpointError, TrainError  # noqa: E402
from train.huggingface.convert import Imported  # noqa: E402
from train.huggingface.files import Checkpoint  # noqa: E402
from train.huggingface.folder import load_imported, write_imported  # noqa: E402
from train.run.loop import new_model  # noqa: E402
from train.run.recipe import read_recipe  # noqa: E402
from train.run.saved import load_model, save_model  # noqa: E402

DATASET = toy_dataset(48)
MODELS = [new_model(RECIPE, DATASET, index) for index in range(2)]


@pytest.fixture
def saved(tmp_path):
    save_model(MODELS, RECIPE, DATASET, tmp_path / "best.pt")
    return tmp_path / "best.pt"


def test_a_saved_model_comes_back_with_what_a_bundle_says_of_its_data(saved):
    found = load_model(saved)
    assert found.recipe == RECIPE
    assert found.preprocessing == DATASET.preprocessing
    assert found.model.config == MODELS[1].config


@pytest.mark.parametrize(("path", "value", "words"), [
    ("recipe", [], "recipe must be a table of keys and values, not "),
    ("recipe.seed", -1, "recipe.seed must be a whole number in 0..9"),
    ("recipe.steps", [], "recipe.steps must be a list of at least 1, not "),
    ("recipe.steps.1.batch", 1.5, "recipe.steps.1.batch must be a whole number in 1..1048576, not 1.5"),
    ("recipe.model.colour", 1, "recipe.model knows no 'colour', only layers"),
    ("model.width", "x", "model.width must be a whole number in 1..4095, not 'x'"),
    ("model.width", 64, "size mismatch for .*weight"),
    ("teacher", None, "teacher must be a table of keys and values, not null"),
    ("labels", "abcd", "labels must be a list, not 'abcd'"),
    ("preprocessing.patch", 0, "preprocessing.patch must be a whole number in 1..16384, not 0"),
    ("preprocessing.tokenizer", {}, "preprocessing knows no 'tokenizer', only image"),
    ("hashes", {"a": 1}, "hashes.a must be a text, not 1"),
    ("licence", "free", "the description knows no 'licence', only recipe"),
])  # fmt: skip
def test_a_saved_model_with_a_damaged_description_is_refused_by_name(saved, path, value, words):
    content = torch.load(saved, weights_only=True)
    described = json.loads(content["described"])
    put(described, path, value)
    torch.save(content | {"described": json.dumps(described)}, saved)
    with pytest.raises(CheckpointError, match=words) as caught:
        load_model(saved)
    assert str(saved) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("; train again")


@pytest.mark.parametrize("described", [3, "[" * 100_000, "{}"], ids=["number", "brackets", "empty"])
def test_a_saved_model_without_a_description_is_refused(saved, described):
    content = torch.load(saved, weights_only=True)
    torch.save(content | {"described": described}, saved)
    with pytest.raises(CheckpointError, match=r"does not hold what it should .*; train again"):
        load_model(saved)


@pytest.fixture
def imported(tmp_path):
    """A folder as `bittern import` writes it, of a small model of patches."""
    made = Imported(MODELS[0], "vit", ("0", "1", "2", "3"), image=6, patch=3, notes=["a note"])
    write_imported(made, Checkpoint({}, {}, {}, None, {"model.safetensors": "ab" * 32}), tmp_path / "start", "digits")
    return tmp_path / "start"


def test_an_imported_checkpoint_comes_back_with_its_description(imported):
    encoder, description = load_imported(imported)
    assert encoder.config == MODELS[0].config
    assert encoder.structure == MODELS[0].structure
    assert (description.family, description.labels, description.task) == ("vit", ("0", "1", "2", "3"), "digits")
    assert (description.config.patch, description.image, description.notes) == (3, 6, ("a note",))
    assert description.source.sha256 == {"model.safetensors": "ab" * 32}


def test_a_folder_that_was_imported_before_a_field_was_added_still_loads(imported):
    file = imported / "bittern.json"
    description = json.loads(file.read_text())
    for key in ("notes", "image", "task"):
        del description[key]
    del description["config"]["class_tokens"]
    file.write_text(json.dumps(description))
    found = load_imported(imported)[1]
    assert (found.notes, found.image, found.task, found.config.class_tokens) == ((), 0, None, 0)


@pytest.mark.parametrize(("path", "value", "words"), [
    ("format", "bittern-import-0", "format must be a text like .*bittern-import-1.*, not 'bittern-import-0'"),
    ("config", None, "config must be a table of keys and values, not null"),
    ("config.width", 0, "config.width must be a whole number in 1..4095, not 0"),
    ("config.epsilon", "small", "config.epsilon must be a number in 0.0..1.0, not 'small'"),
    ("config.activation", "sine", "config.activation must be one of relu, gelu, gelu-tanh, not 'sine'"),
    ("config.colour", 1, "config knows no 'colour', only layers"),
    ("labels", [1, 2], "labels.0 must be a text, not 1"),
    ("tokenizer", [], "tokenizer must be a table of keys and values or null, not "),
    ("source", {}, "source lacks 'sha256'"),
    ("licence", "free", "the description knows no 'licence', only format"),
])  # fmt: skip
def test_an_imported_checkpoint_with_a_damaged_description_is_refused_by_name(imported, path, value, words):
    file = imported / "bittern.json"
    description = json.loads(file.read_text())
    put(description, path, value)
    file.write_text(json.dumps(description))
    recipe = imported.parent / "a.toml"
    step = "[[steps]]\nactivation_bits = 32\nepochs = 1\nbatch = 8\nlearning_rate = 1e-3\n"
    recipe.write_text(f"task = 'digits'\nseed = 1\nstart = 'start'\n{step}")
    for read in (lambda: load_imported(imported), lambda: read_recipe(recipe)):
        with pytest.raises(TrainError, match=words) as caught:
            read()
        assert str(imported) in str(caught.value)
        assert "\n" not in str(caught.value)
