"""Steps that a GPU plays back leave what computed ones do. Skipped without a GPU."""

import dataclasses

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")
if not torch.cuda.is_available():
    pytest.skip("recorded steps need a GPU", allow_module_level=True)

from tb.train.toys import RECIPE, STEPS, run, toy_dataset, toy_texts  # noqa: E402
from train.batches import batches, tensors  # noqa: E402
from train.captured import Captured  # noqa: E402
from train.distributed import Workers  # noqa: E402
from train.loop import new_model  # noqa: E402
from train.precision import Weights  # noqa: E402
from train.predict import accuracy  # noqa: E402
from train.recipe import Mixed, Model, Step  # noqa: E402
from train.stage import Stage  # noqa: E402

GPU = Workers(torch.device("cuda", 0)) if torch.cuda.is_available() else None
SPLIT = Step(1, 2, 32, 3e-3, weights=Weights.SPLIT, weighted=True, per_channel=True, trained_scale=True)
TEXT = Model(1, 32, 2, 16, 32, vocabulary=20)


def stage(tmp_path, recipe, dataset):
    model, teacher = (new_model(recipe, dataset, index) for index in (len(recipe.steps) - 1, 0))
    teacher = teacher.to(GPU.device).eval()
    return Stage(model, teacher, recipe.steps[-1], recipe, dataset, tmp_path / "stage.pt", GPU)


@pytest.mark.parametrize(
    "recipe",
    [
        RECIPE,
        dataclasses.replace(RECIPE, steps=(dataclasses.replace(STEPS[0], dropout=0.5),)),
        dataclasses.replace(RECIPE, steps=(*STEPS, SPLIT)),
        dataclasses.replace(RECIPE, model=TEXT, steps=(STEPS[0], dataclasses.replace(STEPS[1], attention_weight=0.5))),
        dataclasses.replace(RECIPE, mixed=Mixed.BFLOAT16),
        dataclasses.replace(RECIPE, mixed=Mixed.FLOAT16),
    ],
    ids=["distilled", "dropout", "split", "text", "bfloat16", "float16"],
)
def test_a_played_step_leaves_the_loss_and_the_gradients_of_the_computed_one(tmp_path, recipe):
    dataset = toy_texts() if recipe.model is TEXT else toy_dataset()
    one = stage(tmp_path, recipe, dataset)
    parameters = list(one.model.parameters())
    share = torch.tensor(1.0, device=GPU.device)
    one.model.train()
    played = 0
    for number, index in enumerate([part for epoch in range(3) for part in batches(dataset.train, 32, 1, epoch)]):
        inputs = *tensors(dataset.train, index, GPU.device), share
        found = []
        for compute in (one._differentiate, one.captured):
            one.optimizer.zero_grad(set_to_none=True)
            torch.manual_seed(number)
            loss = compute(*inputs).tolist()
            found.append((loss, [None if p.grad is None else p.grad.clone() for p in parameters]))
        (loss, gradients), (other_loss, other_gradients) = found
        assert loss == pytest.approx(other_loss, rel=1e-4)
        for mine, its in zip(gradients, other_gradients, strict=True):
            assert (mine is None) == (its is None)
            assert mine is None or torch.allclose(mine, its, rtol=1e-3, atol=1e-5)
        played = len(one.captured.played)
        with torch.no_grad():
            torch._foreach_add_(parameters, 1e-3)
    assert played > (1 if recipe.model is TEXT else 0)


def test_what_is_played_is_of_the_inputs_that_are_given():
    weight = torch.nn.Parameter(torch.ones(3, device=GPU.device))

    def compute(x):
        loss = (x * weight).sum()
        loss.backward()
        return loss.detach()

    captured = Captured(compute, [weight])
    for number in range(4):
        weight.grad = None
        x = torch.full((3,), float(number), device=GPU.device)
        assert captured(x).item() == 3 * number
        assert weight.grad.tolist() == [number] * 3
    assert len(captured.played) == 1


def test_more_shapes_than_are_recorded_are_computed(monkeypatch):
    monkeypatch.setattr("train.captured.MOST_GRAPHS", 2)
    weight = torch.nn.Parameter(torch.ones((), device=GPU.device))

    def compute(x):
        loss = (x * weight).sum()
        loss.backward()
        return loss.detach()

    captured = Captured(compute, [weight])
    for size in (1, 2, 3, 1, 2, 3, 3, 2, 1):
        weight.grad = None
        assert captured(torch.ones(size, device=GPU.device)).item() == size
        assert weight.grad.item() == size
    assert len(captured.played) == 2


def test_all_stages_learn_on_a_gpu_and_evaluate_as_on_the_processor(tmp_path):
    dataset = toy_dataset()
    for model in run(tmp_path, workers=GPU):
        on_gpu = accuracy(model, dataset.test)
        assert on_gpu > 0.9
        assert accuracy(model.cpu(), dataset.test) == pytest.approx(on_gpu, abs=0.01)
