"""Runs one case on the RTL, compares every tensor, and says what it took; results are kept by content."""

import hashlib
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bench.cases import Case
from bench.work import bound, embedded, encoder_operations, operations
from codesign.cycles.model import predict
from codesign.energy import Activity
from codesign.energy import estimate as estimate_energy
from codesign.timing.clocks import clock_of
from formats.files import write_whole
from golden.encoder import encode
from isa.config import AcceleratorConfig
from program.compiler.compiler import compile_encoder
from program.program import CompileError
from program.verify.checker import check
from sim.inference import compared, simulated_accelerator
from sim.progress import RunProgress
from tb.models import random_encoder, random_inputs

SEED = 2024


def measure(case: Case, config: AcceleratorConfig, library: Path, cache: Path, progress: RunProgress) -> dict[str, Any]:
    """Measure ``case``; a result of the same program, RTL and memory is taken from ``cache``.

    Parameters
    ----------
    case : bench.cases.Case
    config : isa.config.AcceleratorConfig
    library : pathlib.Path
        The built simulation of ``config``.
    cache : pathlib.Path
        Folder of results.
    progress : sim.progress.RunProgress

    Returns
    -------
    dict
        Plain JSON. ``refused`` is why the compiler cannot fit the model, and then nothing else is there but what was asked;
        ``passed`` whether every tensor was equal, ``problem`` what was not.
    """
    external = case.external(config)
    timing = external.timing
    asked = {
        "case": case.name, "model": case.shape.name, "weight_bits": 1, "activation_bits": case.bits, "tokens": case.tokens,
        "batch": case.batch, "memory": external.name, "memory_timing": asdict(timing), "latency_cycles": timing.latency,
        "ports": config.ports, "port_bits": config.port_bits, "bytes_per_cycle": timing.bytes_per_cycle(config.axi_bits),
    }  # fmt: skip
    started = time.process_time()
    rng = np.random.default_rng(SEED)
    encoder = random_encoder(rng, **case.encoder())
    inputs = np.stack([random_inputs(rng, encoder)[0][0] for _ in range(case.batch)])
    generated = time.process_time()
    try:
        program = compile_encoder(encoder, config, case.batch)
    except CompileError as error:
        return asked | {"refused": str(error)}
    check(program)
    compiled = time.process_time()
    kept = cache / f"{_key(timing, config, library, program, inputs)}.json"
    if kept.exists():
        result = json.loads(kept.read_text())
    else:
        expected = [encode(encoder, sample, case.tokens) for sample in inputs]
        result = _run(timing, case, program, library, inputs, expected, progress)
        write_whole(kept, json.dumps(result))
    result |= {
        "generate_cpu_seconds": generated - started, "compile_cpu_seconds": compiled - generated,
        "operations": operations(encoder.config), "encoder_operations": encoder_operations(encoder.config),
    }  # fmt: skip
    return asked | result | (_rates(config, case, program, timing, result) if "cycles" in result else {})


def _key(timing, config, library, program, inputs):
    """Whatever a run depends on: RTL and harness, program, input and external memory."""
    digest = hashlib.sha256(repr((library.parent.name, config, timing)).encode())
    digest.update(program.image)
    digest.update(inputs.tobytes())
    return digest.hexdigest()[:16]


def _run(timing, case, program, library, inputs, expected, progress):
    with simulated_accelerator(program, timing, library) as accelerator:
        accelerator.load(program)
        run = compared(accelerator, program, inputs, [case.tokens] * case.batch, expected, progress)
    result = {"passed": run.problem is None, "problem": run.problem, "tensors_compared": run.tensors}
    if run.logits is None:
        return result
    return result | {
        "cycles": run.cycles, "counters": run.counters, "embedding_cycles": embedded(program, run.events),
        "instructions": len(program.instructions), "image_bytes": len(program.image),
        "simulated_cycles_per_cpu_second": run.simulated / run.seconds,
    }  # fmt: skip


def _predicted(program, timing):
    """The cycle model's prediction; None where the model does not get to the end."""
    try:
        return predict(program, timing)
    except RuntimeError:
        return None


def _rates(config, case, program, timing, result):
    counters, cycles = result["counters"], result["cycles"]
    least = bound(program, timing)
    external = (counters["read_beats"] + counters["write_beats"]) * config.axi_bits // 8
    activity = Activity(
        cycles=cycles, macs=counters["qmm_busy"] * config.rows * config.columns * config.depth, external_bytes=external
    )
    clock = clock_of(config)
    energy = estimate_energy(activity, clock.mhz * 1e6)
    seconds = cycles / (clock.mhz * 1e6)
    gop = case.batch * result["encoder_operations"] / 1e9
    predicted = _predicted(program, timing)
    return {
        "cycles_per_inference": cycles / case.batch,
        "predicted_cycles": predicted and predicted.cycles, "engine_causes": predicted and predicted.breakdown,
        "engine_busy": counters["qmm_busy"] / cycles, "external_bytes": external, "bound": least,
        "bound_by": max(least, key=least.__getitem__), "ratio_to_bound": cycles / max(least.values()),
        "mhz": clock.mhz, "mhz_basis": clock.basis.value, "milliseconds": 1e3 * seconds, "gops": gop / seconds,
        "energy_mj": [1e3 * joules for joules in energy], "watts": [joules / seconds for joules in energy],
        "gops_per_watt": [gop / joules for joules in reversed(energy)],
    }  # fmt: skip
