"""`bittern export` and `bittern evaluate`: bundle, accuracies, drift, and one sentence for whatever is wrong."""

import dataclasses
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from cli.main import main  # noqa: E402
from formats import bundle  # noqa: E402
from golden.encoder import encode  # noqa: E402
from golden.model import Attention, Head, Input, Order  # noqa: E402
from tb.train.encoders import random_model  # noqa: E402
from train.data.load import load_data  # noqa: E402
from train.data.sets import Split  # noqa: E402
from train.data.tasks import Task  # noqa: E402
from train.evaluate.command import same  # noqa: E402
from train.evaluate.drift import drift, places  # noqa: E402
from train.model.export import export_encoder  # noqa: E402
from train.model.structure import Activation, Pooler  # noqa: E402
from train.run.loop import train  # noqa: E402
from train.run.predict import predict  # noqa: E402
from train.run.recipe import Model, Recipe, StageRecipe  # noqa: E402
from train.run.saved import load_model, save_model  # noqa: E402

MODEL = Model(1, 16, 2, 8, 24, head=Head.CLS, order=Order.PRE, patch=4, class_tokens=1, activation=Activation.GELU,
              pooler=Pooler.TANH)  # fmt: skip
STEPS = (StageRecipe(32, 6, 32, 5e-3), StageRecipe(4, 4, 32, 5e-3))
RECIPE = Recipe("toy", Task.DIGITS, 1, MODEL, STEPS)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder with best.pt of a small model of the digits."""
    folder = tmp_path_factory.mktemp("run")
    dataset = load_data(RECIPE)
    trained = train(RECIPE, dataset.part(600), folder / "stages")
    save_model(trained, RECIPE, dataset, folder / "best.pt")
    return folder


@pytest.fixture
def exported(run, tmp_path, capsys):
    path = tmp_path / "toy.bundle"
    assert main(["export", str(run / "best.pt"), "-o", str(path)]) == 0
    assert "toy.bundle: 0.0" in capsys.readouterr().out
    return path


def test_a_saved_model_has_the_structure_it_was_trained_with(run):
    saved = load_model(run / "best.pt")
    assert saved.teacher.structure.activation is Activation.GELU
    assert saved.model.pooler is not None
    assert saved.model.config.order is Order.PRE


def test_the_bundle_holds_the_model_with_real_samples(run, exported):
    made, saved = bundle.load(exported), load_model(run / "best.pt")
    assert same(made.encoder, export_encoder(saved.model))
    dataset = load_data(RECIPE)
    assert np.array_equal(made.samples.inputs, dataset.test.inputs[:64])
    assert not made.samples.inputs[:, 0].any()
    assert made.labels == tuple("0123456789")
    assert made.preprocessing.class_tokens == 1
    classes = [encode(made.encoder, x)["logits"].argmax() for x in made.samples.inputs]
    assert np.array_equal(classes, predict(saved.model, dataset.test)[:64])


def test_the_report_has_all_forms_and_tensors(run, exported, tmp_path, capsys):
    arguments = ["evaluate", str(exported), "--processes", "1", "--samples", "120", "--drift-samples", "40",
                 "-o", str(tmp_path / "report.json")]  # fmt: skip
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    report = json.loads((tmp_path / "report.json").read_text())
    assert list(report["forms"]) == ["full precision", "quantized, real arithmetic", "fake-quantized", "integer"]
    assert report["samples"] == 120
    saved, test = load_model(run / "best.pt"), load_data(RECIPE).test.take(np.arange(120))
    for form, model in (("full precision", saved.teacher), ("fake-quantized", saved.model)):
        hits = predict(model, test) == test.labels
        assert report["forms"][form]["accuracy"] == round(100 * hits.mean(), 2)
    assert report["forms"]["full precision"]["accuracy"] > 60
    assert report["forms"]["fake-quantized"]["agreement"] == 100
    assert report["forms"]["full precision"]["agreement"] < 100
    names = [row["name"] for row in report["drift"]]
    assert names[0] == "embedding.residual"
    assert names[-2:] == ["pooler", "logits"]
    for name in ("full precision", "layer0.attention.probability", "saturated", "from full"):
        assert name in printed


def test_without_a_checkpoint_only_the_integers_are_evaluated(run, exported, capsys, monkeypatch):
    alone = exported.parent / "folder" / "toy.bundle"
    alone.parent.mkdir()
    made = bundle.load(exported)
    record = {key: value for key, value in made.record.items() if key != "checkpoint"}
    bundle.save(dataclasses.replace(made, record=record), alone)
    assert main(["evaluate", str(alone), "--processes", "1", "--samples", "5"]) == 0
    printed = capsys.readouterr().out
    assert "no checkpoint is beside the bundle" in printed
    assert "fake-quantized" not in printed


def refused(capsys, *arguments):
    assert main([str(argument) for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("bittern: ")
    assert printed.err.count("\n") == 1
    return printed.err


def test_another_checkpoint_is_refused_by_hash_and_by_content(run, exported, tmp_path, capsys):
    saved = load_model(run / "best.pt")
    with torch.no_grad():
        saved.model.classifier.bias += 1
    other = tmp_path / "other.pt"
    save_model([saved.teacher, saved.model], RECIPE, load_data(RECIPE), other)
    assert "has another sha256" in refused(capsys, "evaluate", exported, "--checkpoint", other)
    made = bundle.load(exported)
    record = {key: value for key, value in made.record.items() if key != "checkpoint"}
    bundle.save(dataclasses.replace(made, record=record), exported)
    assert "gives another encoder" in refused(capsys, "evaluate", exported, "--checkpoint", other)


def test_data_with_other_classes_are_refused(run, exported, tmp_path, capsys, monkeypatch):
    dataset = load_data(RECIPE)
    fewer = dataclasses.replace(dataset, labels=dataset.labels[:9])
    for module in ("evaluate", "export"):
        monkeypatch.setattr(f"train.{module}.command.load_data", lambda *_: fewer)
    assert "9 classes" in refused(capsys, "evaluate", exported)
    before = exported.read_bytes()
    assert "9 classes" in refused(capsys, "export", run / "best.pt", "-o", exported)
    assert exported.read_bytes() == before


def test_bad_files_and_options_are_refused(run, exported, tmp_path, capsys):
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes((run / "best.pt").read_bytes()[:1000])
    target = tmp_path / "new.bundle"
    assert "is damaged" in refused(capsys, "export", damaged, "-o", target)
    assert "there is no checkpoint at" in refused(capsys, "export", tmp_path / "none.pt", "-o", target)
    stage = next((run / "stages").glob("*.pt"))
    assert "is no model checkpoint" in refused(capsys, "export", stage, "-o", target)
    assert not target.exists()
    assert "there is no bundle at" in refused(capsys, "evaluate", target)
    assert "there is no checkpoint at" in refused(capsys, "evaluate", exported, "--checkpoint", tmp_path / "none.pt")
    assert "--samples must be at least 1" in refused(capsys, "evaluate", exported, "--samples", "0")


def test_full_precision_is_not_exported(tmp_path, capsys, run):
    saved, dataset = load_model(run / "best.pt"), load_data(RECIPE)
    recipe = dataclasses.replace(RECIPE, steps=STEPS[:1])
    save_model([saved.teacher], recipe, dataset, tmp_path / "full.pt")
    assert "full precision" in refused(capsys, "export", tmp_path / "full.pt", "-o", tmp_path / "a.bundle")


@pytest.mark.parametrize("module", ["torch", "onnx"])
def test_a_missing_extra_is_named(module, run, exported, tmp_path, capsys, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, module, None)
    arguments = ["export", run / "best.pt", "-o", tmp_path / "a.bundle", "--qonnx", tmp_path / "a.onnx"]
    assert f"needs {module}, which is not installed" in refused(capsys, *arguments)


def split_of(inputs, lengths):
    return Split(inputs.numpy(), lengths.numpy(), np.zeros(len(inputs), np.int64))


@pytest.mark.parametrize(
    ("bits", "changes"),
    [
        (1, {}),
        (4, {"order": Order.PRE, "head": Head.CLS, "pooler": Pooler.RELU}),
        (2, {"attention": Attention.THRESHOLD, "input": Input.TOKENS, "input_size": 40}),
        (4, {"head": Head.TOKEN, "input": Input.TOKENS, "input_size": 40}),
    ],
)
def test_drift_is_small_of_a_layers_own_and_grows_along_the_model(bits, changes):
    model, inputs, lengths = random_model(bits, **changes)
    rows = {row.name: row for row in drift(model, split_of(inputs, lengths), model)}
    codes, streams = places(model)
    assert rows.keys() == {*codes, *streams, "logits"}
    assert all(0 <= row.own <= 0.2 for row in rows.values())
    assert all(row.limit is None or 0 <= row.limit <= 1 for row in rows.values())
    assert rows["layer1.attention.query"].own <= 0.001
    assert rows["embedding.residual"].own == rows["embedding.residual"].differ
    assert rows["layer1.feed_forward.residual"].differ > rows["embedding.residual"].differ
    assert rows["logits"].from_full == 0
    assert all(row.saturated == 0 for row in rows.values() if row.saturated is not None)


def test_drift_finds_the_layer_that_is_off_and_counts_what_saturates(monkeypatch):
    model, inputs, lengths = random_model(4)
    integers = model.as_integers()
    linear = integers.encoder.layers[1].attention.value
    linear.constants.offset[:] += 1 << (linear.constants.shift + 1)
    rows = {row.name: row for row in drift(model, split_of(inputs, lengths))}
    assert rows["layer1.attention.value"].own > 0.9
    assert rows["layer1.attention.key"].own < 0.001
    assert rows["layer0.attention.value"].own < 0.001

    narrow, inputs, lengths = random_model(4, residual_fraction=14)
    rows = drift(narrow, split_of(inputs, lengths))
    counted = sum(row.saturated or 0 for row in rows)
    expected = sum(encode(export_encoder(narrow), x)["saturated"] for x in inputs.numpy())
    assert counted == expected > 0
