"""Builds the harness for one configuration: Verilog, Verilator, C++, one shared library; kept by content."""

import fcntl
import hashlib
import importlib.metadata
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jinja2

from formats.errors import BuildError
from formats.files import ROOT
from hw.emit import emit
from hw.engine.operand_memory import bank_module
from hw.tools import find_tool
from hw.top import Top
from isa.config import AcceleratorConfig, Uram
from isa.instruction import Memory
from isa.memory import row_memory_banks
from isa.sizes import memory_prefixes

BUILDS = ROOT / "build" / "rtl"
TOP = "bittern"
LIBRARY = "libbittern.so"
HARNESS = ("harness.cpp", "memory_queue.h")

# Only what the harness looks into is kept visible; everything else Verilator may optimise away.
_VISIBLE = jinja2.Template("""`verilator_config
public_flat_rd -module "{{ top }}" -var "trace_issue"
public_flat_rd -module "{{ top }}" -var "trace_done"
{% for module, variable in modules %}public_flat_rd -module "{{ module }}" -var "{{ variable }}"
{% endfor %}""")

_MEMORIES = jinja2.Template("""std::vector<Array> arrays(const Vbittern& top, uint32_t memory) {
    switch (memory) {
{% for number, names in memories.items() %}    case {{ number }}: return {
{% for name in names %}        array_of(top.rootp->{{ name }}),
{% endfor %}    };
{% endfor %}    }
    return {};
}
""")


def _path(*names):
    return "__DOT__".join((TOP, *names))


def _memories(config):
    """C++ names of the arrays in each on-chip memory, in the order of their banks: side by side, of the residual memory one
    after the other."""
    qmm = ("core", "qmm")
    return {
        Memory.LEFT.value: [_path(*qmm, "left_memory", f"bank{b}", "memory") for b in range(config.rows)],
        Memory.RIGHT.value: [_path(*qmm, "right_memory", f"bank{b}", "memory") for b in range(config.columns)],
        Memory.RESIDUAL.value: [
            _path("core", "rows", "norm", "residual", f"memory{bank}") for bank in range(_residual_banks(config))
        ],
    }


def _for_each_port(config):
    return " ".join(f"do({port}, {prefix})" for port, prefix in enumerate(memory_prefixes(config.ports)))


def _modules(config):
    """(module, variable) of each array."""
    sides = (config.left_depth, Uram.LEFT), (config.right_depth, Uram.RIGHT)
    banks = {bank_module(depth, config.depth, config.columns, config.is_uram(side)) for depth, side in sides}
    found = [(module, "memory") for module in sorted(banks)]
    residual = f"{TOP}.core.rows.norm.residual"
    return found + [(residual, f"memory{bank}") for bank in range(_residual_banks(config))]


def _residual_banks(config):
    return len(row_memory_banks(config.residual_depth))


def _run(command, log, **kwargs):
    with log.open("ab") as file:
        result = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False, **kwargs)
    if result.returncode:
        raise BuildError(f"{Path(command[0]).name} failed; its output is in {log}")


def build(config: AcceleratorConfig, progress: Callable[[str], object] = lambda text: None) -> Path:
    """Shared library of the harness for ``config``; built only when RTL, harness or tools changed.

    ``progress`` is called with a line of text before each step. Beside the library is ``times.json``: what each step
    took. Raises BuildError.
    """
    verilator = find_tool("verilator")
    for tool in ("g++", "make"):
        find_tool(tool)
    version = subprocess.run([verilator, "--version"], capture_output=True, text=True, check=False).stdout
    emitted = BUILDS / "emitted" / _emission_key(config, version)
    if emitted.exists() and (library := BUILDS / emitted.read_text() / LIBRARY).exists():
        return library
    progress("emitting Verilog")
    started = time.monotonic()
    verilog = emit(Top(config), TOP)
    times = {"emit_seconds": time.monotonic() - started}
    sources = {
        "bittern.v": verilog,
        "visible.vlt": _VISIBLE.render(top=TOP, modules=_modules(config)),
        "memories.inc": _MEMORIES.render(memories=_memories(config)),
        **{name: (Path(__file__).parent / name).read_text() for name in HARNESS},
    }
    key = hashlib.sha256(repr((sorted(sources.items()), version, Path(__file__).read_text())).encode()).hexdigest()[:16]
    folder = BUILDS / key
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / LIBRARY
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not library.exists():
            for name, text in sources.items():
                (folder / name).write_text(text)
            _compile(verilator, folder, config, progress, times)
    emitted.parent.mkdir(exist_ok=True)
    emitted.write_text(key)
    return library


