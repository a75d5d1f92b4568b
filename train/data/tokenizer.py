"""Word pieces: a small vocabulary trained on the texts themselves, and texts as ids."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from formats.preprocessing import Pipeline, TextPipeline
from formats.texts import cut
from train.errors import DataError

UNKNOWN, PADDING, START = "[UNK]", "[PAD]", "[CLS]"


def read_tokenizer(path: Path | str) -> Tokenizer:
    """The tokenizer of a tokenizer.json as Hugging Face writes it. Raises DataError."""
    try:
        return Tokenizer.from_str(json.dumps(json.loads(Path(path).read_text())))
    except FileNotFoundError:
        raise DataError(f"there is no tokenizer at {path}; give the path of a tokenizer.json") from None
    except Exception as error:  # the library raises nothing more special
        raise DataError(f"{path} is no tokenizer.json that can be read: {error}") from None


def tokenizer_of(preprocessing: Pipeline | None) -> Tokenizer | None:
    """The tokenizer in a bundle's or a model's preprocessing, None without. Raises DataError."""
    return tokenizer_in(preprocessing.tokenizer, "the bundle") if isinstance(preprocessing, TextPipeline) else None


def tokenizer_in(description: Mapping[str, Any], where: str) -> Tokenizer:
    """The tokenizer that a dictionary describes. Raises DataError, which says ``where`` it is."""
    try:
        return Tokenizer.from_str(json.dumps(description))
    except Exception as error:  # the library raises nothing more special
        raise DataError(f"the tokenizer in {where} cannot be read: {error}; give another tokenizer.json") from None


def added_pieces(tokenizer: Tokenizer) -> tuple[int, int]:
    """How many special pieces a tokenizer puts before a text and after it: two numbers."""
    special = tokenizer.encode("a").special_tokens_mask
    words = [place for place, added in enumerate(special) if not added]
    return words[0], len(special) - 1 - words[-1]


def train_tokenizer(texts: Sequence[str], vocabulary: int) -> Tokenizer:
    """A lower-case WordPiece tokenizer of at most ``vocabulary`` pieces, the same in every run."""
    tokenizer = _word_pieces(models.WordPiece(unk_token=UNKNOWN))
    # The trainer numbers the ##characters in random order, and ties between merges go by number. As special tokens they
    # have their place beforehand; the tokenizer is then rebuilt from the vocabulary, with none of them special.
    characters = sorted({character for text in texts for character in tokenizer.normalizer.normalize_str(text)} - {" "})
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary,
        special_tokens=[PADDING, UNKNOWN, START, *(f"##{character}" for character in characters)],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer = _word_pieces(models.WordPiece(tokenizer.get_vocab(), unk_token=UNKNOWN))
    tokenizer.add_special_tokens([PADDING, UNKNOWN, START])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A", special_tokens=[(START, tokenizer.token_to_id(START))]
    )
    return tokenizer


def _word_pieces(model):
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def tokenize(tokenizer: Tokenizer, texts: Sequence[str], tokens: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ids padded with 0 to ``tokens``, and lengths: ``(samples, tokens)``, ``(samples,)`` int64."""
    inputs = np.zeros((len(texts), tokens), np.int64)
    lengths = np.zeros(len(texts), np.int64)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    for row, encoding in enumerate(tokenizer.encode_batch(list(texts))):
        closing = next((i for i, special in enumerate(reversed(encoding.special_tokens_mask)) if not special), 0)
        ids = cut(encoding.ids, closing, tokens)
        inputs[row, : len(ids)], lengths[row] = ids, len(ids)
    return inputs, lengths
