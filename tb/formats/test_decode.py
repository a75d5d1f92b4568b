"""The decoder of all formats: what grows still loads, and what does not fit is named with its rule."""

import dataclasses
from enum import StrEnum
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from formats import bundle
from formats.bundle import BundleError
from formats.decode import Part, decode, parse
from formats.files import ROOT
from formats.structure import EncoderConfig
from tb.formats.bundles import make_bundle, put, rewrite

BUNDLES = sorted((ROOT / "bundles").glob("*.bundle"))


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(Part):
    size: Annotated[int, Meta(ge=1, le=8)]
    share: Annotated[float, Meta(ge=0.0)] = 0.5
    colour: Colour | None = None


@dataclasses.dataclass(frozen=True)
class Shape:
    """With a rule that its annotations do not say."""

    rows: int
    columns: int = 4

    def __post_init__(self):
        if self.rows % 2:
            raise ValueError(f"rows must be even, not {self.rows}")


class Outer(Part):
    parts: tuple[Inner, ...]
    pair: tuple[str, int] = ("a", 1)
    counts: dict[str, Annotated[int, Meta(ge=0)]] = {}
    shapes: tuple[Shape, ...] = ()
    named: dict[str, Shape] = {}
    texts: Annotated[tuple[str, ...], Meta(min_length=1)] = ("",)
    #: A key as of today's files, which a format has from its first day.
    on: bool = True


def test_values_get_their_types():
    made = decode(Outer, {"parts": [{"size": 3, "share": 1, "colour": "red"}], "shapes": [{"rows": 2}]}, "it")
    assert made.parts == (Inner(size=3, share=1.0, colour=Colour.RED),)
    assert type(made.parts[0].share) is float
    assert made.shapes == (Shape(2, 4),)


@pytest.mark.parametrize(("value", "sentence"), [
    (3, "the thing must be a table of keys and values, not 3"),
    ({}, "the thing lacks 'parts'"),
    ({"parts": [], "size": 1}, "the thing knows no 'size', only parts, pair, counts, shapes, named, texts, on"),
    ({"parts": "ab"}, "parts must be a list, not 'ab'"),
    ({"parts": [{"size": 1}, {"size": 9}]}, "parts.1.size must be a whole number in 1..8, not 9"),
    ({"parts": [{"size": True}]}, "parts.0.size must be a whole number in 1..8, not true"),
    ({"parts": [{"size": 1.0}]}, "parts.0.size must be a whole number in 1..8, not 1.0"),
    ({"parts": [{"size": 10**40}]}, f"parts.0.size must be a whole number in 1..8, not 1{17 * '0'}...{19 * '0'}"),
    ({"parts": [{"size": 1, "share": -1}]}, "parts.0.share must be a number of at least 0.0, not -1"),
    ({"parts": [{"size": 1, "share": float("nan")}]}, "parts.0.share must be a finite number, not nan"),
    ({"parts": [{"size": 1, "colour": "green"}]}, "parts.0.colour must be one of red, blue or null, not 'green'"),
    ({"parts": [{"size": 1, "hue": 1}]}, "parts.0 knows no 'hue', only size, share, colour"),
    ({"parts": [{}]}, "parts.0 lacks 'size'"),
    ({"parts": [], "pair": ["a"]}, "pair must be a list of 2, not ['a']"),
    ({"parts": [], "pair": ["a", "b"]}, "pair.1 must be a whole number, not 'b'"),
    ({"parts": [], "counts": {"a": 1, "b c": -1}}, "counts.'b c' must be a whole number of at least 0, not -1"),
    ({"parts": [], "counts": []}, "counts must be a table of keys and values, not []"),
    ({"parts": [], "texts": []}, "texts must be a list of at least 1, not []"),
    ({"parts": [], "texts": ["a", 3]}, "texts.1 must be a text, not 3"),
    ({"parts": [], "texts": ["\udc80"]}, "texts.0 must be a text of whole characters, not '\\udc80' with half a pair"),
    ({"parts": [], "on": 1}, "on must be true or false, not 1"),
    ({"parts": [], "shapes": [{"rows": 2, "depth": 3}]}, "shapes.0 knows no 'depth', only rows, columns"),
    ({"parts": [], "named": {"a": {"rows": 2, "depth": 3}}}, "named.a knows no 'depth', only rows, columns"),
    ({"parts": [], "shapes": [{"columns": 3}]}, "shapes.0 lacks 'rows'"),
    ({"parts": [], "shapes": [{"rows": 3}]}, "shapes.0 is not possible: rows must be even, not 3"),
    ({"parts": [], "shapes": {"rows": 3}}, "shapes must be a list, not {'rows': 3}"),
], ids=str)  # fmt: skip
def test_what_does_not_fit_is_named_with_rule_and_value(value, sentence):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the whole sentence is compared)
        decode(Outer, value, "the thing")
    assert str(caught.value) == sentence


