"""Data sets: patches, augmentation, word pieces, and what is said of files that are missing or others."""

import dataclasses
import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from formats.files import ROOT

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from boards.run.tokenizer import encode_texts  # noqa: E402
from golden.patches import to_patches  # noqa: E402
from tb.train.toys import RECIPE, toy_dataset, toy_texts  # noqa: E402
from train.data.batches import batches, batches_per_epoch, tensors  # noqa: E402
from train.data.images import FASHION_FOLDER, FASHION_HASHES, digits, fashion_mnist  # noqa: E402
from train.data.load import load_data  # noqa: E402
from train.data.tasks import Task  # noqa: E402
from train.data.texts import load  # noqa: E402
from train.data.tokenizer import read_tokenizer, tokenize, train_tokenizer  # noqa: E402
from train.errors import DataError  # noqa: E402

GLUE = ROOT.parent / "shared" / "data" / "glue"


def test_patches_go_row_by_row():
    images = np.arange(16).reshape(1, 4, 4)
    assert to_patches(images, 2).tolist() == [[[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]]


def test_patches_may_overlap():
    image = np.arange(25).reshape(1, 5, 5)
    expected = [image[0, top : top + 3, left : left + 3].ravel().tolist() for top in (0, 2) for left in (0, 2)]
    assert to_patches(image, 3, 2).tolist() == [expected]


@pytest.mark.parametrize(("patch", "stride"), [(3, 0), (3, 2), (5, 1), (0, 1)])
def test_patches_that_do_not_end_with_the_image_are_refused(patch, stride):
    with pytest.raises(ValueError, match="must end with the image of 4 x 4"):
        to_patches(np.zeros((1, 4, 4), np.uint8), patch, stride)


def test_every_sample_is_in_one_batch_of_an_epoch_and_epochs_differ():
    split = toy_texts(103).train
    first, second = batches(split, 10, 1, 0), batches(split, 10, 1, 1)
    assert len(first) == batches_per_epoch(split, 10) == 11
    assert sorted(np.concatenate(first).tolist()) == list(range(103))
    assert not all(np.array_equal(a, b) for a, b in zip(first, second))
    assert all(np.array_equal(a, b) for a, b in zip(first, batches(split, 10, 1, 0)))


def test_texts_of_a_batch_have_similar_lengths_and_no_more_columns_than_they_need():
    split = toy_texts(400).train
    for index in batches(split, 40, 1, 0):
        lengths = split.lengths[index]
        inputs, _, _ = tensors(split, index)
        assert inputs.shape[1] == lengths.max()
        assert lengths.max() - lengths.min() <= 3


def test_texts_become_padded_ids_with_lengths():
    tokenizer = train_tokenizer(["good film", "bad film"] * 10, 40)
    inputs, lengths = tokenize(tokenizer, ["Good film", "film film film film"], 4)
    assert inputs.shape == (2, 4)
    assert lengths.tolist() == [3, 4]
    assert inputs[0, 3] == 0
    assert tokenizer.decode(inputs[0, :3].tolist()) == "good film"


def test_closing_tokens_stay_when_a_text_is_cut_and_the_driver_cuts_it_the_same_way(tmp_path):
    from tokenizers import processors

    tokenizer = train_tokenizer(["good film", "bad film"] * 10, 40)
    ids = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[UNK]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [UNK]", special_tokens=ids)
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    tokenizer = read_tokenizer(tmp_path / "tokenizer.json")
    texts = ["good film", "good good bad bad film", "film"]
    inputs, lengths = tokenize(tokenizer, texts, 5)
    assert inputs[1, -1] == ids[1][1]
    assert lengths.tolist() == [4, 5, 3]
    padded, counts = encode_texts(json.loads(tokenizer.to_str()), texts, 5, 5)
    assert (padded.tolist(), counts.tolist()) == (inputs.tolist(), lengths.tolist())


def test_the_same_texts_give_the_same_vocabulary_in_every_process():
    program = (
        "from train.data.tokenizer import train_tokenizer\n"
        "words = [f'{a}{b}{c}' for a in 'abcdef' for b in 'ghijk' for c in 'lmnop']\n"
        "print(sorted(train_tokenizer(words, 120).get_vocab().items()))"
    )
    runs = {subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout for _ in range(3)}
    assert len(runs) == 1


def test_the_digits_are_split_in_three_without_overlap():
    dataset = digits(2)
    parts = [dataset.train, dataset.validation, dataset.test]
    assert [len(part) for part in parts] == [1200, 200, 397]
    assert dataset.train.inputs.shape == (1200, 16, 4)
    assert dataset.train.inputs.max() == 240
    images = [image.tobytes() for part in parts for image in part.images]
    assert len(set(images)) > 1790  # 1,797 of which a few are alike


@pytest.mark.skipif(not Path(FASHION_FOLDER).is_dir(), reason="dataset-fashion-mnist is not installed")
def test_fashion_mnist_is_read_and_its_last_training_images_validate():
    dataset = fashion_mnist(None, 7)
    assert [len(part) for part in (dataset.train, dataset.validation, dataset.test)] == [55000, 5000, 10000]
    assert dataset.test.labels[:4].tolist() == [9, 2, 1, 1]
    assert dataset.train.inputs.shape[1:] == (16, 49)


def test_files_that_are_missing_or_others_are_named_with_the_way_out(tmp_path):
    with pytest.raises(DataError, match=r"install the Debian package .*there is no .*train-images"):
        fashion_mnist(tmp_path, 7)
    for name in FASHION_HASHES:
        (tmp_path / name).write_bytes(gzip.compress(b"\0" * 100))
    with pytest.raises(DataError, match=r"must have sha256 b0564c3eedabfbf8..., not .*by --data"):
        fashion_mnist(tmp_path, 7)
    with pytest.raises(DataError, match=r"BITTERN_SST2.*no folder is named"):
        load(Task.SST2, None, 100, 16)
    with pytest.raises(DataError, match=r"CoLA .*there is no .*train.tsv"):
        load(Task.COLA, tmp_path, 100, 16)


@pytest.mark.skipif(not GLUE.is_dir(), reason="the GLUE sets are not there")
@pytest.mark.parametrize(("task", "folder", "sizes"), [
    (Task.SST2, "SST-2", (60614, 6735, 872)), (Task.COLA, "CoLA", (7250, 1301, 1043)),
])  # fmt: skip
def test_glue_sets_have_the_sizes_that_papers_report_on(task, folder, sizes):
    tokenizer = train_tokenizer(["a film", "the sailors"], 100)
    dataset = load(task, GLUE / folder, 100, 16, tokenizer)
    assert tuple(len(part) for part in (dataset.train, dataset.validation, dataset.test)) == sizes
    with pytest.raises(DataError, match="more than the model's vocabulary of 10"):
        load(task, GLUE / folder, 10, 16, tokenizer)


@pytest.mark.parametrize(("content", "words"), [(None, "there is no tokenizer at"), ("{}", "is no tokenizer.json")])
def test_a_tokenizer_that_cannot_be_read_is_named(tmp_path, content, words):
    path = tmp_path / "tokenizer.json"
    if content:
        path.write_text(content)
    with pytest.raises(DataError, match=words):
        read_tokenizer(path)


def test_a_patch_size_that_does_not_fit_is_refused():
    recipe = dataclasses.replace(RECIPE, model=dataclasses.replace(RECIPE.model, patch=3))
    with pytest.raises(DataError, match=r"patches of 3 pixels.*in the recipe"):
        load_data(recipe)


def test_part_of_a_data_set_is_its_first_samples():
    dataset = toy_dataset(100)
    assert np.array_equal(dataset.part(7).train.labels, dataset.train.labels[:7])
    assert len(dataset.part(7).test) == len(dataset.test)
