"""Bundles whose checksum is right and whose content is not: each kind is refused in one sentence that names the key."""

import json
import re
import struct

import numpy as np
import pytest

from formats import bundle
from formats.bundle import BundleError
from golden.model import Attention, Head, Input, Order
from tb.formats.bundles import make_bundle, put, rewrite

#: Small bundles of each kind of input, head, order and attention.
MADE = {
    "patches": make_bundle(),
    "tokens": make_bundle(input=Input.TOKENS, order=Order.PRE, head=Head.MEAN),
    "threshold": make_bundle(attention=Attention.THRESHOLD, head=Head.CLS, pooler=True),
}
INFINITE, NONE = float("inf"), float("nan")
ATTENTION, UP, NORM = "encoder.layers.0.attention", "encoder.layers.0.feed_forward.up", "encoder.embedding.norm"
IDS = "preprocessing.tokenizer.model.vocab"


def refusal(path):
    """The one sentence of a refused bundle."""
    with pytest.raises(BundleError) as caught:
        bundle.load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"bundle {path} is invalid: ")
    assert message.endswith("; export or fetch it again")
    return message


def refused(tmp_path, kind, change):
    path = tmp_path / "a.bundle"
    bundle.save(MADE[kind], path)
    rewrite(path, change)
    return refusal(path)


