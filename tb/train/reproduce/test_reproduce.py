"""`bittern reproduce`: cells are cached and go on, budgets are equal, and the page holds what was run and nothing else."""

import dataclasses
import json
import re

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from cli.main import main  # noqa: E402
from tb.train.imports import write_description  # noqa: E402
from train.data.load import load_data  # noqa: E402
from train.data.tasks import Task  # noqa: E402
from train.data.tokenizer import train_tokenizer  # noqa: E402
from train.model.export import export_encoder  # noqa: E402
from train.model.precision import FULL  # noqa: E402
from train.reproduce import grid  # noqa: E402
from train.reproduce.accuracy_page import verdict, write_page  # noqa: E402
from train.reproduce.cell import matthews, result_of, result_path, run_cell, score  # noqa: E402
from train.reproduce.grid import PLANS, QUICK, Experiment, Method, cells  # noqa: E402
from train.run.measure import predict_integer  # noqa: E402
from train.run.stage import Stage  # noqa: E402


@pytest.mark.parametrize(("quick", "plans"), [(True, QUICK), (False, PLANS)])
def test_every_student_of_a_task_has_the_same_budget_the_same_teacher_and_the_same_weight_bits(tmp_path, quick, plans):
    students = [cell for cell in cells(quick) if cell.method not in (Method.TEACHER, Method.CONTROL)]
    for task, plan in plans.items():
        mine = [(cell, plan.recipe(cell, tmp_path)) for cell in students if cell.task == task]
        assert len({sum(step.epochs for step in recipe.steps[1:]) for _, recipe in mine}) == 1
        assert len({(recipe.steps[0], recipe.model, recipe.shift, recipe.task) for _, recipe in mine}) == 1
        assert mine[0][1].shift == plan.shift
        assert len({recipe.steps[-1].batch for _, recipe in mine}) == 1
        for cell, recipe in mine:
            assert all(step.half for step in recipe.steps[1:-1])
            assert all(step.activation_bits == cell.bits for step in recipe.steps[1:])
            assert all(step.distils == cell.distilled for step in recipe.steps[1:])


def test_the_grid_has_every_combination_with_at_least_three_seeds():
    full = cells(False)
    students = [cell for cell in full if cell.bits != FULL]
    assert len(students) == len(set(students)) == len(PLANS) * 4 * 3 * 2 * 3
    assert {cell.seed for cell in students} == {1, 2, 3}
    assert {(cell.method, cell.distilled) for cell in students} == {
        (m, d) for m in ("direct", "tws", "wtws") for d in (True, False)
    }


