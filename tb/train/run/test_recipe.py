"""Recipes: what is in them, and what is refused in one sentence."""

import dataclasses
from itertools import pairwise

import pytest

from formats.decode import decode
from formats.files import ROOT

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from train.errors import RecipeError  # noqa: E402
from train.run.loop import stage_path  # noqa: E402
from train.run.recipe import Mixed, Recipe, Schedule, Weights, read_recipe  # noqa: E402
from train.run.schedule import rate  # noqa: E402

RECIPES = ROOT / "train" / "recipes"
GOOD = """
task = "digits"
seed = 1
mixed = "bfloat16"
[model]
layers = 1
width = 16
heads = 2
head_width = 8
feed_forward = 16
patch = 4
[[steps]]
activation_bits = 32
epochs = 1
batch = 32
learning_rate = 1
[[steps]]
activation_bits = 2
epochs = 1
batch = 32
learning_rate = 1e-3
weights = "ternary"
half = true
schedule = "cosine"
[[steps]]
activation_bits = 2
epochs = 1
batch = 32
learning_rate = 1e-3
weights = "split"
"""


#: Digests in the names of the stages of the project's recipes, which trained checkpoints have.
DIGESTS = {
    "fashion-mnist-full": ("f70bfaa08fa1", "d188b5cf09e6"),
    "fashion-mnist-w1a1": ("f70bfaa08fa1", "806fc0d11c57", "f26f86870df4"),
    "fashion-mnist-w1a2": ("f70bfaa08fa1", "806fc0d11c57", "db550157891e"),
    "fashion-mnist-w1a4": ("f70bfaa08fa1", "806fc0d11c57"),
    "sst2-w1a1": ("fd73c1fac959", "d6b2e7829920", "d82b3d90944a"),
}


def write(folder, text):
    path = folder / "a.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_recipes_of_the_project_are_valid(path):
    assert read_recipe(path).name == path.stem


@pytest.mark.parametrize("name", DIGESTS)
def test_the_checkpoints_of_the_project_keep_their_names(name):
    recipe = read_recipe(RECIPES / f"{name}.toml")
    names = [stage_path(recipe, index, "").stem for index in range(len(recipe.steps))]
    assert tuple(stem.rsplit("-", 1)[1] for stem in names) == DIGESTS[name]


def test_a_recipe_is_read_with_its_types(tmp_path):
    recipe = read_recipe(write(tmp_path, GOOD))
    assert (recipe.name, recipe.mixed, recipe.steps[1].schedule) == ("a", Mixed.BFLOAT16, Schedule.COSINE)
    assert [step.weights for step in recipe.steps] == [Weights.BINARY, Weights.TERNARY, Weights.SPLIT]
    assert type(recipe.steps[0].learning_rate) is float
    assert recipe.steps[0].scheme is None
    assert recipe.steps[2].scheme.method is Weights.SPLIT


@pytest.mark.parametrize("task", ["digits", "fashion-mnist"])
def test_images_may_be_shifted_and_mirrored(tmp_path, task):
    text = GOOD.replace('"digits"', f'"{task}"\nshift = 2\nflip = true')
    recipe = read_recipe(write(tmp_path, text))
    assert (recipe.shift, recipe.flip) == (2, True)


