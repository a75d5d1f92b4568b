"""`bittern sim`: a bundle's own test samples on the RTL, every tensor compared with the reference."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from formats import bundle as bundle_file
from formats.errors import UsageError
from formats.files import write_whole
from golden.encoder import encode
from golden.model import describe
from isa.config import preset
from program.compiler.compiler import compile_encoder
from program.verify.checker import check
from sim.compare import Comparison
from sim.progress import RunProgress
from sim.simulator import RtlSimulator, RunError
from sim.timeline import write_picture, write_trace

STALLS = (
    ("qmm_wait_semaphore", "QMM waits for other units"),
    ("qmm_wait_drain", "QMM waits for the drain"),
    ("qmm_idle", "QMM has no instruction"),
    ("drain_stall", "drain waits for its destination"),
    ("dma_wait_semaphore", "DMA waits for other units"),
    ("dma_wait_memory", "DMA waits for memory"),
    ("row_wait_semaphore", "row units wait for other units"),
    ("row_wait_buffer", "row units wait for rows"),
)


#: External memory of the simulation, unless the program needs more.
MEMORY_BYTES = 1 << 24


@dataclass(frozen=True)
class Options:
    """What `simulate` is asked for. ``flip`` (offset, bit) corrupts the RTL's copy of the image, to see it caught."""

    preset: str = "small"
    samples: int = 32
    latency: int = 40
    bandwidth: int = 256
    output: Path = Path("build/sim")
    flip: tuple[int, int] | None = None


def simulate(path, options, console=None):
    """Run samples of the bundle at ``path``; prints the report and writes it to ``options.output``.

    Returns
    -------
    dict
        The report; ``passed`` is whether every tensor of every sample was equal.
    """
    console = console or Console()
    name = Path(path).name.removesuffix(".bundle")
    bundle = bundle_file.load(path)
    available = len(bundle.samples.labels)
    if not 1 <= options.samples <= available:
        raise UsageError(f"bundle {path} has {available} samples, not {options.samples}; use --samples 1..{available}")
    config = preset(options.preset)
    program = compile_encoder(bundle.encoder, config)
    check(program)
    console.rule(f"[bold]{name}[/] on preset {options.preset}")
    console.print(_describe(bundle))
    image = bytearray(program.image)
    if options.flip is not None:
        if options.flip[0] >= len(image):
            raise UsageError(f"--flip must name a byte of the image, 0..{len(image) - 1}, not {options.flip[0]}")
        image[options.flip[0]] ^= 1 << options.flip[1]
    options.output.mkdir(parents=True, exist_ok=True)

    with console.status("building the simulation") as status:
        simulator = RtlSimulator(
            config, max(MEMORY_BYTES, 2 * len(image)), latency=options.latency, bandwidth=options.bandwidth,
            progress=lambda text: status.update(f"building the simulation: {text}"),
        )  # fmt: skip
    with simulator:
        simulator.load(program, bytes(image))
        results = _run_samples(bundle, simulator, options, console)
    report = _report(name, bundle, config, options, results)
    if results[0]["run"] is not None:
        title = f"{name} on preset {options.preset}: one inference, {results[0]['run'].cycles} cycles"
        write_picture(program, results[0]["run"].events, options.output / f"{name}.png", title)
        write_trace(program, results[0]["run"].events, options.output / f"{name}.trace.json")
    write_whole(options.output / f"{name}.json", json.dumps(report, indent=1, default=str))
    _print(console, bundle, results, report, options)
    return report


def _describe(bundle):
    config = bundle.encoder.config
    task = bundle.record.get("task", "unnamed task")
    return f"{task}: {describe(config)}, {config.tokens} tokens, {config.classes} classes"


