"""Tokenizers in a bundle: the JSON of the `tokenizers` library, of which what is read here and on a board is checked.

The format is the library's, so other keys may come with it. Its models are all taken; what turns text into ids decides
which it knows.
"""

from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from formats.decode import decode, entry, shown

Id = Annotated[int, Meta(ge=0, le=(1 << 31) - 1)]
Pieces = dict[str, Id]


class Foreign(msgspec.Struct):
    """A table of which only these keys are ours to know."""


class Model(StrEnum):
    WORD_PIECE = "WordPiece"
    WORD_LEVEL = "WordLevel"
    BPE = "BPE"
    UNIGRAM = "Unigram"


class Typed(Foreign):
    type: str


class ModelPart(Foreign):
    type: Model


class AddedToken(Foreign):
    id: Id
    content: str


class Tokenizer(Foreign):
    model: ModelPart
    normalizer: Typed | None = None
    pre_tokenizer: Typed | None = None
    post_processor: Typed | None = None
    added_tokens: tuple[AddedToken, ...] = ()


class WordPiece(Foreign):
    vocab: Pieces
    unk_token: str
    continuing_subword_prefix: str
    max_input_chars_per_word: Annotated[int, Meta(ge=1)]


class Vocabulary(Foreign):
    """Of WordLevel and BPE."""

    vocab: Pieces


class Unigram(Foreign):
    #: Pieces with their logarithmic probabilities; the id is the place.
    vocab: tuple[tuple[str, float], ...]
    unk_id: Id | None = None


class BertNormalizer(Foreign):
    clean_text: bool
    handle_chinese_chars: bool
    strip_accents: bool | None
    lowercase: bool


class Named(Foreign):
    id: str


class Piece(Foreign):
    """Of a template: one of both. The text is sequence A."""

    Sequence: Named | None = None
    SpecialToken: Named | None = None


class SpecialToken(Foreign):
    ids: tuple[Id, ...]


class TemplateProcessing(Foreign):
    single: tuple[Piece, ...]
    special_tokens: dict[str, SpecialToken]


MODELS: dict[Model, Any] = {
    Model.WORD_PIECE: WordPiece, Model.WORD_LEVEL: Vocabulary, Model.BPE: Vocabulary, Model.UNIGRAM: Unigram,
}  # fmt: skip


def check_tokenizer(description: dict, size: int, name: str) -> None:
    """Refuse a tokenizer that cannot be, or that gives ids which the model's table does not have.

    Parameters
    ----------
    description : dict
        JSON of the library.
    size : int
        Rows of the table of word embeddings.
    name : str
        Path of the tokenizer.

    Raises
    ------
    ValueError
        One sentence that names the path.
    """
    tokenizer = decode(Tokenizer, description, "the tokenizer", name)
    where = entry(name, "model")
    model = decode(MODELS[tokenizer.model.type], description["model"], "the model", where)
    for token in tokenizer.added_tokens:
        _check_id(token.id, token.content, size, entry(name, "added_tokens"))
    if isinstance(model, Unigram):
        count = len(model.vocab)
        fits = f"{entry(where, 'vocab')} must have at most {size} pieces, not {count}: the embedding table has no more rows"
        _require(count <= size, fits)
    else:
        for piece, number in model.vocab.items():
            _check_id(number, piece, size, entry(where, "vocab"))
        if isinstance(model, WordPiece) and model.unk_token not in model.vocab:
            raise ValueError(f"{entry(where, 'unk_token')} must be a piece of the vocabulary, not {shown(model.unk_token)}")
    if tokenizer.normalizer is not None and tokenizer.normalizer.type == BertNormalizer.__name__:
        decode(BertNormalizer, description["normalizer"], "the normalizer", entry(name, "normalizer"))
    if tokenizer.post_processor is not None and tokenizer.post_processor.type == TemplateProcessing.__name__:
        _check_template(description["post_processor"], size, entry(name, "post_processor"))


def _check_template(description, size, name):
    template = decode(TemplateProcessing, description, "the template", name)
    for token, special in template.special_tokens.items():
        for number in special.ids:
            _check_id(number, token, size, entry(name, "special_tokens"))
    for index, piece in enumerate(template.single):
        where = f"{name}.single.{index}"
        _require((piece.Sequence is None) != (piece.SpecialToken is None), f"{where} must be a Sequence or a SpecialToken")
        if piece.SpecialToken is not None:
            token = piece.SpecialToken.id
            _require(token in template.special_tokens, f"{where} must name one of special_tokens, not {shown(token)}")
    texts = [piece.Sequence.id for piece in template.single if piece.Sequence is not None]
    _require(texts == ["A"], f"{name}.single must have the Sequence A once, not {shown(texts)}")


def _check_id(number, piece, size, name):
    if number >= size:
        raise ValueError(f"{name} gives {shown(piece)} the id {number}, but the embedding table has {size} rows")


def _require(condition, message):
    if not condition:
        raise ValueError(message)
