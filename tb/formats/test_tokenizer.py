"""Tokenizers in bundles: each model of the library is taken as the library writes it, and ids beyond the table are not."""

import json

import pytest

from formats.tokenizer import check_tokenizer

tokenizers = pytest.importorskip("tokenizers", reason="tokenizers are written by the extra 'text'")

from tokenizers import Tokenizer, models, processors  # noqa: E402

PIECES = {"<unk>": 0, "a": 1, "b": 2, "ab": 3}
MODELS = {
    "WordPiece": models.WordPiece(PIECES, unk_token="<unk>"),
    "WordLevel": models.WordLevel(PIECES, unk_token="<unk>"),
    "BPE": models.BPE(vocab=PIECES, merges=[("a", "b")]),
    "Unigram": models.Unigram([("<unk>", 0.0), ("a", -1.0), ("b", -1.5), ("ab", -1.2)], 0, False),
}


def written(name):
    """The JSON of a tokenizer with this model, which puts a special piece of id 4 before a text."""
    tokenizer = Tokenizer(MODELS[name])
    tokenizer.add_special_tokens(["<s>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 4)])
    return json.loads(tokenizer.to_str())


@pytest.mark.parametrize("name", MODELS)
def test_a_tokenizer_as_the_library_writes_it_is_taken_with_a_table_for_its_ids(name):
    check_tokenizer(written(name), 5, "tokenizer")


@pytest.mark.parametrize("name", MODELS)
def test_an_added_piece_beyond_the_table_is_refused(name):
    with pytest.raises(ValueError, match=r"^tokenizer\.added_tokens gives '<s>' the id 4, but the embedding table"):
        check_tokenizer(written(name), 4, "tokenizer")


@pytest.mark.parametrize("name", MODELS)
def test_a_piece_of_the_model_beyond_the_table_is_refused(name):
    description = written(name) | {"added_tokens": [], "post_processor": None}
    check_tokenizer(description, 4, "tokenizer")
    with pytest.raises(ValueError, match=r"^tokenizer\.model\.vocab (gives 'ab' the id 3|must have at most 3 pieces)"):
        check_tokenizer(description, 3, "tokenizer")


def test_a_template_of_two_texts_is_no_template_of_one():
    description = written("BPE")
    description["post_processor"]["single"] += [{"Sequence": {"id": "B", "type_id": 0}}]
    with pytest.raises(ValueError, match=r"post_processor\.single must have the Sequence A once, not \['A', 'B'\]"):
        check_tokenizer(description, 5, "tokenizer")
