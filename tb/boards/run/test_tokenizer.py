"""Texts of a bundle's model as token ids: by the library whatever the tokenizer, without it by our own word pieces."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from boards.run.tokenizer import encode_texts, tokenizer_of
from boards.run.wordpiece import WordPiece
from cli.main import main
from formats.bundle import Bundle, Samples, load, save
from formats.errors import UsageError
from formats.preprocessing import TextPipeline
from golden.encoder import encode
from golden.model import Input
from tb.boards.run.test_run import SST2
from tb.models import random_encoder

tokenizers = pytest.importorskip("tokenizers", reason="byte pairs need the extra 'text'")

TEXTS = ("a fine film", "the worst film of a fine year", "fine, fine films!")
TOKENS = 8


@pytest.fixture
def without_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)


@pytest.fixture(scope="module")
def byte_pairs():
    """The description of a byte-pair tokenizer as RoBERTa has it, trained on a few words."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=300, special_tokens=["<s>", "<pad>", "</s>"], show_progress=False,
                                             initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet())  # fmt: skip
    tokenizer.train_from_iterator(TEXTS * 9, trainer)
    tokenizer.post_processor = tokenizers.processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    tokenizer.enable_padding(length=30, pad_id=1)
    return json.loads(tokenizer.to_str())


@pytest.fixture(scope="module")
def bundle(byte_pairs, tmp_path_factory):
    """Path of a bundle whose model takes byte pairs."""
    encoder = random_encoder(
        np.random.default_rng(7), tokens=TOKENS, input=Input.TOKENS, input_size=len(byte_pairs["model"]["vocab"]), classes=3
    )
    none = np.zeros(0, np.int64)
    samples = Samples(np.zeros((0, TOKENS), np.int64), none, none)
    path = tmp_path_factory.mktemp("bundle") / "pairs.bundle"
    save(Bundle(encoder, ("good", "bad", "so so"), samples, preprocessing=TextPipeline(tokenizer=byte_pairs)), path)
    return path


def test_byte_pairs_are_those_of_the_library_cut_off_before_the_closing_piece(byte_pairs):
    reference = tokenizers.Tokenizer.from_str(json.dumps(byte_pairs | {"padding": None}))
    inputs, lengths = encode_texts(byte_pairs, TEXTS, 6, TOKENS)
    for text, row, length in zip(TEXTS, inputs.tolist(), lengths.tolist(), strict=True):
        ids = reference.encode(text).ids
        assert row[:length] == (ids if len(ids) <= 6 else [*ids[:5], 2])
        assert row[length:] == [0] * (TOKENS - length)
    assert {5, 6} <= set(lengths.tolist())


def test_a_model_of_byte_pairs_predicts_what_the_reference_does(bundle, byte_pairs, capsys):
    loaded = load(bundle)
    inputs, lengths = encode_texts(byte_pairs, TEXTS, TOKENS, TOKENS)
    best = [encode(loaded.encoder, x, int(n))["logits"].argmax() for x, n in zip(inputs, lengths, strict=True)]
    assert main(["run", str(bundle), *TEXTS, "--top", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for text, line, label in zip(TEXTS, lines, best, strict=True):
        assert line.startswith(f"{text}: {loaded.labels[label]} ")


def test_byte_pairs_without_the_library_are_refused_with_the_extra(bundle, without_library, capsys):
    assert main(["run", str(bundle), *TEXTS]) == 2
    assert capsys.readouterr().err == (
        "bittern: the bundle's tokenizer has model BPE, and without the library tokenizers only WordPiece is known; install "
        "the extra: pip install -e '.[text]'\n"
    )


@pytest.mark.parametrize("closing", ["", " [UNK]"])
@pytest.mark.parametrize("text", [
    "", " ", "A Fine Film.", "don't", "naïve Émilie ÅNGSTRÖM", "電影很好 good", "a\tb\nc\0d\u200be", "x" * 101,
    "[CLS] [UNK]x[PAD]", "[cls]", "fine [CLS", "film [UNK]", "ſtraße İstanbul ǅ", "emoji 🙂 and … – “quotes”", "1,234.56 $5",
])  # fmt: skip
def test_our_word_pieces_are_the_library_s(text, closing, monkeypatch):
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(load(SST2).preprocessing.tokenizer))
    special = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[UNK]")]
    template = tokenizers.processors.TemplateProcessing(single=f"[CLS] $A{closing}", special_tokens=special)
    tokenizer.post_processor = template
    description = json.loads(tokenizer.to_str())
    limits = (100, 5, 2)
    theirs = [encode_texts(description, [text], limit, 100) for limit in limits]
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert isinstance(tokenizer_of(description), WordPiece)
    for limit, expected in zip(limits, theirs, strict=True):
        assert all(map(np.array_equal, encode_texts(description, [text], limit, 100), expected))


@pytest.mark.parametrize("library", [True, False])
@pytest.mark.parametrize("broken", ["unk_token", "vocab"])
def test_a_tokenizer_that_lacks_something_is_one_sentence(library, broken, monkeypatch):
    if not library:
        monkeypatch.setitem(sys.modules, "tokenizers", None)
    description = load(SST2).preprocessing.tokenizer
    model = {key: value for key, value in description["model"].items() if key != broken}
    with pytest.raises(UsageError, match=r"tokenizer (cannot be read|lacks or misplaces) .*; export the bundle again"):
        encode_texts(description | {"model": model}, ["a"], 4, 4)


def test_a_bundle_without_a_tokenizer_is_refused(bundle, tmp_path, capsys):
    save(replace(load(bundle), preprocessing=None), tmp_path / "none.bundle")
    assert main(["run", str(tmp_path / "none.bundle"), "text"]) == 2
    assert "the bundle has no tokenizer" in capsys.readouterr().err
