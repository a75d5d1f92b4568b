"""Training: it learns, and goes on where it stopped to the very bit."""

import csv
import dataclasses
import math
import struct

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from tb.train.toys import RECIPE, STEPS, run, same, toy_dataset, toy_texts, with_last  # noqa: E402
from train.errors import CheckpointError, Diverged  # noqa: E402
from train.run import checkpoint  # noqa: E402
from train.run.loop import control, new_model, stage_path  # noqa: E402
from train.run.predict import accuracy  # noqa: E402
from train.run.recipe import Mixed, Model, StageRecipe, Weights  # noqa: E402
from train.run.stage import Stage  # noqa: E402

SPLIT = (
    STEPS[0],
    StageRecipe(4, 1, 32, 3e-3, weights=Weights.TERNARY, half=True, weighted=True, per_channel=True),
    StageRecipe(1, 2, 32, 3e-3, weights=Weights.SPLIT, weighted=True, per_channel=True, trained_scale=True),
)


def interrupt(monkeypatch, steps):
    """Make training stop, as by control-C, after so many optimiser steps."""
    update, calls = Stage._update, []

    def stop(self, *arguments):
        calls.append(1)
        if len(calls) > steps:
            raise KeyboardInterrupt
        return update(self, *arguments)

    monkeypatch.setattr(Stage, "_update", stop)


def test_every_step_learns(tmp_path):
    dataset = toy_dataset()
    for model in run(tmp_path):
        assert accuracy(model, dataset.test) > 0.9


def test_texts_learn_and_the_padding_does_not_matter(tmp_path):
    dataset = toy_texts()
    steps = (StageRecipe(32, 12, 32, 5e-3),)
    recipe = dataclasses.replace(RECIPE, model=Model(1, 32, 2, 16, 32, vocabulary=20), steps=steps)
    model = run(tmp_path, recipe, dataset)[-1]
    assert accuracy(model, dataset.test) > 0.9
    inputs, lengths = torch.from_numpy(dataset.test.inputs), torch.from_numpy(dataset.test.lengths)
    changed = torch.where(torch.arange(8) < lengths[:, None], inputs, 9)
    assert torch.allclose(model(inputs, lengths)[0], model(changed, lengths)[0], atol=1e-5)


