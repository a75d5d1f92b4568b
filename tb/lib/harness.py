"""What every bench shares: run cocotb tests on a component, start and reset it, drive and collect its streams.

All drivers act just after a rising edge and sample just before the next one, so one wake-up a cycle is enough.
"""

import fcntl
import hashlib
import json
import os
import shutil
import time
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from tempfile import mkdtemp
from xml.etree import ElementTree

import cocotb
import cocotb_tools.runner
from cocotb.clock import Clock
from cocotb.task import Task
from cocotb.triggers import ClockCycles, RisingEdge, Timer

from formats.files import ROOT
from hw.emit import emit
from tb.lib.payload import pack, unpack

DAY = 24 * 3600  # seconds
PERIOD = 5  # ns of a clock cycle
#: Cycles that no bench needs.
MOST_CYCLES = 300_000


class Simulator(StrEnum):
    ICARUS = "icarus"
    VERILATOR = "verilator"


SIMULATORS = list(Simulator)


# Under cocotb's own -g2012, Icarus leaves Amaranth's combinational If/Else at X until something changes.
_BUILD_ARGS = {
    Simulator.ICARUS: ["-g2005"],
    Simulator.VERILATOR: ["--public-depth", "1", "--x-assign", "fast", "--x-initial", "fast", "-O3", "-Wno-fatal"],
}
# Our designs are small and our benches short: compiling takes longer than running, so one file, and not optimised
# (2 s instead of 20 s). The run-time library is the same for all and comes from ccache.
_MAKE_ARGS = [
    f"OBJCACHE={shutil.which('ccache') or ''}", "VM_PARALLEL_BUILDS=0", "OPT_FAST=-O0", "OPT_SLOW=-O0", "OPT_GLOBAL=-O2",
]  # fmt: skip

# For benches of a million cycles: compiling costs a minute more and running a fraction.
_LONG_MAKE_ARGS = [arg.replace("OPT_FAST=-O0", "OPT_FAST=-O1") for arg in _MAKE_ARGS]


class _LeanVerilator(cocotb_tools.runner.Verilator):
    """Cocotb's Verilator with only the ports of the top visible: 4 to 8 times faster, and twice as fast to build."""

    make_args = _MAKE_ARGS

    def _build_command(self):
        verilate, make = super()._build_command()
        verilate.remove("--public-flat-rw")
        return [verilate, make + self.make_args]


