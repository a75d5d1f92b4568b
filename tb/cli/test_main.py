"""The `bittern` command: what it prints, its exit status, and one sentence for whatever is wrong."""

import re
import subprocess
import sys
import tomllib

import pytest

from boards.c.image import flat_image
from cli.main import main
from formats.bundle import load
from formats.errors import BuildError
from formats.files import ROOT
from hw.tools import find_tool
from isa.presets import preset
from program.compiler.compiler import compile_encoder
from sim.watch import Interrupted

BUNDLE = min((ROOT / "bundles").glob("*.bundle"))


def test_info_describes_a_bundle(capsys):
    assert main(["info", str(BUNDLE)]) == 0
    printed = capsys.readouterr().out
    assert "encoder" in printed
    assert "weights bipolar 1" in printed


def refused(capsys, *arguments):
    """The one sentence on standard error of a refused command."""
    assert main([str(argument) for argument in arguments]) == 2
    output = capsys.readouterr()
    assert "Traceback" not in output.err
    assert output.err.startswith("bittern: ")
    assert output.err.count("\n") == 1
    return output.err


def test_a_missing_bundle_is_refused(capsys, tmp_path):
    assert "there is no bundle at" in refused(capsys, "info", tmp_path / "none.bundle")


@pytest.mark.parametrize("keep", [0, 5, 1000, -1])
def test_a_truncated_bundle_is_refused(capsys, tmp_path, keep):
    path = tmp_path / "cut.bundle"
    path.write_bytes(BUNDLE.read_bytes()[:keep])
    assert "corrupt or truncated" in refused(capsys, "sim", "--bundle", path)


def test_a_corrupt_bundle_is_refused(capsys, tmp_path):
    data = bytearray(BUNDLE.read_bytes())
    data[-100] ^= 1
    path = tmp_path / "bad.bundle"
    path.write_bytes(data)
    assert "checksum" in refused(capsys, "sim", "--bundle", path)


def test_an_image_for_the_c_library_is_that_of_the_compiled_bundle(tmp_path):
    path = tmp_path / "a.image"
    assert main(["image", str(BUNDLE), "--preset", "small", "--output", str(path)]) == 0
    assert path.read_bytes() == flat_image(compile_encoder(load(BUNDLE).encoder, preset("small")))


@pytest.mark.parametrize(
    "arguments",
    [["image", BUNDLE, "--preset", "small"], ["sim", "--bundle", BUNDLE, "--samples", "1"]],
    ids=lambda arguments: arguments[0],
)
def test_an_output_that_cannot_be_written_is_refused(capsys, tmp_path, arguments):
    (tmp_path / "a").write_text("no folder")
    assert "cannot be used (Not a directory); give another path" in refused(
        capsys, *arguments, "--output", tmp_path / "a" / "b"
    )


def test_an_unknown_preset_is_refused(capsys):
    for command in ("sim", "verilog", "lint"):
        assert "choose one of tiny, small, ecp5, zcu102" in refused(capsys, command, "--preset", "huge")


def test_a_bundle_too_large_for_the_preset_is_refused(capsys):
    message = refused(capsys, "sim", "--bundle", BUNDLE, "--preset", "tiny")
    width = load(BUNDLE).encoder.config.width
    assert re.search(rf"\b{width}\b.*\b{preset('tiny').row_columns}\b.*raise row_columns", message)


@pytest.mark.parametrize("command", [["sim", "--bundle", BUNDLE], ["image", BUNDLE], ["run", BUNDLE, "none.png"]])
@pytest.mark.parametrize("batch", ["0", "9"])
def test_a_batch_that_no_accelerator_takes_is_refused(capsys, command, batch, monkeypatch):
    monkeypatch.setattr("boards.run.command.prepare", lambda bundle, items: ([], [], []))
    assert f"a batch has 1 to 8 samples, not {batch}; " in refused(capsys, *command, "--batch", batch)


def test_a_batch_that_a_preset_cannot_take_is_refused_with_what_lacks_and_what_fits(capsys):
    message = refused(capsys, "sim", "--bundle", ROOT / "bundles" / "sst2-w1a1.bundle", "--batch", "4")
    assert re.search(r"of the 2048 in the residual memory only \d+ are free .* \d+ are lacking; raise residual_d", message)
    assert message.rstrip().endswith("or a batch of 2, which fits")


def test_an_image_for_a_batch_says_so(tmp_path):
    path = tmp_path / "a.image"
    assert main(["image", str(BUNDLE), "--preset", "small", "--batch", "3", "--output", str(path)]) == 0
    assert path.read_bytes() == flat_image(compile_encoder(load(BUNDLE).encoder, preset("small"), 3))
    assert int.from_bytes(path.read_bytes()[60:64], "little") == 3


