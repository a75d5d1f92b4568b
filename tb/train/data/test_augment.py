"""Augmentation: images moved and mirrored, texts with other words or longer, and that a stage trains on them."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from formats.preprocessing import ImagePipeline, TextPipeline  # noqa: E402
from golden.patches import to_patches  # noqa: E402
from tb.train.toys import RECIPE, STEPS, run, same, toy_dataset, toy_texts  # noqa: E402
from train.data.augment import Texts, augmentation, moved  # noqa: E402
from train.data.sets import Split  # noqa: E402
from train.data.tasks import Task  # noqa: E402
from train.data.tokenizer import added_pieces, train_tokenizer  # noqa: E402
from train.run.loop import stage_path  # noqa: E402
from train.run.recipe import Model  # noqa: E402

TOKENS = 9


def windows(image, padding, flip):
    """All shifts of an image, and with ``flip`` of its mirror image, as bytes."""
    padded = [np.pad(turned, padding) for turned in ((image, image[:, ::-1]) if flip else (image,))]
    steps, (height, width) = range(2 * padding + 1), image.shape
    return {p[top : top + height, left : left + width].tobytes() for p in padded for top in steps for left in steps}


@pytest.mark.parametrize(("patch", "stride"), [(7, 7), (10, 6)])
@pytest.mark.parametrize(("shift", "flip", "kinds"), [(2, True, 20), (1, False, 7), (0, True, 2)])
def test_augmented_images_are_shifted_or_mirrored_each_by_itself(patch, stride, shift, flip, kinds):
    rng = np.random.default_rng(0)
    images = rng.integers(1, 256, (40, 28, 28)).astype(np.uint8)
    images[:] = images[0]
    split = Split(to_patches(images, patch, stride), np.full(40, 16), np.zeros(40, np.int64), images=images)
    made = moved(split, np.arange(40), ImagePipeline(image=(28, 28), patch=patch, stride=stride), rng, shift, flip).numpy()
    shifted = [np.frombuffer(window, np.uint8).reshape(1, 28, 28) for window in windows(images[0], shift, flip)]
    possible = {to_patches(image, patch, stride).tobytes() for image in shifted}
    found = [one[None].tobytes() for one in made]
    assert set(found) <= possible
    assert len(set(found)) >= kinds


@st.composite
def texts(draw):
    """A split of texts that begin with some 1 and end with some 2, words being from 10 on; and how many of each."""
    opening, closing = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    lengths = draw(st.lists(st.integers(opening + closing + 1, TOKENS), min_size=1, max_size=12))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    inputs = rng.integers(10, 30, (len(lengths), TOKENS))
    for row, length in zip(inputs, lengths, strict=True):
        row[:opening], row[length - closing : length], row[length:] = 1, 2, 0
    return Split(inputs, np.array(lengths), np.zeros(len(lengths), np.int64)), opening, closing


def words(row, length, opening, closing):
    return row[opening : length - closing].tolist()


@given(texts(), st.integers(0, 100))
def test_a_joined_text_goes_on_with_the_words_of_another_and_is_closed_once(case, seed):
    split, opening, closing = case
    index = np.arange(len(split))
    inputs, lengths = (t.numpy() for t in Texts(split, opening, closing, 0.0, 1.0)(index, np.random.default_rng(seed)))
    assert inputs.shape[1] == lengths.max() <= TOKENS
    own = [words(split.inputs[i], split.lengths[i], opening, closing) for i in index]
    chosen = []
    for row, length, mine in zip(inputs, lengths, own, strict=True):
        assert (row[:opening] == 1).all()
        assert (row[length - closing : length] == 2).all()
        assert (row[length:] == 0).all()
        room = TOKENS - opening - closing
        made = words(row, length, opening, closing)
        fitting = [i for i, other in enumerate(own) if made == (mine + other)[:room]]
        assert fitting
        chosen.append(fitting)
    # Each one is the other of one of them, unless what goes on does not tell which.
    assert all(len(fitting) > 1 for fitting in chosen) or set().union(*chosen) == set(index.tolist())


@given(texts(), st.floats(0.0, 1.0), st.integers(0, 100))
def test_replaced_words_are_words_of_the_texts_and_nothing_else_is_replaced(case, replaced, seed):
    split, opening, closing = case
    rng = np.random.default_rng(seed)
    index = rng.permutation(len(split))
    made, lengths = Texts(split, opening, closing, replaced, 0.0)(index, rng)
    assert torch.equal(lengths, torch.from_numpy(split.lengths[index]))
    before = split.inputs[index][:, : made.shape[1]]
    known = {word for row, length in zip(split.inputs, split.lengths) for word in words(row, length, opening, closing)}
    other = made.numpy() != before
    assert set(made.numpy()[other].tolist()) <= known
    assert (before[other] >= 10).all()


def test_as_many_words_are_replaced_and_texts_joined_as_is_asked_for():
    rng = np.random.default_rng(0)
    inputs = rng.integers(10, 2000, (4000, TOKENS))
    inputs[:, 5:] = 0
    split = Split(inputs, np.full(4000, 5), np.zeros(4000, np.int64))
    index = np.arange(4000)
    made, _ = Texts(split, 0, 0, 0.2, 0.0)(index, rng)
    assert abs((made.numpy() != inputs[:, :5]).mean() - 0.2) < 0.01
    _, lengths = Texts(split, 0, 0, 0.0, 0.3)(index, rng)
    assert set(lengths.tolist()) == {5, TOKENS}
    assert abs((lengths == TOKENS).float().mean() - 0.3) < 0.03


def test_a_text_goes_on_with_any_other_of_the_batch():
    inputs = np.arange(100)[:, None].repeat(4, 1)
    inputs[:, 2:] = 0
    split = Split(inputs, np.full(100, 2), np.zeros(100, np.int64))
    made, _ = Texts(split, 0, 0, 0.0, 1.0)(np.arange(100), np.random.default_rng(0))
    steps = made[:, 2] - made[:, 0]
    assert len(set(steps.tolist())) > 50
    assert set(made[:, 2].tolist()) == set(range(100))


def test_each_word_of_the_texts_is_equally_likely_to_replace_another():
    inputs = np.full((3000, 4), 10)
    inputs[0] = 11
    split = Split(inputs, np.full(3000, 4), np.zeros(3000, np.int64))
    made, _ = Texts(split, 0, 0, 1.0, 0.0)(np.arange(3000), np.random.default_rng(0))
    assert abs((made == 11).float().mean() - 0.5) < 0.02


def test_a_tokenizer_is_asked_what_it_adds():
    from tokenizers.processors import TemplateProcessing

    tokenizer = train_tokenizer(["a b c"], 20)
    assert added_pieces(tokenizer) == (1, 0)
    start = tokenizer.token_to_id("[CLS]")
    tokenizer.post_processor = TemplateProcessing(single="$A [CLS] [CLS]", special_tokens=[("[CLS]", start)])
    assert added_pieces(tokenizer) == (0, 2)


TEACHER = dataclasses.replace(STEPS[0], epochs=1)
STUDENT = dataclasses.replace(STEPS[1], epochs=1, label_weight=0.0)
TEXT = dataclasses.replace(RECIPE, task=Task.SST2, model=Model(1, 32, 2, 16, 32, vocabulary=20), steps=(TEACHER, STUDENT))


def with_tokenizer(dataset):
    tokenizer = json.loads(train_tokenizer(["a b c"], 20).to_str())
    return dataclasses.replace(dataset, preprocessing=TextPipeline(tokenizer=tokenizer))


@pytest.mark.parametrize("change", [{"shift": 1}, {"flip": True}], ids=str)
def test_either_augmentation_of_images_changes_what_is_trained(tmp_path, change):
    dataset = toy_dataset(64)
    recipe = dataclasses.replace(RECIPE, steps=(TEACHER,))
    plain, other = (run(tmp_path, each, dataset)[-1] for each in (recipe, dataclasses.replace(recipe, **change)))
    assert not same(plain, other)


@pytest.mark.parametrize("change", [{"replaced": 0.3}, {"joined": 0.5}], ids=str)
def test_either_augmentation_of_texts_changes_what_a_student_learns(tmp_path, change):
    dataset = with_tokenizer(toy_texts())
    changed = dataclasses.replace(TEXT, steps=(TEACHER, dataclasses.replace(STUDENT, **change)))
    plain, other = (run(tmp_path, recipe, dataset) for recipe in (TEXT, changed))
    assert same(plain[0], other[0])
    assert not same(plain[1], other[1])
    assert stage_path(TEXT, 1, "") != stage_path(changed, 1, "")


def test_parts_of_a_batch_are_augmented_as_the_whole(tmp_path):
    dataset = with_tokenizer(toy_texts(320))
    step = dataclasses.replace(TEACHER, label_weight=0.0)
    both = dataclasses.replace(step, replaced=0.3, joined=0.5)
    whole, parts = (
        run(tmp_path, dataclasses.replace(TEXT, steps=(TEACHER, dataclasses.replace(both, accumulate=count))), dataset)[-1]
        for count in (1, 2)
    )
    for (name, a), b in zip(whole.named_parameters(), parts.parameters(), strict=True):
        assert name.endswith("key.bias") or torch.allclose(a, b, atol=2e-4), name


def test_without_augmentation_there_is_none():
    assert augmentation(RECIPE, STEPS[1], toy_dataset(10)) is None