_RUNNERS = {Simulator.ICARUS: cocotb_tools.runner.Icarus, Simulator.VERILATOR: _LeanVerilator}
_PROGRAMS = {Simulator.ICARUS: "iverilog", Simulator.VERILATOR: "verilator"}
_TIMESCALE = ("1ns", "1ps")
# Cocotb would load every pytest plugin and rewrite the asserts of every module it imports, numpy included: 1.5 s a run.
_QUICK_START = {"COCOTB_REWRITE_ASSERTION_FILES": "test_*.py", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def simulate(component, module, simulator, *, parameters=None, only=None, models="", long=False):
    """Run the cocotb tests of ``module`` on ``component``; AssertionError names those that failed and why.

    Builds are kept in ``build/tb`` by content, so an unchanged component is not built again. ``WAVES=1`` in the
    environment keeps waveforms beside the log.

    Parameters
    ----------
    component : wiring.Component
        Becomes the module ``dut``.
    module : str
        ``__name__`` of the bench.
    simulator : Simulator or its name
    parameters : dict, optional
        What the cocotb side must know about ``component``; it reads them with `parameters`. Anything JSON can hold.
    only : str, optional
        Regular expression of the cocotb tests to run, by default all.
    models : str, optional
        Verilog of primitives that ``component`` instantiates.
    long : bool
        Compile for speed: for benches of a million cycles. Only Verilator compiles.
    """
    simulator = Simulator(simulator)
    source = emit(component, "dut") + models
    runner = _RUNNERS[simulator]()
    runner.log.setLevel("WARNING")
    if long:
        runner.make_args = _LONG_MAKE_ARGS
    build = _build(runner, source, ROOT / "build" / "tb" / module.rpartition(".")[2], simulator)
    run = Path(mkdtemp(prefix="run-", dir=build))
    with suppress(SystemExit, RuntimeError):  # they say only that something failed; the results say what
        runner.test(
            hdl_toplevel="dut", test_module=module, test_filter=only, build_dir=build, test_dir=run, seed=1,
            results_xml=str(run / "results.xml"), log_file=run / "log", timescale=_TIMESCALE,
            extra_env={"BITTERN_PARAMETERS": json.dumps(parameters or {}), **_QUICK_START},
        )  # fmt: skip
    _check(run)
    if not _waves():
        shutil.rmtree(run)


def parameters():
    """The ``parameters`` that `simulate` was given, on the cocotb side."""
    return json.loads(os.environ["BITTERN_PARAMETERS"])


def _waves():
    return os.environ.get("WAVES", "0") not in ("", "0")


def _build(runner, source, folder, simulator):
    """Build ``source`` in a directory named by its content, once even among several processes."""
    program = Path(shutil.which(_PROGRAMS[simulator]) or "").stat()
    make_args = getattr(runner, "make_args", _MAKE_ARGS)
    recipe = (source, simulator, program.st_mtime_ns, program.st_size, cocotb.__version__, _waves(), _BUILD_ARGS, make_args)
    build = folder / f"{simulator}-{hashlib.sha256(repr(recipe).encode()).hexdigest()[:16]}"
    build.mkdir(parents=True, exist_ok=True)
    _remove_older(7 * DAY, folder.glob("*/ready"))
    _remove_older(DAY, build.glob("run-*/log"))
    with _locked(build / "lock"):
        if not (build / "ready").exists():
            (build / "dut.v").write_text(source)
            try:
                runner.build(
                    sources=[build / "dut.v"], hdl_toplevel="dut", build_dir=build, build_args=_BUILD_ARGS[simulator],
                    timescale=_TIMESCALE, log_file=build / "log", waves=_waves(), always=True,
                )  # fmt: skip
            except (SystemExit, RuntimeError) as error:
                raise AssertionError(f"{simulator} could not build {build / 'dut.v'}:\n{_tail(build / 'log')}") from error
            for scrap in (*build.glob("Vtop*"), *build.glob("verilat*")):
                scrap.unlink()
        (build / "ready").touch()
    # The runner learns from build() what test() needs, also when nothing was to be built.
    runner.waves, runner.hdl_toplevel, runner.verbose = _waves(), "dut", False
    runner._set_sources([build / "dut.v"])
    runner._set_verilog_sources([])
    runner._set_vhdl_sources([])
    return build


@contextmanager
def _locked(path):
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _remove_older(age, markers):
    """Remove the folders of those ``markers`` that nobody touched for ``age`` seconds."""
    for marker in markers:
        if time.time() - marker.stat().st_mtime > age:
            shutil.rmtree(marker.parent, ignore_errors=True)


def _tail(log, lines=40):
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no log)"


def _check(run):
    """Raise AssertionError unless the results in ``run`` are there, not empty, and all passed."""
    try:
        cases = list(ElementTree.parse(run / "results.xml").iter("testcase"))
    except (OSError, ElementTree.ParseError):
        raise AssertionError(f"the simulation ended without results, log in {run}:\n{_tail(run / 'log')}") from None
    failures = {case.get("name"): bad for case in cases for bad in (*case.iter("failure"), *case.iter("error"))}
    if failures:
        reasons = "\n".join(f"  {name}: {bad.get('message') or bad.text}" for name, bad in failures.items())
        raise AssertionError(f"{len(failures)} of {len(cases)} cocotb tests failed, log in {run}:\n{reasons}")
    if not any(case.find("skipped") is None for case in cases):
        raise AssertionError(f"no cocotb test ran, log in {run}:\n{_tail(run / 'log')}")


async def start_clock(dut, most=MOST_CYCLES):
    """5 ns clock, two cycles of reset. Returns just after an edge, as everything here does.

    The test fails after ``most`` cycles: what waits for something that never comes would run for ever.
    """
    Clock(dut.clk, PERIOD, unit="ns").start()
    cocotb.start_soon(_end(most))
    await reset(dut)


