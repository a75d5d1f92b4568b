"""Steps that are played back leave what computed ones do: on a GPU, if there is one, and on a stand-in for its graphs."""

import dataclasses
import gc
from contextlib import contextmanager

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from tb.train.toys import RECIPE, STEPS, run, toy_dataset, toy_texts  # noqa: E402
from train.data.batches import batches, tensors  # noqa: E402
from train.model.precision import Weights  # noqa: E402
from train.run.captured import Captured  # noqa: E402
from train.run.distributed import Workers  # noqa: E402
from train.run.loop import new_model  # noqa: E402
from train.run.predict import accuracy  # noqa: E402
from train.run.recipe import Mixed, Model, StageRecipe  # noqa: E402
from train.run.stage import Stage  # noqa: E402

GPU = Workers(torch.device("cuda", 0)) if torch.cuda.is_available() else None
needs_gpu = pytest.mark.skipif(GPU is None, reason="recorded steps need a GPU")
SPLIT = StageRecipe(1, 2, 32, 3e-3, weights=Weights.SPLIT, weighted=True, per_channel=True, trained_scale=True)
TEXT = Model(1, 32, 2, 16, 32, vocabulary=20)


def stage(tmp_path, recipe, dataset):
    model, teacher = (new_model(recipe, dataset, index) for index in (len(recipe.steps) - 1, 0))
    assert GPU is not None
    teacher = teacher.to(GPU.device).eval()
    return Stage(model, teacher, recipe.steps[-1], recipe, dataset, tmp_path / "stage.pt", GPU)


@needs_gpu
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


class Product:
    """``sum(x w)`` and its gradient by w, on a GPU or on a stand-in whose graphs compute again into what was recorded."""

    def __init__(self, device, monkeypatch):
        self.device = device
        self.weight = torch.nn.Parameter(torch.ones((), device=device))
        self.calls = 0
        #: Whether garbage could be collected during each recording of the stand-in.
        self.collecting = []
        if device == "cpu":
            stand_in(self, monkeypatch)

    def __call__(self, x):
        self.calls += 1
        loss = (x * self.weight).sum()
        loss.backward()
        self.made = x, loss.detach(), self.weight.grad
        return self.made[1]

    def check(self, captured, size, value):
        self.weight.grad = None
        x = torch.full((size,), float(value), device=self.device)
        assert captured(x).item() == size * value * self.weight.item()
        assert self.weight.grad.item() == size * value


def stand_in(product, monkeypatch):
    """Graphs that compute a `Product` again, into the tensors of the recording."""

    class Graph:
        def replay(self):
            x, result, gradient = self.made
            result.copy_((x * product.weight.detach()).sum())
            gradient.copy_(x.sum())

        def pool(self):
            return 1

    @contextmanager
    def record(graph, pool):
        product.collecting.append(gc.isenabled())
        yield
        graph.made = product.made

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", record)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=needs_gpu)])
def product(request, monkeypatch):
    return Product(request.param, monkeypatch)


def test_what_is_played_is_of_the_inputs_that_are_given(product):
    captured = Captured(product, [product.weight])
    for value in range(5):
        product.check(captured, 3, value)
        with torch.no_grad():
            product.weight += 1
    assert len(captured.played) == 1
    assert product.calls == 2  # set up, recorded, and then played
    assert product.collecting in ([], [False])
    assert gc.isenabled()


def test_more_shapes_than_are_recorded_are_computed(product, monkeypatch):
    monkeypatch.setattr("train.run.captured.MOST_GRAPHS", 2)
    captured = Captured(product, [product.weight])
    for size in (1, 2, 3, 1, 2, 3, 3, 2, 1):
        product.check(captured, size, 7)
    assert len(captured.played) == 2
    assert product.calls == 3 + 2 + 2


@needs_gpu
def test_all_stages_learn_on_a_gpu_and_evaluate_as_on_the_processor(tmp_path):
    dataset = toy_dataset()
    for model in run(tmp_path, workers=GPU):
        on_gpu = accuracy(model, dataset.test)
        assert on_gpu > 0.9
        assert accuracy(model.cpu(), dataset.test) == pytest.approx(on_gpu, abs=0.01)
