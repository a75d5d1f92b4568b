"""The data of the resource model are made in pieces that are kept, and never mixed."""

from types import SimpleNamespace

import pytest

from cli.main import main
from codesign.devices import LABELS
from codesign.resources import data as resource_data
from codesign.resources import fit
from codesign.resources.configurations import choices
from codesign.resources.data import DATA, Sample, samples, write
from codesign.resources.model import errors
from codesign.resources.synthesis import Resources
from formats.errors import UsageError

CHOSEN = choices()[:3]


def unit(name, count):
    return SimpleNamespace(name=name, count=count)


@pytest.fixture
def done(monkeypatch):
    """Configurations that were synthesised, with an estimate that takes no time."""
    done = []

    def estimate(config, synthesis):
        done.append(config)
        units = [
            (unit("dpu_16_24", 4), Resources(lut=10, ff=3)),
            (unit("dpu_16_20", 2), Resources(lut=1, bram36=0.5)),
            (unit("core.qmm.drain", 1), Resources(lut=config.drain)),
        ]
        return SimpleNamespace(units=units)

    monkeypatch.setattr(fit, "estimate", estimate)
    return done


@pytest.fixture
def synthesis(tmp_path):
    lines = []
    return SimpleNamespace(cache=tmp_path, version="Yosys 0.1 (git)", release="0.1", progress=lines.append, lines=lines)


def test_units_of_a_kind_are_summed_with_their_counts(done, synthesis):
    (sample,) = fit.synthesised(synthesis, CHOSEN[:1])
    dpus = Resources(lut=4 * 10 + 2 * 1, ff=4 * 3, bram36=2 * 0.5)
    assert sample.parts == {"dpu": dpus, "core.qmm.drain": Resources(lut=CHOSEN[0].config.drain)}
    assert sample.total == Resources(lut=42 + CHOSEN[0].config.drain, ff=12, bram36=1)
    assert (sample.config, sample.fitted, sample.yosys) == (CHOSEN[0].config, CHOSEN[0].fitted, "0.1")


def test_an_interrupted_run_goes_on_where_it_was(done, synthesis):
    run = fit.synthesised(synthesis, CHOSEN)
    first = next(run)
    run.close()
    again = list(fit.synthesised(synthesis, CHOSEN))
    assert again[0] == first
    assert done == [choice.config for choice in CHOSEN]
    assert synthesis.lines[-1].startswith("configuration 3 of 3 (")


def test_another_rtl_or_another_yosys_starts_anew(done, synthesis, monkeypatch):
    (first,) = fit.synthesised(synthesis, CHOSEN[:1])
    monkeypatch.setattr(fit, "fingerprint", lambda: "another")
    (second,) = fit.synthesised(synthesis, CHOSEN[:1])
    synthesis.version = "Yosys 0.2"
    list(fit.synthesised(synthesis, CHOSEN[:1]))
    assert len(done) == 3
    assert (first.rtl != "another", second.rtl) == (True, "another")


def test_everything_is_synthesised_unless_told_otherwise(done, synthesis):
    assert [sample.config for sample in fit.synthesised(synthesis)] == [choice.config for choice in choices()]


def test_data_come_back_as_they_were_written(tmp_path):
    write(samples()[:2], tmp_path / "copy.csv")
    assert samples(tmp_path / "copy.csv") == samples()[:2]


def test_a_parameter_that_is_newer_than_the_data_has_its_default(tmp_path):
    lines = DATA.read_text().splitlines()
    column = lines[0].split(",").index("dma_queue")
    of_small = [line for line in lines[1:] if line.split(",")[column] == "8"]
    without = (",".join(cell for i, cell in enumerate(line.split(",")) if i != column) for line in [lines[0], *of_small])
    (tmp_path / "older.csv").write_text("\n".join(without))
    assert {sample.config.dma_queue for sample in samples(tmp_path / "older.csv")} == {8}


def test_rows_of_different_rtl_are_refused(tmp_path):
    first, second = samples()[:2]
    write([first, Sample(second.config, second.parts, "another", second.yosys)], tmp_path / "mixed.csv")
    with pytest.raises(UsageError, match="fit-resources"):
        samples(tmp_path / "mixed.csv")


def test_configurations_that_are_not_in_the_list_are_refused(tmp_path):
    first = samples()[0]
    text = f",{first.config.left_depth},"
    write([first], tmp_path / "other.csv")
    path = tmp_path / "other.csv"
    path.write_text(path.read_text().replace(text, ",1111,"))
    with pytest.raises(UsageError, match="configurations"):
        samples(path)


def test_a_file_that_could_not_be_written_to_its_end_is_as_it_was(tmp_path):
    path = tmp_path / "data.csv"
    write(samples()[:1], path)
    before = path.read_bytes()

    def interrupted():
        yield samples()[1]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(interrupted(), path)
    assert path.read_bytes() == before


def test_the_command_writes_all_or_nothing(monkeypatch, tmp_path, capsys):
    def interrupted(synthesis):
        yield samples()[0]
        raise KeyboardInterrupt

    written = []
    monkeypatch.setattr(resource_data, "write", lambda rows: written.append(list(rows)))
    monkeypatch.setattr(fit, "synthesised", interrupted)
    assert main(["fit-resources"]) == 130
    assert written == []
    assert "the same command does the rest" in capsys.readouterr().err
    rows = samples()
    monkeypatch.setattr(fit, "synthesised", lambda synthesis: iter(rows))
    assert main(["fit-resources"]) == 0
    assert written == [rows]
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()[1:]] == [
        [LABELS[name], f"{error.median:.1f}"] for name, error in errors().items()
    ]