async def _end(most):
    await Timer(most * PERIOD, unit="ns")
    raise AssertionError(f"no end after {most} cycles")


async def reset(dut, *drivers):
    """Two cycles of reset, at any time; the ``drivers`` of its streams forget what was under way."""
    for driver in drivers:
        driver.forget()
    dut.rst.value = 1
    await ClockCycles(dut.clk, 2)
    dut.rst.value = 0


class _StreamDriver:
    def __init__(self, dut, name, shape, stall, rng):
        if not 0 <= stall < 1:
            raise ValueError(f"stall is a probability below 1, not {stall}")
        self._name, self._shape, self._stall, self._rng = name, shape, stall, rng
        self._edge = RisingEdge(dut.clk)
        self._valid, self._ready, self._payload = (getattr(dut, f"{name}__{part}") for part in ("valid", "ready", "payload"))

    def _pauses(self, count):
        """Idle cycles before each of ``count`` transfers."""
        return (self._rng.geometric(1 - self._stall, count) - 1).tolist()


class StreamSource(_StreamDriver):
    """Drives stream ``name`` of ``shape``; idles with probability ``stall`` in each cycle between transfers."""

    def __init__(self, dut, name, shape, stall, rng):
        super().__init__(dut, name, shape, stall, rng)
        self._tasks: list[Task[None]] = []
        self._valid.value = 0

    def send(self, batch):
        """Start sending ``batch`` (see `tb.lib.payload`), after what is still being sent. Await the result for the end."""
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(cocotb.start_soon(self._run(pack(self._shape, batch), *self._tasks[-1:])))
        return self._tasks[-1]

    def forget(self):
        """Stop in the middle, as reset does."""
        for task in self._tasks:
            task.cancel()
        self._tasks = []
        self._valid.value = 0

    async def _run(self, words, *before):
        for task in before:
            await task
        for word, pause in zip(words, self._pauses(len(words)), strict=True):
            if pause:
                self._valid.value = 0
                for _ in range(pause):
                    await self._edge
            self._payload.value = word
            self._valid.value = 1
            await self._edge
            while not self._ready.value:
                await self._edge
        self._valid.value = 0


class StreamSink(_StreamDriver):
    """Takes from stream ``name`` of ``shape``; refuses with probability ``stall`` in each cycle.

    Also checks the rule of streams: what is offered stays, unchanged, until it is taken.
    """

    def __init__(self, dut, name, shape, stall, rng):
        super().__init__(dut, name, shape, stall, rng)
        self._refused = None
        self._ready.value = 0

    async def receive(self, count, patience=10_000):
        """The next ``count`` payloads as a batch (see `tb.lib.payload`); fails after ``patience`` cycles without one."""
        words = []
        for pause in self._pauses(count):
            for _ in range(pause):
                await self._cycle()
            self._ready.value = 1
            for _ in range(patience):
                word = await self._cycle(ready=True)
                if word is not None:
                    words.append(word)
                    break
            else:
                raise AssertionError(
                    f"stream {self._name} gave {len(words)} of {count} payloads, then nothing for {patience} cycles"
                )
            self._ready.value = 0
        return unpack(self._shape, words)

    async def expect_nothing(self, cycles=50):
        """Nothing is offered for ``cycles`` cycles: the end of a bench, when all that was due has been received."""
        for _ in range(cycles):
            await self._edge
            assert not self._valid.value, f"stream {self._name} offers more than it should"

    def forget(self):
        """What was refused before a reset need not be offered after it."""
        self._refused = None
        self._ready.value = 0

    async def _cycle(self, ready=False):
        """One cycle; the word offered in it, or None."""
        await self._edge
        offered = int(self._payload.value) if self._valid.value else None
        if self._refused is not None and offered != self._refused:
            raise AssertionError(f"stream {self._name} offered {self._refused:#x}, was refused, and then offered {offered}")
        self._refused = None if ready else offered
        return offered
