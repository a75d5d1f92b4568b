"""Bundle files: what is saved comes back, and what is damaged or wrong is refused in one sentence."""

import dataclasses
import itertools

import numpy as np
import pytest
import safetensors
import safetensors.numpy

from formats import bundle
from formats.bundle import BundleError
from golden.model import Format, Head, Input, Order
from tb.formats.bundles import make_bundle
from tb.models import BINARY, TERNARY


def assert_same(a, b):
    """Equal in every field, arrays by value."""
    if dataclasses.is_dataclass(a):
        assert type(a) is type(b)
        for field in dataclasses.fields(a):
            assert_same(getattr(a, field.name), getattr(b, field.name))
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype == np.int64
        assert np.array_equal(a, b)
    elif isinstance(a, tuple) and not isinstance(a, Format):
        assert isinstance(b, tuple)
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    else:
        assert a == b
        assert type(a) is type(b)


@pytest.mark.parametrize(
    ("input", "order", "head", "weight"), list(itertools.product(Input, Order, Head, [BINARY, TERNARY]))
)
def test_a_saved_bundle_comes_back_equal(tmp_path, input, order, head, weight):
    made = make_bundle(input=input, order=order, head=head, weight=weight, layers=2, pooler=head is Head.CLS)
    path = tmp_path / "a.bundle"
    bundle.save(made, path)
    assert_same(bundle.load(path), made)
    assert [p.name for p in tmp_path.iterdir()] == ["a.bundle"]


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "a.bundle"
    bundle.save(make_bundle(), path)
    return path


def assert_refused(path, *words):
    with pytest.raises(BundleError) as caught:
        bundle.load(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    for word in words:
        assert word in message


def test_a_missing_bundle_is_named(tmp_path):
    assert_refused(tmp_path / "none.bundle", "there is no bundle")


def test_a_folder_is_no_bundle(tmp_path):
    assert_refused(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.999])
def test_a_truncated_bundle_is_refused(saved, share):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(share * len(content))])
    assert_refused(saved, "corrupt or truncated")


def test_every_flipped_bit_is_refused(saved):
    content = saved.read_bytes()
    for position in np.random.default_rng(0).integers(0, len(content), 150).tolist():
        damaged = bytearray(content)
        damaged[position] ^= 1 << (position % 8)
        saved.write_bytes(damaged)
        assert_refused(saved)


def test_another_safetensors_file_is_no_bundle(tmp_path):
    path = tmp_path / "a.bundle"
    path.write_bytes(safetensors.numpy.save({"x": np.zeros(3)}))
    assert_refused(path, bundle.FORMAT, "None")


def test_a_bundle_of_another_format_is_named(saved):
    with safetensors.safe_open(saved, framework="numpy") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    saved.write_bytes(safetensors.numpy.save(tensors, metadata | {"format": "bittern-bundle-0"}))
    assert_refused(saved, bundle.FORMAT, "bittern-bundle-0")


def replaced(made, path, value):
    """``made`` with the field at a dotted path replaced."""
    name, _, rest = path.partition(".")
    if name.isdigit():
        items = list(made)
        items[int(name)] = replaced(items[int(name)], rest, value) if rest else value
        return tuple(items)
    return dataclasses.replace(made, **{name: replaced(getattr(made, name), rest, value) if rest else value})


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("samples.labels", np.array([0, 3, 1]), ("0..2", "not 3")),
        ("samples.labels", np.array([0, -1, 1]), ("0..2", "not -1")),
        ("samples.lengths", np.array([1, 9, 1]), ("length", "1..8", "not 9")),
        ("samples.lengths", np.array([1, 2]), ("3 sample lengths",)),
        ("samples.inputs", np.full((3, 8, 16), 256), ("patch code", "0..255", "not 256")),
        ("samples.inputs", np.zeros((3, 7, 16), np.int64), ("(3, 8, 16)", "(3, 7, 16)")),
        ("samples.texts", ("one",), ("3 sample texts", "not 1")),
        ("labels", ("a", "b"), ("3 classes", "not 2")),
        ("encoder.config.layers", 2, ("1 layers", "not 2")),
        ("encoder.config.width", 33, ("33",)),
        ("encoder.config.classes", 4, ("classifier.weight", "(4, 32)")),
        ("encoder.embedding.norm.epsilon", 0, ("embedding.norm.epsilon", "not 0")),
        ("encoder.embedding.norm.codes.shift", 32, ("embedding.norm.codes.shift", "not 32")),
        ("encoder.layers.0.attention.step", 1, ("layers.0.attention.step", "not 1")),
        ("encoder.layers.0.attention.score.scale", np.array([1 << 15, 0]), ("score.scale", "signed 16 bit")),
        ("encoder.layers.0.feed_forward.down.constants.offset", np.full(32, 1 << 38), ("offset", "signed 39 bit")),
        ("encoder.embedding.position", np.full((8, 32), 1 << 15), ("position", "signed 16 bit")),
    ],
)
def test_a_bundle_that_breaks_a_rule_is_refused_with_rule_and_value(tmp_path, path, value, words):
    file = tmp_path / "a.bundle"
    bundle.save(replaced(make_bundle(), path, value), file)
    assert_refused(file, *words)


def test_a_sample_with_a_token_outside_the_vocabulary_is_refused(tmp_path):
    made = make_bundle(input=Input.TOKENS)
    bundle.save(replaced(made, "samples.inputs", np.full((3, 8), 16)), tmp_path / "a.bundle")
    assert_refused(tmp_path / "a.bundle", "token id", "0..15", "not 16")