def test_a_part_of_the_grid_still_has_its_teachers_and_controls():
    part = cells(False, ["sst2"], ["1"], ["wtws"], ["2"])
    assert [cell.name for cell in part] == [
        "sst2-teacher-seed2", "sst2-control-seed2", "sst2-wtws-w1a1-distilled-seed2", "sst2-wtws-w1a1-labels-seed2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--task", "chess"], "--task must be one of fashion-mnist, digits, sst2, sst2-bert-tiny, cola, not 'chess'"),
        (["--quick", "--bits", "3"], "--bits must be one of 4, 1, not '3'"),
        (["--jobs", "0"], "--jobs must be at least 1, not 0"),
        (["--jobs", "100000"], "--jobs must be in 0..1024, not 100000"),
        (["--quick", "--device", "abacus"], "device 'abacus' cannot be used"),
    ],
)
def test_what_the_grid_has_not_is_refused(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_task_whose_checkpoint_was_not_imported_is_refused_before_anything_is_trained(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", "--task", "sst2-bert-tiny", "--output", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert re.search(r"sst2-bert-tiny starts from an imported checkpoint, .* no .*out/bert-tiny; .*docs/import.md", said)
    assert not list(tmp_path.iterdir())


def test_teacher_and_control_of_a_task_start_from_its_imported_checkpoint(tmp_path, monkeypatch, one_epoch):
    from safetensors.torch import save_file

    began, tokenizers = [], []
    tokenizer = train_tokenizer(["a b c"], 20).to_str()

    def loaded(recipe, folder, tokenizer):
        tokenizers.append(tokenizer.to_str())
        return load_data(recipe, folder, tokenizer)

    monkeypatch.setattr("train.reproduce.cell.load_data", loaded)
    monkeypatch.setattr("train.reproduce.grid.QUICK", {"digits": dataclasses.replace(grid.QUICK["digits"], start="begun")})
    monkeypatch.setattr("train.run.loop._begin", lambda model, start, recipe: began.append((model.config.layers, start)))
    known = []
    for value in (1.0, 2.0):
        (tmp_path / "begun").mkdir(exist_ok=True)
        save_file({"embedding.bias": torch.full((32,), value)}, tmp_path / "begun" / "model.safetensors")
        write_description(tmp_path / "begun", grid.QUICK["digits"].model, json.loads(tokenizer))
        for method in (Method.TEACHER, Method.CONTROL):
            cell = Experiment("digits", method, FULL, False, 1)
            run_cell(cell, True, tmp_path, None)
            known.append(result_path(cell, True, tmp_path))
    assert len(set(known)) == 4
    assert tokenizers == [tokenizer] * 4
    tries = len(grid.CONTROL_RATES) * len(grid.CONTROL_DECAYS)
    assert [(layers, start["embedding.bias"][0].item()) for layers, start in began] == [
        (layers, value) for value in (1.0, 2.0) for layers, count in ((2, 1), (0, tries)) for _ in range(count)
    ]


def test_cells_are_trained_on_the_device_that_is_asked_for(tmp_path, monkeypatch):
    devices = []

    def record(cell, quick, folder, data, device):
        devices.append(device)
        return {"measured": {"float": 90.0}, "seconds": 1}

    monkeypatch.setattr("train.reproduce.command.run_cell", record)
    assert main(["reproduce", "--quick", "--device", "cpu:0", "--output", str(tmp_path)]) == 0
    assert set(devices) == {"cpu:0"}


def result(cell, integer, real=None):
    measured = {"float": integer if real is None else real, "integer": integer, "agreement": 99.5}
    return {"cell": cell, "measured": measured, "seconds": 1}


def test_the_page_holds_means_deviations_and_how_much_was_not_run(tmp_path):
    everything = [cell for cell in cells(False) if cell.task == "fashion-mnist"]
    known = {}
    for seed, teacher, control, direct in ((1, 91, 83, 88), (2, 92, 84, 88.5), (3, 93, 85, 89)):
        known[Experiment("fashion-mnist", Method.TEACHER, FULL, False, seed)] = result(None, teacher)
        known[Experiment("fashion-mnist", Method.CONTROL, FULL, False, seed)] = result(None, control)
        known[Experiment("fashion-mnist", Method.DIRECT, 1, True, seed)] = result(None, direct, direct + 0.1)
        known[Experiment("fashion-mnist", Method.WTWS, 1, True, seed)] = result(None, direct + 2)
    write_page(everything, known.get, False, tmp_path / "a.md")
    text = (tmp_path / "a.md").read_text()
    assert "* full precision: 92.00 +- 1.00 (3)" in text
    assert "* control: 84.00 +- 1.00 (3)" in text
    assert "| W1A1 direct | yes | 88.60 +- 0.50 (3) | 88.50 +- 0.50 (3) | 3.50 | 56 % | 99.50 % |" in text
    assert "WTWS against direct: +2.00 points, deviation 0.50: helps." in text
    assert "22 of 24 kinds of student: not run." in text
    assert text.count("not run") == 1


@pytest.mark.parametrize(
    ("task", "words"),
    [("sst2", "word embeddings of 1 bit; "), ("sst2-bert-tiny", "word embeddings of 8 bits; "), ("digits", "f 64; ")],
)
def test_the_page_says_what_embeddings_texts_have(tmp_path, task, words):
    write_page([cell for cell in cells(False) if cell.task == task], lambda cell: None, False, tmp_path / "a.md")
    assert f"{words}teacher and control" in (tmp_path / "a.md").read_text()


@pytest.mark.parametrize(("teacher", "warned"), [(81.9, True), (82.1, False)])
def test_the_page_says_where_layers_do_not_help_in_full_precision(tmp_path, teacher, warned):
    everything = [cell for cell in cells(False) if cell.task == "sst2"]
    known = {}
    for seed, other in ((1, -1), (2, 0), (3, 1)):
        known[Experiment("sst2", Method.TEACHER, FULL, False, seed)] = result(None, teacher + other)
        known[Experiment("sst2", Method.CONTROL, FULL, False, seed)] = result(None, 80 + 2 * other)
    write_page(everything, known.get, False, tmp_path / "a.md")
    assert ("does not tell students apart" in (tmp_path / "a.md").read_text()) == warned
    del known[Experiment("sst2", Method.CONTROL, FULL, False, 2)], known[Experiment("sst2", Method.CONTROL, FULL, False, 3)]
    write_page(everything, known.get, False, tmp_path / "a.md")
    assert "students apart" not in (tmp_path / "a.md").read_text()


def test_what_is_compared_is_of_the_same_seeds(tmp_path):
    everything = [cell for cell in cells(False) if cell.task == "fashion-mnist"]
    known = {Experiment("fashion-mnist", Method.TEACHER, FULL, False, seed): result(None, 90 + seed) for seed in (1, 2, 3)}
    known |= {Experiment("fashion-mnist", Method.CONTROL, FULL, False, seed): result(None, 80 + seed) for seed in (1, 2)}
    for seed, method, value in (
        (1, Method.DIRECT, 90), (2, Method.TWS, 90), (3, Method.WTWS, 90), (2, Method.WTWS, 91), (3, Method.DIRECT, 88),
    ):  # fmt: skip
        known[Experiment("fashion-mnist", method, 4, seed != 1, seed)] = result(None, value)
    write_page(everything, known.get, False, tmp_path / "a.md")
    text = (tmp_path / "a.md").read_text()
    assert "| W1A4 direct | no | 90.00 (1) | 90.00 (1) | 1.00 | 90 % |" in text
    assert "| W1A4 TWS | yes | 90.00 (1) | 90.00 (1) | 2.00 | 80 % |" in text
    assert "| W1A4 WTWS | yes | 90.50 +- 0.71 (2) | 90.50 +- 0.71 (2) | 2.00 | not run |" in text
    assert "against direct" not in text  # one seed in common


def test_a_difference_within_the_deviation_is_called_none():
    assert verdict([80.0, 82.0], [80.5, 81.0]).endswith("makes no difference beyond the deviation.")
    assert verdict([70.0, 71.0], [80.0, 81.0]).endswith("hurts.")


def test_matthews_correlation_is_that_of_the_counts():
    rng = np.random.default_rng(0)
    predicted, labels = rng.integers(0, 2, (2, 200))
    tp, tn = (predicted & labels).sum(), ((1 - predicted) & (1 - labels)).sum()
    fp, fn = (predicted & (1 - labels)).sum(), ((1 - predicted) & labels).sum()
    expected = (tp * tn - fp * fn) / np.sqrt(float((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))
    assert abs(matthews(predicted, labels) - expected) < 1e-12
    assert matthews(np.ones(5), [0, 1, 1, 0, 1]) == 0


@pytest.fixture
def one_epoch(monkeypatch):
    """Plans of the quick grid with as little training as there can be."""

    def short(plan):
        return dataclasses.replace(plan, teacher=dataclasses.replace(plan.teacher, epochs=1),
                                   student=dataclasses.replace(plan.student, epochs=2))  # fmt: skip

    monkeypatch.setattr("train.reproduce.grid.QUICK", {task: short(plan) for task, plan in QUICK.items()})
    torch.set_num_threads(1)


def test_a_cell_is_trained_once_and_goes_on_where_it_was_interrupted(tmp_path, monkeypatch, one_epoch):
    cell = Experiment("digits", Method.WTWS, 1, True, 1)
    update, calls = Stage._update, []

    def counted(self, *arguments):
        calls.append(1)
        if len(calls) == limit:
            raise KeyboardInterrupt
        return update(self, *arguments)

    monkeypatch.setattr(Stage, "_update", counted)
    limit = 60
    with pytest.raises(KeyboardInterrupt):
        run_cell(cell, True, tmp_path, None)
    assert not result_path(cell, True, tmp_path).exists()
    limit = 0
    first = run_cell(cell, True, tmp_path, None)
    assert len(calls) == 60 + 75 - 50  # three epochs of 25 batches, of which two were done
    assert run_cell(cell, True, tmp_path, None) == json.loads(result_path(cell, True, tmp_path).read_text()) == first
    assert len(calls) == 85
    assert first["epochs"] == [2]
    assert first["measured"]["weight_bits"] > 0
    assert len(list((tmp_path / "stages").iterdir())) == 1  # the teacher's, which others share


def test_split_students_have_as_many_weight_bits_as_direct_ones(tmp_path, one_epoch):
    found = {
        method: run_cell(Experiment("digits", method, 4, False, 1), True, tmp_path, None)["measured"]["weight_bits"]
        for method in (Method.DIRECT, Method.TWS, Method.WTWS)
    }
    assert len(set(found.values())) == 1


def test_a_cell_is_measured_as_the_reference_computes(tmp_path, monkeypatch, one_epoch):
    exported = []

    def export(model):
        exported.append(export_encoder(model))
        return exported[-1]

    monkeypatch.setattr("train.reproduce.cell.export_encoder", export)
    measured = run_cell(Experiment("digits", Method.DIRECT, 4, False, 2), True, tmp_path, None)["measured"]
    test = load_data(QUICK["digits"].recipe(Experiment("digits", Method.DIRECT, 4, False, 2), tmp_path)).test
    assert measured["integer"] == score(Task.DIGITS, predict_integer(exported[0], test, 1)[0], test.labels)


def _lowest_agreements(folder):
    """Of each row of the page, in its order, over the seeds. How high they are is a result, and no test's business."""
    found = {}
    for cell in cells(True):
        if cell.method not in (Method.TEACHER, Method.CONTROL):
            value = result_of(cell, True, folder)["measured"]["agreement"]
            row = (cell.bits, cell.method, cell.distilled)
            found[row] = min(found.get(row, 100.0), value)
    return found.values()


@pytest.mark.slow
def test_the_quick_grid_runs_to_its_end_and_writes_the_page(tmp_path, capsys):
    assert main(["reproduce", "--quick", "--output", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "accuracy.md").read_text()
    assert "not run" not in text
    assert len(re.findall(r"^\| W1A", text, re.MULTILINE)) == 12
    teacher, control = (float(re.search(rf"\* {name}: ([0-9.]+)", text)[1]) for name in ("full precision", "control"))
    assert teacher > 90 > control
    agreements = re.findall(r"\| ([0-9.]+) % \|$", text, re.MULTILINE)
    assert agreements == [f"{value:.2f}" for value in _lowest_agreements(tmp_path / "out")]
    capsys.readouterr()
    assert main(["reproduce", "--quick", "--output", str(tmp_path / "out"), "--list"]) == 0
    assert "to do" not in capsys.readouterr().out
