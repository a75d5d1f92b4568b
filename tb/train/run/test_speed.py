"""The benchmark of a step's time: what it writes down, and which steps it plays back. How long they take is no test's."""

import json

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from cli.main import main  # noqa: E402
from train.run import speed  # noqa: E402
from train.run.captured import Captured  # noqa: E402


def test_the_benchmark_holds_a_ratio_of_every_scheme_and_how_it_was_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(speed, "SHAPES", {"toy": (1, 32, 2, 32, 4, 4)})
    arguments = ["--device", "cpu", "--rounds", "2", "--threads", "1", "--shape", "toy"]
    assert main(["speed", *arguments, "--output", str(tmp_path / "a.json")]) == 0
    found = json.loads((tmp_path / "a.json").read_text())
    ratios = found["results"]["toy"]["ratios"]
    assert list(ratios) == [name for name, _, _ in speed.SCHEMES]
    assert min(ratios.values()) > 0
    assert found["rounds"] == 2
    assert found["machine"]["played"] is False
    assert "toy" in capsys.readouterr().out


def test_a_shape_that_there_is_not_is_told_with_those_that_there_are(capsys):
    assert main(["speed", "--shape", "toy"]) == 2
    assert capsys.readouterr().err == f"bittern: there is no shape 'toy'; choose one of {', '.join(speed.SHAPES)}\n"


@pytest.mark.parametrize("played", [False, True])
def test_steps_are_played_back_only_where_that_is_asked_for(monkeypatch, played):
    made = []

    class Recorded(Captured):
        def __init__(self, compute, parameters):
            made.append(parameters)
            super().__init__(compute, parameters)

    monkeypatch.setattr(speed, "Captured", Recorded)
    model = torch.nn.Module()
    model.weight = torch.nn.Parameter(torch.ones(4, 3))
    model.forward = lambda inputs, lengths: [inputs @ model.weight]
    compute = speed._gradients_of(model, played)
    compute(torch.ones(2, 4), None if not played else torch.ones(2), torch.zeros(2, dtype=torch.int64))
    assert made == ([[model.weight]] if played else [])
    assert model.weight.grad.abs().sum() > 0
