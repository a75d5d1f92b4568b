"""Small bundles for tests, whole and damaged."""

import numpy as np

from formats.bundle import FILE, Bundle, Samples
from formats.preprocessing import ImagePipeline, TextPipeline
from golden.model import Input
from tb.models import random_encoder, random_inputs

#: A tokenizer as the library writes it, of a vocabulary that `random_encoder` has room for.
TOKENIZER = {
    "version": "1.0", "truncation": None, "padding": None,
    "added_tokens": [
        {"id": number, "content": piece, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": True}
        for number, piece in ((0, "[PAD]"), (2, "[CLS]"))
    ],
    "normalizer": {
        "type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True
    },
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]}},
    },
    "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
    "model": {
        "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
        "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "a": 3, "film": 4, "##s": 5, "!": 15},
    },
}  # fmt: skip


def make_bundle(seed=0, **structure):
    """A bundle of three samples and three classes around `tb.models.random_encoder`."""
    rng = np.random.default_rng(seed)
    encoder = random_encoder(rng, **structure)
    drawn = random_inputs(rng, encoder, 3)
    samples = Samples(
        np.stack([inputs for inputs, _ in drawn]),
        np.array([length for _, length in drawn], np.int64),
        np.array([0, 2, 1], np.int64),
        ("one", "two", "drei ñ"),
    )
    text = encoder.config.input is Input.TOKENS
    pipeline = TextPipeline(tokenizer=TOKENIZER, truncate=6) if text else ImagePipeline(image=(8, 16), patch=4)
    record = {"task": "none", "accuracy": {"integer": 33.3}, "checkpoint": {"path": "best.pt", "sha256": "ab" * 32}}
    return Bundle(encoder, ("a", "b", "c"), samples, record, pipeline)


def rewrite(path, change):
    """Let ``change`` alter description and tensors of a bundle's file, which then has the checksum of what it holds."""
    description, tensors = FILE.read(path)
    change(description, tensors)
    FILE.write(path, description, tensors)


def put(description, path, value):
    """Set what is at a dotted path of a description."""
    *parents, last = (int(step) if step.isdigit() else step for step in path.split("."))
    for step in parents:
        description = description[step]
    description[last] = value
