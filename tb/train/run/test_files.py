"""Files and what they hold: told apart by hash; data and tokenizer are those of the model."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the extra 'train'")

from formats.preprocessing import ImagePipeline, TextPipeline
from tb.train.encoders import CONFIG
from tb.train.toys import toy_dataset
from train.data.sets import check_inputs
from train.data.tokenizer import tokenizer_of, train_tokenizer
from train.errors import CheckpointError, DataError
from train.run.files import digest, size


def test_the_digest_of_a_file_is_its_sha256(tmp_path):
    (tmp_path / "file").write_bytes(b"a line\n")
    assert digest(tmp_path / "file") == hashlib.sha256(b"a line\n").hexdigest()


def test_a_file_that_cannot_be_read_has_no_digest(tmp_path):
    with pytest.raises(CheckpointError, match=r"none cannot be read \(No such file.*fetch the checkpoint again"):
        digest(tmp_path / "none")


def test_the_size_of_a_file_is_in_mebibytes(tmp_path):
    (tmp_path / "file").write_bytes(bytes(3 << 19))
    assert size(tmp_path / "file") == "1.50 MiB"


@pytest.mark.parametrize("change", [{"tokens": 1}, {"input_size": 1}])
def test_data_of_another_shape_than_the_model_takes_are_refused(change):
    dataset = toy_dataset(64)
    _, tokens, size = np.shape(dataset.test.inputs)
    fits = dataclasses.replace(CONFIG, tokens=tokens, input_size=size)
    check_inputs(dataset, fits)
    with pytest.raises(DataError, match="give the data it was trained on"):
        check_inputs(dataset, dataclasses.replace(fits, **change))


def test_a_tokenizer_comes_back_from_what_a_bundle_holds_of_it():
    made = train_tokenizer(["a bird on a board", "a board of birds"] * 5, 60)
    back = tokenizer_of(TextPipeline(tokenizer=json.loads(made.to_str())))
    assert back.encode("birds on boards").ids == made.encode("birds on boards").ids
    assert tokenizer_of(ImagePipeline(image=(8, 8), patch=2)) is None
    assert tokenizer_of(None) is None
