"""Texts as token ids, by the tokenizer in a bundle: the library's where it is installed, else our own word pieces."""

import json
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boards.run.wordpiece import WordPiece
from formats.errors import UsageError
from formats.texts import cut


class LibraryTokenizer:
    """Any tokenizer that the library `tokenizers` reads. Raises UsageError for a description that it does not.

    Parameters
    ----------
    library : module
    description : dict
        Tokenizer JSON as the library writes it.
    """

    def __init__(self, library: Any, description: dict[str, Any]):
        try:
            self._tokenizer = library.Tokenizer.from_str(json.dumps(description))
        except Exception as error:  # the library raises nothing more special
            raise UsageError(f"the bundle's tokenizer cannot be read ({error}); export the bundle again") from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def encode(self, text: str) -> tuple[list[int], int]:
        """Ids of a whole text, a list, and how many of the last are special pieces that close it."""
        encoding = self._tokenizer.encode(text)
        return encoding.ids, sum(takewhile(bool, reversed(encoding.special_tokens_mask)))


def tokenizer_of(description: dict[str, Any]) -> LibraryTokenizer | WordPiece:
    """What has ``encode`` as `LibraryTokenizer`, from a bundle's description. Raises UsageError where it cannot be used."""
    try:
        import tokenizers
    except ImportError:  # a board without it
        return WordPiece(description)
    return LibraryTokenizer(tokenizers, description)


def encode_texts(
    description: dict[str, Any], texts: Sequence[str], limit: int, tokens: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ids padded with 0, and lengths: (samples, tokens), (samples,) int64, cut off at ``limit``. Raises UsageError."""
    tokenizer = tokenizer_of(description)
    inputs, lengths = np.zeros((len(texts), tokens), np.int64), np.zeros(len(texts), np.int64)
    for row, text in enumerate(texts):
        ids, closing = tokenizer.encode(text)
        ids = cut(ids, closing, limit)
        inputs[row, : len(ids)], lengths[row] = ids, len(ids)
    return inputs, lengths