def test_a_recipe_survives_being_written_down_and_built_again(tmp_path):
    recipe = read_recipe(write(tmp_path, GOOD))
    assert decode(Recipe, dataclasses.asdict(recipe), "the recipe") == recipe


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("seed = 1", "seed = ", "invalid"),
        ('"digits"', '"chess"', "task must be one of fashion-mnist, digits.*, not 'chess'"),
        ("seed = 1", "seed = 1\ncolour = 3", "the recipe knows no 'colour', only name, task"),
        ("seed = 1", "seed = '1'", "seed must be a whole number in 0..9223372036854775807, not '1'"),
        ("seed = 1", "", "the recipe lacks 'seed'"),
        ("seed = 1", "seed = -1", "seed must be a whole number in 0..9.*, not -1"),
        ("seed = 1", "seed = 1\nname = 'a/b'", "name must be a text like .*, not 'a/b'"),
        ("seed = 1", "seed = 1\nstart = 3", "start must be a text or null, not 3"),
        ("seed = 1", "seed = 1\ncheckpoint_every = 0", "checkpoint_every must be a whole number in 1..2.*, not 0"),
        ("seed = 1", f"seed = {'[' * 5000}", "nested too deep"),
        ("seed = 1", "seed = 1\nshift = -1", "shift must be a whole number in 0..64, not -1"),
        ('"digits"', '"cola"\nflip = true', "shift and flip are of images, which cola has none of"),
        ('"digits"', '"mr"\nshift = 1', "shift and flip are of images, which mr has none of"),
        ("width = 16", "wdith = 16", "model knows no 'wdith', only layers"),
        ("width = 16", "", "model lacks 'width'"),
        ("width = 16", "width = true", "model.width must be a whole number in 1..4095, not true"),
        ("width = 16", "width = 16\nvocabulary = -5", "model.vocabulary must be a whole number in 0..16777216, not -5"),
        ("width = 16", "width = 16\nepsilon = nan", "model.epsilon must be a finite number, not nan"),
        ("width = 16", "width = 0", "model.width must be a whole number in 1..4095, not 0"),
        ('weights = "split"', 'weights = "split"\nspeed = 1', "steps.2 knows no 'speed'"),
        ("activation_bits = 32", "activation_bits = 8", "activation_bits = 32, the teacher"),
        ("activation_bits = 2\n", "activation_bits = 9\n", "must be in 1..8, or 32 for full precision, not 9"),
        ("activation_bits = 2\n", "activation_bits = 0\n", "must be in 1..8, or 32 for full precision, not 0"),
        ("activation_bits = 2\n", "activation_bits = 2.5\n", "steps.1.activation_bits must be a whole number, not 2.5"),
        ('weights = "ternary"', 'weights = "binary"', "step before it must have ternary"),
        ('weights = "ternary"', 'weights = "quaternary"', "steps.1.weights must be one of real, .*, not 'quaternary'"),
        ("half = true", "trained_scale = true", "only split weights have"),
        ('weights = "split"', 'weights = "split"\nhalf = true', "step 2 cannot say half"),
        ('weights = "split"', 'weights = "binary"', "step 2 must have half = true or split weights"),
        ("half = true", "half = true\nreplaced = 0.1", "step 1 says replaced or joined, which are of texts; images have"),
        ("half = true", "half = true\njoined = 1.5", "steps.1.joined must be a number in 0.0..1.0, not 1.5"),
        ("half = true", "half = true\naccumulate = 5", "must divide its batch of 32, not be 5"),
        ("learning_rate = 1e-3", "learning_rate = -1.0", "steps.1.learning_rate must be a number in 0.0..10.0, not -1.0"),
        ("mixed = ", "mixed = 'float8' #", "mixed must be one of none, bfloat16, float16, not 'float8'"),
        ("mixed = ", "start = 'nowhere'\nmixed = ", "there is no .*nowhere.*bittern import"),
        ("[model]", "[[model]]", "model must be a table of keys and values, not "),
    ],
)
def test_a_recipe_that_cannot_run_is_refused_in_one_sentence(tmp_path, old, new, words):
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ValueError, match=words) as caught:
        read_recipe(path)
    assert type(caught.value).__module__ == "train.errors"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("first", "second"), [("joined = 0.5\nlabel_weight = 0.0", ""), ("", "replaced = 0.1")])
def test_texts_that_nobody_labelled_need_a_teacher_that_does(tmp_path, first, second):
    step = "[[steps]]\nactivation_bits = 32\nepochs = 1\nbatch = 8\nlearning_rate = 1e-3\n"
    model = "[model]\nlayers = 1\nwidth = 16\nheads = 2\nhead_width = 8\nfeed_forward = 16\nvocabulary = 50\ntokens = 8"
    path = write(tmp_path, "\n".join(["task = 'cola'\nseed = 1", model, step + first, step + second]))
    with pytest.raises(RecipeError, match=r"need a step before it that teaches, and label_weight = 0, not 0\.[05]"):
        read_recipe(path)


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(RecipeError, match=r"there is no recipe at .*none.toml; those of the project are in train/recipes"):
        read_recipe(tmp_path / "none.toml")


@pytest.mark.parametrize("schedule", Schedule)
def test_the_learning_rate_rises_to_1_and_falls_to_0(schedule):
    rates = [rate(step, 200, schedule, 0.1) for step in range(200)]
    assert rates[19] == 1
    assert rates[0] == 1 / 20
    assert all(a < b for a, b in pairwise(rates[:20]))
    assert all(a > b for a, b in pairwise(rates[20:]))
    assert 0 < rates[-1] < 0.01
    middle = rates[110]
    assert abs(middle - 0.5) < 0.01
    assert (rates[60] > 0.8) == (schedule is Schedule.COSINE)