@pytest.mark.parametrize(
    ("kind", "path", "value", "words"),
    [
        # The shape of the encoder.
        ("patches", "encoder", None, "encoder must be a table of keys and values, not null"),
        ("patches", "encoder.config", [], "encoder.config must be a table of keys and values, not []"),
        ("patches", "encoder.config.layers", "x", "encoder.config.layers must be a whole number in 0..1000, not 'x'"),
        ("patches", "encoder.config.width", True, "encoder.config.width must be a whole number in 1..4095, not true"),
        ("patches", "encoder.config.tokens", 9.0, "encoder.config.tokens must be a whole number in 1..65536, not 9.0"),
        ("patches", "encoder.config.tokens", 10**12, "encoder.config.tokens must be a whole number in 1..65536, not 10000"),
        ("patches", "encoder.config.heads", 0, "encoder.config.heads must be a whole number in 1..1024, not 0"),
        ("patches", "encoder.config.heads", 9, "attention.query.weight must have shape (144, 32), not (32, 32)"),
        ("patches", "encoder.config.input", "sounds", "encoder.config.input must be one of tokens, patches, not 'sounds'"),
        ("patches", "encoder.config.attention", 3, "encoder.config.attention must be one of softmax, threshold, not 3"),
        ("patches", "encoder.config.order", "pre", "embedding.norm.residual must be there in order post and in no other"),
        ("patches", "encoder.config.residual_fraction", -1, "residual_fraction must be a whole number in 0..15, not -1"),
        ("patches", "encoder.config.residual_fraction", 16, "residual_fraction must be a whole number in 0..15, not 16"),
        ("patches", "encoder.config.residual_fraction", 10**6, "residual_fraction must be a whole number in 0..15, not 1"),
        ("patches", "encoder.config.residual_fraction", 2.5, "residual_fraction must be a whole number in 0..15, not 2.5"),
        ("patches", "encoder.config.residual_fraction", NONE, "residual_fraction must be a finite number, not nan"),
        ("patches", "encoder.config.residual_fraction", "x", "residual_fraction must be a whole number in 0..15, not 'x'"),
        ("patches", "encoder.config.colour", 3, "encoder.config knows no 'colour', only layers, width"),
        ("patches", "encoder.layers", {}, "encoder.layers must be a list, not {}"),
        ("patches", "encoder.layers", [], "there are 0 layers, not 1"),
        ("tokens", "encoder.pooling", None, "pooling goes with a mean head"),
        ("threshold", "encoder.pooler.output", None, "pooler must produce codes"),
        # Formats.
        ("patches", f"{UP}.weight_format", ["bipolar", 0], "up.weight_format.1 must be a whole number in 1..8, not 0"),
        ("patches", f"{UP}.weight_format", ["bipolar", 1.5], "up.weight_format.1 must be a whole number in 1..8, not 1.5"),
        ("patches", f"{UP}.weight_format", ["bipolar", INFINITE], "up.weight_format.1 must be a finite number, not inf"),
        ("patches", f"{UP}.weight_format", ["bipolar", 2], "up.weight must have shape (2, outputs, 4)"),
        ("patches", f"{UP}.weight_format", ["unary", 1], "up.weight_format.0 must be one of bipolar, unsigned, signed, not"),
        ("patches", f"{UP}.weight_format", ["bipolar"], "up.weight_format must be a list of 2, not ['bipolar']"),
        ("patches", f"{UP}.weight_format", {"kind": 1}, "up.weight_format must be a list of 2, not {'kind': 1}"),
        ("patches", f"{UP}.output", ["bipolar", 2], "up.output: a bipolar code has 1 bit, not 2"),
        ("patches", f"{UP}.output", 8, "up.output must be a list of 2 or null, not 8"),
        ("patches", f"{ATTENTION}.probability", ["unsigned", 9], "probability.1 must be a whole number in 1..8, not 9"),
        ("patches", f"{ATTENTION}.probability", ["unsigned", 0], "probability.1 must be a whole number in 1..8, not 0"),
        ("patches", f"{ATTENTION}.probability", ["signed", 4], "attention.probability must be unsigned, not SIGNED"),
        ("patches", "encoder.embedding.linear.output", ["signed", 8], "embedding.linear.output must be null"),
        ("tokens", "encoder.embedding.input_format", ["signed", 8], "embedding.input_format must be the weight_format"),
        ("patches", "encoder.embedding.input_format", ["unsigned", 4], "encoder.embedding.input_format is unsigned 4"),
        # Numbers of layers.
        ("patches", f"{UP}.constants.shift", 1.5, "up.constants.shift must be a whole number in 0..31, not 1.5"),
        ("patches", f"{UP}.constants.shift", 32, "up.constants.shift must be a whole number in 0..31, not 32"),
        ("patches", f"{UP}.constants.scale", [1, 2], "up.constants.scale must be null, not [1, 2]"),
        ("patches", f"{UP}.inputs", 10**12, "up.inputs must be a whole number in 1..16777216, not 10000"),
        ("patches", f"{UP}.inputs", None, "up.inputs must be a whole number in 1..16777216, not null"),
        ("patches", f"{UP}.inputs", 31, "up.weight must have shape (64, 32), not (64, 31)"),
        ("patches", f"{UP}.inputs", 64, "up.weight must have shape (1, outputs, 8) for its weight_format and inputs"),
        ("patches", f"{ATTENTION}.step", 40000.5, "attention.step must be a whole number in 0..65535, not 40000.5"),
        ("patches", f"{ATTENTION}.step", 5, "attention.step must be in 2^15..2^16-1, not 5"),
        ("patches", f"{ATTENTION}.step_shift", -1, "attention.step_shift must be a whole number in 0..31, not -1"),
        ("patches", f"{NORM}.rms", "yes", "embedding.norm.rms must be true or false, not 'yes'"),
        ("patches", f"{NORM}.rms", None, "embedding.norm.rms must be true or false, not null"),
        ("patches", f"{NORM}.rms", 1, "embedding.norm.rms must be true or false, not 1"),
        ("patches", f"{NORM}.epsilon", 1.5, "embedding.norm.epsilon must be a whole number in 1..4294967295, not 1.5"),
        ("patches", f"{NORM}.epsilon", 1 << 32, "embedding.norm.epsilon must be a whole number in 1..4294967295, not 42"),
        ("patches", f"{NORM}.residual", None, "embedding.norm.residual must be there in order post"),
        # Labels, samples, record.
        ("patches", "labels", "abc", "labels must be a list, not 'abc'"),
        ("patches", "labels", ["a", "b", 3], "labels.2 must be a text, not 3"),
        ("patches", "labels", ["a", "b", None], "labels.2 must be a text, not null"),
        ("patches", "labels", ["a", "b"], "3 classes need as many labels, not 2"),
        ("patches", "labels", ["a", "b", "\ud800"], "labels.2 must be a text of whole characters, not '\\ud800'"),
        ("patches", "samples.texts", "abc", "samples.texts must be a list, not 'abc'"),
        ("patches", "samples.texts", ["a", "b", ["c"]], "samples.texts.2 must be a text, not ['c']"),
        ("patches", "samples.inputs", [[1]], "samples.inputs must be null, not [[1]]"),
        ("patches", "record", [], "record must be a table of keys and values, not []"),
        ("patches", "record.task", 3, "record.task must be a text or null, not 3"),
        ("patches", "record.seed", "one", "record.seed must be a whole number or null, not 'one'"),
        ("patches", "record.accuracy", [88.0], "record.accuracy must be a table of keys and values, not [88.0]"),
        ("patches", "record.accuracy.integer", "good", "record.accuracy.integer must be a number, not 'good'"),
        ("patches", "record.checkpoint", "best.pt", "record.checkpoint must be a table of keys and values or null"),
        ("patches", "record.checkpoint.path", ["best.pt"], "record.checkpoint.path must be a text, not ['best.pt']"),
        ("patches", "record.checkpoint.sha256", "abc", "record.checkpoint.sha256 must be a text like ^[0-9a-f]{64}$"),
        ("patches", "record.recipe", "a.toml", "record.recipe must be a table of keys and values, not 'a.toml'"),
        ("patches", "record.chekpoint", {}, "record knows no 'chekpoint', only task"),
        ("patches", "record.data", {"a\ud800": 1}, "a key of record.data must be a text of whole characters"),
        ("patches", "licence", "none", "it knows no 'licence', only encoder, labels"),
        # How images become patches.
        ("patches", "preprocessing", None, "preprocessing must be a table of keys and values, not null"),
        ("patches", "preprocessing.patch", 0, "preprocessing.patch must be a whole number in 1..16384, not 0"),
        ("patches", "preprocessing.patch", -1, "preprocessing.patch must be a whole number in 1..16384, not -1"),
        ("patches", "preprocessing.patch", "x", "preprocessing.patch must be a whole number in 1..16384, not 'x'"),
        ("patches", "preprocessing.patch", 10**9, "preprocessing.patch must be a whole number in 1..16384, not 1000000000"),
        ("patches", "preprocessing.patch", 4.0, "preprocessing.patch must be a whole number in 1..16384, not 4.0"),
        ("patches", "preprocessing.patch", 3, "preprocessing.patch: patches of 3 pixels, 3 apart, must end with the image"),
        ("patches", "preprocessing.patch", 29, "preprocessing.patch: patches of 29 pixels, 29 apart, must end with the"),
        ("patches", "preprocessing.patch", 8, "preprocessing makes 2 tokens of an image, but encoder.config.tokens is 8"),
        ("patches", "preprocessing.stride", -8, "preprocessing.stride must be a whole number in 0..16384, not -8"),
        ("patches", "preprocessing.stride", "x", "preprocessing.stride must be a whole number in 0..16384, not 'x'"),
        ("patches", "preprocessing.stride", None, "preprocessing.stride must be a whole number in 0..16384, not null"),
        ("patches", "preprocessing.stride", 2, "preprocessing makes 21 tokens of an image, but encoder.config.tokens is 8"),
        ("patches", "preprocessing.image", [8], "preprocessing.image must be a list of 2, not [8]"),
        ("patches", "preprocessing.image", 8, "preprocessing.image must be a list of 2, not 8"),
        ("patches", "preprocessing.image", [8, 8], "preprocessing makes 4 tokens of an image"),
        ("patches", "preprocessing.image", [8, "x"], "preprocessing.image.1 must be a whole number in 1..16384, not 'x'"),
        ("patches", "preprocessing.image", [8, 10**9], "preprocessing.image.1 must be a whole number in 1..16384, not 1000"),
        ("patches", "preprocessing.class_tokens", 10**9, "preprocessing.class_tokens must be a whole number in 0..16"),
        ("patches", "preprocessing.class_tokens", -1, "preprocessing.class_tokens must be a whole number in 0..16, not -1"),
        ("patches", "preprocessing.class_tokens", "x", "class_tokens must be a whole number in 0..16, not 'x'"),
        ("patches", "preprocessing.class_tokens", 1, "preprocessing makes 9 tokens of an image"),
        ("patches", "preprocessing.codes", "-1..1", "preprocessing.codes must be one of pixels 0..255, patches and pixels"),
        ("patches", "preprocessing.tokenizer", {}, "preprocessing knows no 'tokenizer', only image, patch"),
        # How texts become ids.
        ("tokens", "preprocessing.truncate", 0, "preprocessing.truncate must be a whole number in 1..65536 or null, not 0"),
        ("tokens", "preprocessing.truncate", -5, "truncate must be a whole number in 1..65536 or null, not -5"),
        ("tokens", "preprocessing.truncate", 3.5, "preprocessing.truncate must be a whole number in 1..65536 or null, not"),
        ("tokens", "preprocessing.truncate", "x", "preprocessing.truncate must be a whole number in 1..65536 or null, not"),
        ("tokens", "preprocessing.truncate", 9, "preprocessing.truncate must be at most encoder.config.tokens, 8, not 9"),
        ("tokens", "preprocessing.tokenizer", None, "preprocessing.tokenizer must be a table of keys and values, not null"),
        ("tokens", "preprocessing.tokenizer", [], "preprocessing.tokenizer must be a table of keys and values, not []"),
        ("tokens", "preprocessing.tokenizer", {}, "preprocessing.tokenizer lacks 'model'"),
        ("tokens", "preprocessing.tokenizer.model", None, "tokenizer.model must be a table of keys and values, not null"),
        ("tokens", "preprocessing.tokenizer.model.type", "Word", "tokenizer.model.type must be one of WordPiece, WordLevel"),
        ("tokens", IDS, ["a"], f"{IDS} must be a table of keys and values, not ['a']"),
        ("tokens", f"{IDS}.film", -1, f"{IDS}.film must be a whole number in 0..2147483647, not -1"),
        ("tokens", f"{IDS}.##s", "x", f"{IDS}.'##s' must be a whole number in 0..2147483647, not 'x'"),
        ("tokens", f"{IDS}.film", 16, f"{IDS} gives 'film' the id 16, but the embedding table has 16 rows"),
        ("tokens", "preprocessing.tokenizer.model.unk_token", "?", "model.unk_token must be a piece of the vocabulary, not"),
        ("tokens", "preprocessing.tokenizer.model.max_input_chars_per_word", "x", "max_input_chars_per_word must be a w"),
        ("tokens", "preprocessing.tokenizer.normalizer", [], "tokenizer.normalizer must be a table of keys and values or"),
        ("tokens", "preprocessing.tokenizer.normalizer.lowercase", "yes", "normalizer.lowercase must be true or false"),
        ("tokens", "preprocessing.tokenizer.post_processor.single", 3, "post_processor.single must be a list, not 3"),
        ("tokens", "preprocessing.tokenizer.post_processor.single", [], "single must have the Sequence A once, not []"),
        ("tokens", "preprocessing.tokenizer.post_processor.single", [{}], "single.0 must be a Sequence or a SpecialToken"),
        ("tokens", "preprocessing.tokenizer.post_processor.special_tokens", {}, "single.0 must name one of special_tokens"),
        ("tokens", "preprocessing.tokenizer.post_processor.special_tokens.[CLS].ids", [99], "gives '[CLS]' the id 99"),
        ("tokens", "preprocessing.tokenizer.added_tokens", {}, "tokenizer.added_tokens must be a list, not {}"),
        ("tokens", "preprocessing.tokenizer.added_tokens.0.id", 99, "tokenizer.added_tokens gives '[PAD]' the id 99"),
        ("tokens", "preprocessing.patch", 4, "preprocessing knows no 'patch', only tokenizer, truncate"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_is_named_with_its_rule(tmp_path, kind, path, value, words):
    assert words in refused(tmp_path, kind, lambda description, _: put(description, path, value))


@pytest.mark.parametrize(("kind", "path", "words"), [
    ("patches", "encoder", "it lacks 'encoder'"),
    ("patches", "labels", "it lacks 'labels'"),
    ("patches", "encoder.config.heads", "encoder.config lacks 'heads'"),
    ("patches", f"{UP}.inputs", "layers.0.feed_forward.up lacks 'inputs'"),
    ("patches", f"{UP}.constants.scale", "layers.0.feed_forward.up.constants lacks 'scale'"),
    ("patches", "preprocessing.image", "preprocessing lacks 'image'"),
    ("tokens", "preprocessing.tokenizer", "preprocessing lacks 'tokenizer'"),
    ("tokens", "preprocessing.tokenizer.model.vocab", "preprocessing.tokenizer.model lacks 'vocab'"),
    ("tokens", "preprocessing.tokenizer.post_processor.single", "preprocessing.tokenizer.post_processor lacks 'single'"),
    ("patches", "record.checkpoint.path", "record.checkpoint lacks 'path'"),
])  # fmt: skip
def test_a_value_that_is_missing_is_named(tmp_path, kind, path, words):
    def change(description, _):
        *parents, last = (int(step) if step.isdigit() else step for step in path.split("."))
        for step in parents:
            description = description[step]
        del description[last]

    assert words in refused(tmp_path, kind, change)


WEIGHT, SCALE, POSITION = f"{UP}.weight", f"{UP}.constants.scale", "encoder.embedding.position"


def bytes_of_fractions(array):
    return array.astype(np.float32)


@pytest.mark.parametrize(("name", "change", "words"), [
    (WEIGHT, bytes_of_fractions, f"tensor '{WEIGHT}' must be of one of the types U8, I8, I16, I32, I64, not F32"),
    (WEIGHT, lambda array: array.astype(np.int64) + 256, f"{WEIGHT} must be of type U8, packed bits, not int64"),
    (WEIGHT, lambda array: array[0], f"{WEIGHT} must have shape (1, outputs, 4)"),
    (WEIGHT, lambda array: array[..., :-1], f"{WEIGHT} must have shape (1, outputs, 4)"),
    (WEIGHT, lambda array: array[:, :-1], "layers.0.feed_forward.up.weight must have shape (64, 32), not (63, 32)"),
    (SCALE, lambda array: np.full(64, (1 << 64) - 1, np.uint64), f"tensor '{SCALE}' must be of one of the types U8"),
    (SCALE, lambda array: np.full(64, 1.5), f"tensor '{SCALE}' must be of one of the types U8"),
    (SCALE, lambda array: np.full(64, np.nan), f"tensor '{SCALE}' must be of one of the types U8"),
    (SCALE, lambda array: np.full(64, 1 << 15), "up.constants.scale must be signed 16 bit, but goes from 0 to 32768"),
    (SCALE, lambda array: array.reshape(8, 8), "up.constants.scale must have shape (64,), not (8, 8)"),
    (POSITION, lambda array: array.astype(np.float64), f"tensor '{POSITION}' must be of one of the types U8"),
    (POSITION, lambda array: array[:-1], "position must have shape (8, 32), not (7, 32)"),
    (POSITION, lambda array: array != 0, f"tensor '{POSITION}' must be of one of the types U8, I8, I16, I32, I64, not BOOL"),
    ("samples.inputs", lambda array: array.astype(np.float32), "tensor 'samples.inputs' must be of one of the types U8"),
    ("samples.inputs", lambda array: array - 1000, "each patch code in samples.inputs must be in 0..255, not -"),
    ("samples.inputs", lambda array: array[0], "samples.inputs must have shape (3, 8, 16), not (8, 16)"),
    ("samples.lengths", lambda array: array * 0, "each length in samples.lengths must be in 1..8, not 0"),
    ("samples.labels", lambda array: array + 5, "each label in samples.labels must be in 0..2, not 5"),
    ("samples.labels", lambda array: np.int64(1), "samples.labels must have shape (samples,), not ()"),
])  # fmt: skip
def test_a_tensor_that_cannot_be_is_named_with_its_rule(tmp_path, name, change, words):
    def damage(_, tensors):
        found = tensors[name]
        tensors[name] = np.array(change(found.astype(np.int64) if "samples" in name else found), order="C")

    assert words in refused(tmp_path, "patches", damage)


def test_a_tensor_that_is_missing_is_named(tmp_path):
    assert f"it lacks the tensor {POSITION}" in refused(tmp_path, "patches", lambda _, tensors: tensors.pop(POSITION))


def test_a_tensor_that_nothing_asks_for_is_named(tmp_path):
    message = refused(tmp_path, "patches", lambda _, tensors: tensors.update({"encoder.bias": np.zeros(3, np.int8)}))
    assert "it knows no tensor 'encoder.bias'" in message


@pytest.mark.parametrize(("kind", "width"), [("BF16", 2), ("F8_E4M3", 1), ("F8_E5M2", 1), ("F64", 8), ("U64", 8)])
def test_a_type_that_is_none_of_integers_is_refused_from_the_header(tmp_path, kind, width):
    path = tmp_path / "a.bundle"
    bundle.save(MADE["patches"], path)
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    header = {key: header[key] for key in header if key in ("__metadata__", POSITION)}
    header[POSITION] = {"dtype": kind, "shape": [16], "data_offsets": [0, 16 * width]}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[: 16 * width])
    assert f"tensor '{POSITION}' must be of one of the types U8, I8, I16, I32, I64, not {kind}" in refusal(path)


def with_description(tmp_path, text):
    """A bundle whose description is ``text``."""
    path = tmp_path / "a.bundle"
    bundle.save(MADE["patches"], path)
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"]["structure"] = text
    written = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(written)) + written + content[8 + size :])
    return path