@pytest.mark.parametrize(("option", "value", "named"), [
    ("--samples", "0", "0"), ("--samples", "100000", "100000"), ("--bandwidth", "0", "0"), ("--latency", "0", "0"),
    ("--latency", "4294967296", "4294967296"), ("--bandwidth", "257", "257"),
    ("--flip", "x:9", "'x:9'"), ("--flip", "999999999:0", "999999999"),
])  # fmt: skip
def test_options_out_of_range_are_refused_by_name_and_value(capsys, option, value, named):
    message = refused(capsys, "sim", "--bundle", BUNDLE, option, value)
    assert option.strip("-") in message
    assert re.search(rf"\bnot {named}(;|$)", message)


@pytest.mark.parametrize(("interrupt", "where"), [
    (KeyboardInterrupt(), ""), (Interrupted(1234, 5, 70, 6, "a name"), " at cycle 1234, 5 of 70 instructions completed"),
], ids=["build", "run"])  # fmt: skip
def test_an_interruption_is_one_sentence_and_status_130(interrupt, where, monkeypatch, capsys):
    def interrupted(options):
        raise interrupt

    monkeypatch.setattr("sim.commands._sim", interrupted)
    assert main(["sim"]) == 130
    printed = capsys.readouterr().err
    assert printed.startswith(f"bittern: interrupted{where}")
    assert printed.count("\n") == 1


@pytest.mark.parametrize(("arguments", "words"), [
    ([], "arguments are required: command; `bittern --help` lists what there is"),
    (["simm"], "invalid choice: 'simm' (choose from "), (["sim", "--presett", "tiny"], "unrecognized arguments: --presett"),
    (["sim", "--samples", "x"], "--samples: invalid int value: 'x'; `bittern sim --help` lists"),
    (["bench"], "arguments are required: BENCH; `bittern bench --help` lists"),
], ids=str)  # fmt: skip
def test_arguments_that_are_not_understood_are_one_sentence_that_names_them(arguments, words, capsys):
    assert words in refused(capsys, *arguments)


def test_a_defect_of_ours_is_no_sentence_but_a_traceback(monkeypatch):
    def defective(options):
        raise ZeroDivisionError

    monkeypatch.setattr("sim.commands._sim", defective)
    with pytest.raises(ZeroDivisionError):
        main(["sim"])


def test_help_lists_the_commands_of_every_package_and_needs_none_of_what_they_run(capsys):
    script = "import sys; from cli.main import main\ntry: main(['--help'])\nexcept SystemExit: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    usage, _, modules = done.stdout.strip().rpartition("\n")
    assert not {"numpy", "amaranth", "torch", "safetensors", "rich", "jinja2", "PIL"} & set(modules.split())
    listed = set(re.findall(r"^    (\S+)", usage, re.MULTILINE))
    assert listed == {
        "sim", "run", "image", "zcu102", "ulx3s", "info", "verilog", "lint", "estimate", "predict", "fit-resources",
        "resource-page", "routed", "bench", "train", "reproduce", "import", "export", "evaluate", "speed", "documents",
        "timing", "timing-page", "timing-routed",
    }  # fmt: skip


def test_the_version_is_that_of_the_project(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert capsys.readouterr().out == f"bittern {project['version']}\n"


def test_a_missing_simulator_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BuildError, match="verilator is not on the PATH; run `make setup`"):
        find_tool("verilator")


@pytest.fixture(scope="module")
def verilog(tmp_path_factory):
    """A folder with the Verilog of the smallest preset, which takes seconds to emit."""
    folder = tmp_path_factory.mktemp("verilog")
    assert main(["verilog", "--preset", "tiny", "--output", str(folder)]) == 0
    return folder


def test_verilog_is_the_same_from_run_to_run(verilog, tmp_path):
    assert main(["verilog", "--preset", "tiny", "--output", str(tmp_path)]) == 0
    first, second = ((folder / "tiny" / "bittern.v").read_bytes() for folder in (verilog, tmp_path))
    assert first == second
    assert b"m_axi_memory_araddr" in first
    assert b"s_axi_control_awaddr" in first


def test_verilog_in_primitives_of_the_chip_goes_to_a_folder_of_its_own(verilog):
    before = (verilog / "tiny" / "bittern.v").read_bytes()
    assert main(["verilog", "--preset", "tiny", "--mapping", "ultrascale", "--output", str(verilog)]) == 0
    assert (verilog / "tiny" / "bittern.v").read_bytes() == before
    plain, primitives = ((verilog / folder / "bittern.v").read_text() for folder in ("tiny", "tiny-ultrascale"))
    for cell in ("LUT6_2", "CARRY8"):
        assert cell in primitives
        assert cell not in plain