def test_a_part_of_another_is_named_by_its_whole_path():
    with pytest.raises(ValueError, match=r"^a\.b\.size must be a whole number in 1\.\.8, not 0$"):
        decode(Inner, {"size": 0}, "the part", "a.b")
    with pytest.raises(ValueError, match=r"^a\.b knows no 'x', only size, share, colour$"):
        decode(Inner, {"size": 1, "x": 1}, "the part", "a.b")


def test_a_key_that_stands_twice_is_refused():
    with pytest.raises(ValueError, match="a table must have each key once, not 'b' twice"):
        parse('{"a": 1, "c": {"b": 1, "d": 2, "b": 1}}')


#: The format of bundles after a field is added to it.
Grown = msgspec.defstruct(
    "Grown", [("licence", str, "none")], bases=(bundle.BundleFile,), kw_only=True, forbid_unknown_fields=True
)


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.stem)
def test_the_bundles_of_the_project_load_after_a_field_is_added(path, monkeypatch):
    monkeypatch.setattr(bundle, "BundleFile", Grown)
    assert bundle.load(path).labels


def test_a_bundle_with_a_new_field_loads_where_it_is_known_and_is_refused_by_name_where_not(tmp_path, monkeypatch):
    path = tmp_path / "a.bundle"
    bundle.save(make_bundle(), path)
    rewrite(path, lambda description, _: put(description, "licence", "free"))
    with pytest.raises(BundleError, match="it knows no 'licence', only encoder, labels, samples, record, preprocessing"):
        bundle.load(path)
    monkeypatch.setattr(bundle, "BundleFile", Grown)
    assert bundle.load(path).labels == ("a", "b", "c")


def test_a_field_that_is_added_inside_gets_its_default_from_files_without_it():
    grown = msgspec.defstruct(
        "GrownConfig", [("causal", bool, False)], bases=(EncoderConfig,), kw_only=True, forbid_unknown_fields=True
    )
    today = bundle.FILE.read(BUNDLES[0])[0]["encoder"]["config"]
    assert decode(grown, today, "it").causal is False
    assert decode(grown, today | {"causal": True}, "it").causal is True
    with pytest.raises(ValueError, match="config knows no 'causal', only layers"):
        decode(EncoderConfig, today | {"causal": True}, "config")


@pytest.mark.parametrize("key", ["stride", "class_tokens", "codes"])
def test_a_bundle_without_an_optional_field_loads_with_its_default(tmp_path, key):
    path, made = tmp_path / "a.bundle", make_bundle()
    bundle.save(made, path)
    rewrite(path, lambda description, _: description["preprocessing"].pop(key))
    assert bundle.load(path).preprocessing == made.preprocessing


def test_a_bundle_may_say_nothing_of_raw_inputs_and_of_its_training(tmp_path):
    path = tmp_path / "a.bundle"
    bundle.save(make_bundle(), path)
    rewrite(path, lambda description, _: [description.pop(key) for key in ("preprocessing", "record")])
    loaded = bundle.load(path)
    assert loaded.preprocessing is None
    assert loaded.record == {}