@pytest.mark.parametrize(("text", "words"), [
    ("[" * 100_000, "lists and tables may be nested 32 deep"),
    ('{"a":' * 100_000, "lists and tables may be nested 32 deep"),
    ("[1, 2", "Expecting"),
    ("", "Expecting value"),
    ('{"labels": 1, "labels": 2}', "a table must have each key once, not 'labels' twice"),
    ("9" * 5000, "4300"),
], ids=["lists", "tables", "half", "empty", "twice", "digits"])  # fmt: skip
def test_a_description_that_is_no_json_is_refused(tmp_path, text, words):
    assert words in refusal(with_description(tmp_path, text))


@pytest.mark.parametrize(("description", "words"), [
    ([], "it must be a table of keys and values, not []"),
    (3, "it must be a table of keys and values, not 3"),
    (None, "it must be a table of keys and values, not null"),
    ({}, "it lacks 'encoder'"),
])  # fmt: skip
def test_a_description_that_is_no_table_is_refused(tmp_path, description, words):
    path = tmp_path / "a.bundle"
    bundle.FILE.write(path, description, {})
    assert words in refusal(path)


def test_a_record_may_be_nested_and_not_endlessly(tmp_path):
    path = tmp_path / "a.bundle"
    for depth, fits in ((20, True), (40, False)):
        nested = 1
        for _ in range(depth):
            nested = {"x": nested}
        bundle.save(MADE["patches"], path)
        rewrite(path, lambda description, _, nested=nested: put(description, "record.data", {"deep": nested}))
        if fits:
            assert bundle.load(path).record["data"]["deep"] == nested
        else:
            assert re.search(r"may be nested 32 deep; record.data is deeper", refusal(path))


@pytest.mark.parametrize("key", ["structure", "sha256"])
def test_a_header_that_lacks_a_part_is_refused(tmp_path, key):
    path = tmp_path / "a.bundle"
    bundle.save(MADE["patches"], path)
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    del header["__metadata__"][key]
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])
    assert f"its header lacks '{key}'" in refusal(path)
