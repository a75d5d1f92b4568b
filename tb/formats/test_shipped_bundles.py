"""The bundles in the repository: small, whole, and as accurate on their samples as they claim to be."""


import numpy as np
import pytest

from formats import bundle
from formats.files import ROOT
from golden.codes import Kind
from golden.encoder import encode

BUNDLES = sorted((ROOT / "bundles").glob("*.bundle"))
NAMES = [path.stem for path in BUNDLES]


@pytest.fixture(scope="module", params=BUNDLES, ids=NAMES)
def loaded(request):
    return bundle.load(request.param)


def test_there_is_an_image_and_a_text_model_and_a_4_bit_variant():
    assert {"fashion-mnist-w1a1", "fashion-mnist-w1a4", "sst2-w1a1"} <= set(NAMES)


@pytest.mark.parametrize("path", BUNDLES, ids=NAMES)
def test_a_bundle_is_at_most_a_megabyte(path):
    assert path.stat().st_size <= 1_000_000


def test_weights_and_word_embeddings_are_binary(loaded):
    encoder = loaded.encoder
    linears = [
        linear
        for layer in encoder.layers
        for linear in (
            layer.attention.query, layer.attention.key, layer.attention.value, layer.attention.output,
            layer.feed_forward.up, layer.feed_forward.down,
        )
    ]  # fmt: skip
    if loaded.record["task"] == "sst2":
        linears.append(encoder.embedding.linear)
    assert {linear.weight_format.kind for linear in linears} == {Kind.BIPOLAR}


def test_the_record_holds_recipe_seed_data_and_accuracies_within_the_bars(loaded):
    record, accuracy = loaded.record, loaded.record["accuracy"]
    assert {"task", "recipe", "command", "seed", "data"} <= record.keys()
    assert accuracy["test_samples"] == record["data"]["test_samples"]
    assert {"full_precision", "control_without_layers"} <= accuracy.keys()
    assert abs(accuracy["integer"] - accuracy["fake_quantized"]) <= 0.3
    assert accuracy["agreement"] >= 99


def test_the_samples_are_predicted_as_well_as_the_whole_test_set(loaded):
    samples = loaded.samples
    assert len(samples.labels) == 64
    logits = [
        encode(loaded.encoder, inputs, int(length))["logits"]
        for inputs, length in zip(samples.inputs, samples.lengths, strict=True)
    ]
    hits = np.mean(np.argmax(logits, -1) == samples.labels)
    expected = loaded.record["accuracy"]["integer"] / 100
    assert abs(hits - expected) < 4 * np.sqrt(expected * (1 - expected) / len(samples.labels))