VARIANTS: dict[str, dict] = {
    "plain": {},
    "averaged": {"average": 0.9},
    "dropped out": {"dropout": 0.2},
    "accumulated": {"accumulate": 2},
    "attentive": {"attention_weight": 0.5, "temperature": 2.0},
    "patient": {"patience": 1, "epochs": 4},
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("mixed", [Mixed.NONE, Mixed.FLOAT16])
def test_an_interrupted_run_ends_with_the_same_bits_as_one_that_was_not(tmp_path, monkeypatch, variant, mixed):
    recipe = with_last(**VARIANTS[variant])
    recipe = dataclasses.replace(recipe, shift=2, flip=True, mixed=mixed)
    dataset = toy_dataset(192)
    whole = run(tmp_path / "whole", recipe, dataset)[-1]
    second = stage_path(recipe, 1, tmp_path / "parts")
    # Into the first stage, of 18 steps; past its end; from the middle of an epoch of the second to that of the next.
    for steps, kept in ((5, None), (18, 4), (4, 8)):
        with monkeypatch.context() as patched:
            interrupt(patched, steps)
            with pytest.raises(KeyboardInterrupt, match="of step"):
                run(tmp_path / "parts", recipe, dataset)
        assert (checkpoint.load(second, "stage")["done"] if second.exists() else None) == kept
    assert same(whole, run(tmp_path / "parts", recipe, dataset)[-1])


def test_a_split_model_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    recipe = dataclasses.replace(RECIPE, steps=SPLIT)
    dataset = toy_dataset(192)
    whole = run(tmp_path / "whole", recipe, dataset)[-1]
    for steps in (20, 4):
        with monkeypatch.context() as patched:
            interrupt(patched, steps)
            with pytest.raises(KeyboardInterrupt):
                run(tmp_path / "parts", recipe, dataset)
    assert same(whole, run(tmp_path / "parts", recipe, dataset)[-1])


def test_an_interruption_loses_at_most_one_interval(tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        interrupt(patched, 11)
        with pytest.raises(KeyboardInterrupt, match=r"at step 11 of 45 .*that of step 8"):
            run(tmp_path)
    updates = []
    original = Stage._update

    def counted(self, *arguments):
        updates.append(1)
        return original(self, *arguments)

    monkeypatch.setattr(Stage, "_update", counted)
    run(tmp_path, dataclasses.replace(RECIPE, steps=STEPS[:1]))
    assert len(updates) == 45 - 8


def test_the_log_of_an_interrupted_run_has_each_step_once(tmp_path, monkeypatch):
    monkeypatch.setattr("train.run.report.EVERY", 1)
    with monkeypatch.context() as patched:
        interrupt(patched, 11)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    run(tmp_path)
    with (tmp_path / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for stage, steps in (("full", 45), ("a1", 30)):
        mine = [int(row["step"]) for row in rows if stage in row["stage"] and not row["validation_accuracy"]]
        assert mine == list(range(1, steps + 1))
    assert all(math.isfinite(float(row["loss"])) for row in rows)


def test_tensorboard_gets_what_the_log_has(tmp_path):
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    run(tmp_path, dataclasses.replace(RECIPE, steps=STEPS[:1]))
    found = {}
    (path,) = (tmp_path / "events").rglob("events.*")
    data, at = path.read_bytes(), 0
    while at < len(data):  # records: length, its check sum, content, its check sum
        (size,) = struct.unpack_from("<Q", data, at)
        content = data[at + 12 : at + 12 + size]
        assert struct.unpack_from("<I", data, at + 12 + size)[0] == masked_crc32c(content)
        event = Event.FromString(content)
        found |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
        at += 16 + size
    with (tmp_path / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    expected = {("loss", int(row["step"])): float(row["loss"]) for row in rows if not row["validation_accuracy"]}
    assert expected
    for key, value in expected.items():
        assert math.isclose(found[key], value, rel_tol=1e-4)
    assert sum(tag == "validation_accuracy" for tag, _ in found) == 3


@pytest.mark.parametrize(
    ("change", "equal"), [({"name": "b"}, True), ({"checkpoint_every": 7}, True), ({"shift": 1}, False)]
)
def test_a_checkpoint_is_named_by_what_its_weights_depend_on(change, equal):
    assert (stage_path(dataclasses.replace(RECIPE, **change), 1, "") == stage_path(RECIPE, 1, "")) == equal


def test_keys_that_checkpoints_did_not_always_know_leave_their_names_as_they_were():
    assert stage_path(RECIPE, 1, "").name == "digits-1layers-binary-a1-fd20279587b7.pt"


def test_recipes_with_a_common_beginning_share_it(tmp_path):
    run(tmp_path)
    before = sorted(path.name for path in tmp_path.glob("*.pt"))
    run(tmp_path, dataclasses.replace(RECIPE, name="other", steps=STEPS[:1]))
    assert sorted(path.name for path in tmp_path.glob("*.pt")) == before
    run(tmp_path, dataclasses.replace(RECIPE, seed=2, steps=STEPS[:1]))
    assert len(list(tmp_path.glob("*.pt"))) == len(before) + 1


# In full precision also where a batch of 31 is cut in 16 and 15: the gradient of a quantizer's step knows how many
# elements it is of, and parts of two sizes have two.
@pytest.mark.parametrize(("steps", "samples"), [(STEPS, 192), (STEPS[:1], 191)])
def test_accumulated_batches_train_as_one(tmp_path, steps, samples):
    dataset, recipe = toy_dataset(samples), dataclasses.replace(RECIPE, steps=steps)
    one = run(tmp_path / "one", recipe, dataset)[-1]
    two = run(tmp_path / "two", with_last(recipe, accumulate=2), dataset)[-1]
    assert not same(one, two)
    for (name, a), b in zip(one.named_parameters(), two.parameters(), strict=True):
        # The softmax is blind to what all scores of a row have in common: in full precision the gradient of a key's bias
        # is rounding alone, and Adam makes whole steps of it.
        assert name.endswith("key.bias") or torch.allclose(a, b, atol=2e-4), name
    # Adam hides a factor of the gradient, the log does not.
    losses = [
        [float(row["loss"]) for row in csv.DictReader((tmp_path / folder / "log.csv").open())] for folder in ("one", "two")
    ]
    assert losses[0] == pytest.approx(losses[1], abs=2e-3)


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    from train.run import stage

    original, calls = stage.loss_of, []

    def spoilt(*arguments):
        calls.append(1)
        return original(*arguments) * (math.nan if len(calls) == 7 else 1.0)

    monkeypatch.setattr(stage, "loss_of", spoilt)
    with pytest.raises(Diverged, match=r"nan at step 7 .* of step 4; lower learning_rate"):
        run(tmp_path)
    (kept,) = tmp_path.glob("*.pt")
    saved = checkpoint.load(kept, "stage")
    assert saved["done"] == 4
    assert all(value.isfinite().all() for value in saved["model"].values() if value.is_floating_point())


def test_early_stopping_ends_a_stage_that_validates_no_better(tmp_path, monkeypatch):
    found = iter([0.5, 0.6, 0.6, 0.4, 0.9])
    monkeypatch.setattr("train.run.stage.accuracy", lambda *_: next(found))
    recipe = dataclasses.replace(RECIPE, steps=(StageRecipe(32, 5, 96, 3e-3, patience=2),))
    run(tmp_path, recipe)
    assert next(found) == 0.9
    (path,) = tmp_path.glob("*.pt")
    assert checkpoint.load(path, "stage")["best"] == 0.6


def test_the_test_split_is_never_looked_at(tmp_path):
    dataset = toy_dataset(96)
    run(tmp_path, dataset=dataclasses.replace(dataset, test=None))


def test_the_control_has_no_layers(tmp_path):
    assert len(control(RECIPE, toy_dataset(96), tmp_path).layers) == 0


def test_the_control_starts_from_what_the_teacher_starts_from(tmp_path, monkeypatch):
    monkeypatch.setattr("train.run.stage.Stage.run", lambda *_: None)
    start = {"embedding.bias": torch.full((32,), 0.25), "layers.0.attention.query.bias": torch.ones(32)}
    assert (control(RECIPE, toy_dataset(96), tmp_path, start=start).embedding.bias == 0.25).all()


@pytest.mark.parametrize("damage", [lambda content: content[:1000], lambda content: b"x"])
def test_a_damaged_checkpoint_is_named_and_left_alone(tmp_path, damage):
    recipe = dataclasses.replace(RECIPE, steps=(StageRecipe(32, 1, 96, 3e-3),))
    run(tmp_path, recipe, toy_dataset(96))
    (path,) = tmp_path.glob("*.pt")
    content = damage(path.read_bytes())
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{path.name} is damaged"):
        run(tmp_path, recipe, toy_dataset(96))
    assert path.read_bytes() == content


def test_a_half_width_stage_keeps_the_largest_heads_and_neurons(tmp_path):
    recipe = dataclasses.replace(RECIPE, steps=SPLIT)
    dataset = toy_dataset()
    models = run(tmp_path, recipe, dataset)
    assert [model.config.heads for model in models] == [2, 1, 1]
    assert [model.config.feed_forward for model in models] == [32, 16, 16]
    assert accuracy(models[-1], dataset.test) > 0.5


def test_a_seed_gives_the_same_start_and_another_one_another():
    dataset = toy_dataset(96)
    first, again = (new_model(RECIPE, dataset, 0) for _ in range(2))
    other = new_model(dataclasses.replace(RECIPE, seed=2), dataset, 0)
    assert same(first, again)
    assert not same(first, other)
    assert not np.array_equal(first.position.detach(), other.position.detach())