def _run_samples(bundle, simulator, options, console):
    samples, results = bundle.samples, []
    with RunProgress(console, options.samples, "inferences") as progress:
        for index in range(options.samples):
            length = int(samples.lengths[index])
            expected = encode(bundle.encoder, samples.inputs[index], length)
            comparison = Comparison(simulator, expected)
            started, first_cycle, run, problem = time.process_time(), simulator.cycle, None, None
            progress.start_run(len(simulator.program.instructions) - 1)
            try:
                run = simulator.run(samples.inputs[index], length, comparison.completed, progress.watch)
            except RunError as error:
                problem = str(error)
            seconds = time.process_time() - started
            if run is not None:
                comparison.finished(run.logits)
                if comparison.first is None and run.counters["saturations"] != expected["saturated"]:
                    problem = f"{run.counters['saturations']} residual elements saturated, expected {expected['saturated']}"
            if comparison.first is not None:
                problem = str(comparison.first)
            results.append({
                "run": run, "problem": problem, "tensors": comparison.count, "seconds": seconds,
                "simulated": simulator.cycle - first_cycle, "label": int(samples.labels[index]),
                "predicted": None if run is None else _predict(run.logits),
            })  # fmt: skip
            progress.finish_run()
            if run is None:  # what the RTL holds after an error need not be worth comparing
                break
    return results


def _predict(logits):
    return int(logits.reshape(-1, logits.shape[-1])[0].argmax())


def _report(name, bundle, config, options, results):
    runs = [result["run"] for result in results if result["run"] is not None]
    problems = [(i, r["problem"]) for i, r in enumerate(results) if r["problem"]]
    counters = {key: sum(run.counters[key] for run in runs) for key in (runs[0].counters if runs else {})}
    cycles = sum(run.cycles for run in runs)
    return {
        "bundle": name, "preset": options.preset, "config": vars(config), "record": bundle.record,
        "samples": len(results),
        "correct": sum(r["predicted"] == r["label"] for r in results),
        "predictions": [[r["predicted"], r["label"]] for r in results],
        "tensors_compared": sum(r["tensors"] for r in results),
        "first_difference": f"sample {problems[0][0]}: {problems[0][1]}" if problems else None,
        "cycles_per_inference": cycles / len(runs) if runs else None,
        "engine_utilisation": counters["qmm_busy"] / cycles if cycles else None,
        "counters_per_inference": {key: value / len(runs) for key, value in counters.items()},
        "simulated_cycles_per_second": sum(r["simulated"] for r in results) / max(sum(r["seconds"] for r in results), 1e-9),
        "memory_latency_cycles": options.latency, "memory_beats_per_256_cycles": options.bandwidth,
        "passed": not problems and len(results) == options.samples,
    }  # fmt: skip


def _print(console, bundle, results, report, options):
    table = Table("sample", "predicted", "true", "", "cycles", box=None, pad_edge=False)
    for index, result in enumerate(results):
        predicted = "-" if result["predicted"] is None else bundle.labels[result["predicted"]]
        text = bundle.samples.texts[index][:60] if bundle.samples.texts else ""
        cycles = "-" if result["run"] is None else str(result["run"].cycles)
        table.add_row(str(index), predicted, bundle.labels[result["label"]], text, cycles)
    console.print(table)
    console.print(f"accuracy over {report['samples']} samples: {report['correct'] / report['samples']:.1%}")
    if report["passed"]:
        console.print(f"all {report['tensors_compared']} intermediate tensors equal")
    else:
        console.print(f"[red]first difference[/] {report['first_difference']}", soft_wrap=True)
    if report["cycles_per_inference"]:
        per = report["counters_per_inference"]
        console.print(f"cycles per inference: {report['cycles_per_inference']:.0f}")
        console.print(f"engine busy: {report['engine_utilisation']:.1%} of cycles")
        stalls = Table("stall", "cycles per inference", box=None, pad_edge=False)
        for key, text in STALLS:
            stalls.add_row(text, f"{per[key]:.0f}")
        console.print(stalls)
        console.print(f"residual elements saturated per inference: {per['saturations']:.1f}")
        console.print(f"simulated cycles per CPU second, comparison included: {report['simulated_cycles_per_second']:.0f}")
    console.print(f"timeline: {options.output / report['bundle']}.png and .trace.json (ui.perfetto.dev)", soft_wrap=True)


__all__ = ["Options", "simulate"]