def _emission_key(config, version):
    """What the library depends on, without emitting anything: our sources, the packages that emit, the configuration."""
    digest = hashlib.sha256(repr((config, version, sys.version)).encode())
    for package in ("amaranth", "pyosys"):
        try:
            digest.update(importlib.metadata.version(package).encode())
        except importlib.metadata.PackageNotFoundError:
            digest.update(b"none")
    sources = [path for folder in ("golden", "isa", "hw") for path in sorted((ROOT / folder).rglob("*.py"))]
    for path in (*sources, Path(__file__), *(Path(__file__).parent / name for name in HARNESS)):
        digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _compile(verilator, folder, config, progress, times):
    log = folder / "log"
    log.unlink(missing_ok=True)
    progress("translating to C++ (Verilator)")
    started = time.monotonic()
    _run(
        [verilator, "--cc", "--top-module", TOP, "--prefix", "Vbittern", "-Mdir", "obj", "-O3", "--no-timing",
         "--x-assign", "fast", "--x-initial", "fast", "-Wno-fatal", "-Wno-lint", "--output-split", "20000",
         "-CFLAGS", "-fPIC", "visible.vlt", "bittern.v"],
        log, cwd=folder,
    )  # fmt: skip
    translated = time.monotonic()
    progress("compiling C++")
    # -O2 takes two and a half times the processor's time, for a simulation that is a few percent faster.
    make = ["make", "-C", "obj", "-f", "Vbittern.mk", f"-j{os.cpu_count() or 1}", "OPT_FAST=-O1", "OPT_SLOW=-O0",
            "OPT_GLOBAL=-O1", f"OBJCACHE={shutil.which('ccache') or ''}", "libVbittern.a", "libverilated.a"]  # fmt: skip
    _run(make, log, cwd=folder)
    root = subprocess.run(
        [verilator, "--getenv", "VERILATOR_ROOT"], capture_output=True, text=True, check=False
    ).stdout.strip()
    defines = [
        f"-DBEAT_BYTES={config.port_bits // 8}",
        f"-DPORTS={config.ports}",
        f"-DFOR_EACH_PORT(do)={_for_each_port(config)}",
        f"-DTRACE_ISSUE=top.rootp->{_path('trace_issue')}",
        f"-DTRACE_DONE=top.rootp->{_path('trace_done')}",
    ]
    partial = folder / "libbittern.partial.so"
    _run(
        ["g++", "-shared", "-fPIC", "-O2", "-std=c++17", *defines, "-Iobj", f"-I{root}/include", f"-I{root}/include/vltstd",
         "harness.cpp", "-Wl,--whole-archive", "obj/libVbittern.a", "obj/libverilated.a", "-Wl,--no-whole-archive",
         "-lpthread", "-o", str(partial)],
        log, cwd=folder,
    )  # fmt: skip
    times |= {
        "verilate_seconds": translated - started, "compile_seconds": time.monotonic() - translated,
        # KB on Linux: this process has emitted; of its children the largest counts.
        "emit_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "build_peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    }  # fmt: skip
    (folder / "times.json").write_text(json.dumps(times, indent=1))
    partial.rename(folder / LIBRARY)
