"""WordPiece as BERT has it, from the tokenizer description in a bundle: for boards without a tokenizer library."""

import re
import unicodedata
from typing import Any

from formats.errors import UsageError

#: What is implemented, by the place in the description.
_KNOWN = {
    ("model", "type"): "WordPiece",
    ("normalizer", "type"): "BertNormalizer",
    ("pre_tokenizer", "type"): "BertPreTokenizer",
    ("post_processor", "type"): "TemplateProcessing",
}

# Ideographs, which are words of their own: first and last of each block.
_CHINESE = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


class WordPiece:
    """Text to token ids.

    Parameters
    ----------
    description : dict
        Tokenizer JSON as the `tokenizers` library writes it.

    Raises
    ------
    UsageError
        For a tokenizer of another kind.
    """

    def __init__(self, description: dict[str, Any]):
        try:
            self._read(description)
        except (KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"the bundle's tokenizer lacks or misplaces {error}; export the bundle again") from None

    def _read(self, description):
        for (part, key), expected in _KNOWN.items():
            found = (description.get(part) or {}).get(key)
            if found != expected:
                raise UsageError(
                    f"the bundle's tokenizer has {part} {found}, and without the library tokenizers only {expected} is "
                    "known; install the extra: pip install -e '.[text]'"
                )
        model, self._rules = description["model"], description["normalizer"]
        self._vocabulary, self._prefix = model["vocab"], model["continuing_subword_prefix"]
        self._unknown, self._longest = self._vocabulary[model["unk_token"]], model["max_input_chars_per_word"]
        #: Special pieces that are found as they are in a text, and their ids.
        self._special = {piece["content"]: piece["id"] for piece in description["added_tokens"] if piece.get("special")}
        post = description["post_processor"]
        self._before, self._after, inside = [], [], True
        for piece in post["single"]:
            if "Sequence" in piece:
                inside = False
            else:
                ids = post["special_tokens"][piece["SpecialToken"]["id"]]["ids"]
                (self._before if inside else self._after).extend(ids)

    def encode(self, text: str) -> tuple[list[int], int]:
        """Ids of a whole text, a list, and how many of the last are special pieces that close it."""
        return [*self._before, *self._inner(text), *self._after], len(self._after)

    def _inner(self, text):
        pattern = "|".join(re.escape(piece) for piece in sorted(self._special, key=len, reverse=True))
        for part in re.split(f"({pattern})", text) if pattern else [text]:
            if part in self._special:
                yield self._special[part]
            else:
                yield from (i for word in self._words(part) for i in self._pieces(word))

    def _words(self, text):
        text = self._normalise(text)
        spaced = "".join(f" {c} " if _is_punctuation(c) else c for c in text)
        return spaced.split()

    def _normalise(self, text):
        if self._rules["clean_text"]:
            text = "".join(" " if c.isspace() else c for c in text if not _is_control(c))
        if self._rules["handle_chinese_chars"]:
            text = "".join(f" {c} " if any(a <= ord(c) <= b for a, b in _CHINESE) else c for c in text)
        lower, strip = self._rules["lowercase"], self._rules["strip_accents"]
        if lower if strip is None else strip:
            text = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
        return text.lower() if lower else text

    def _pieces(self, word):
        """The longest pieces from the left; all or nothing."""
        if len(word) > self._longest:
            return [self._unknown]
        ids, start = [], 0
        while start < len(word):
            prefix = self._prefix if start else ""
            for end in range(len(word), start, -1):
                if (found := self._vocabulary.get(prefix + word[start:end])) is not None:
                    break
            else:
                return [self._unknown]
            ids.append(found)
            start = end
        return ids


def _is_control(c):
    return c in "\0\ufffd" or (c not in "\t\n\r" and unicodedata.category(c).startswith("C"))


def _is_punctuation(c):
    return (c.isascii() and c.isprintable() and not c.isalnum() and c != " ") or unicodedata.category(c).startswith("P")
