"""`bittern sim`: a bundle's own test samples on the RTL, every tensor compared with the reference."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from formats import bundle as bundle_file
from formats.errors import UsageError
from formats.files import write_whole
from golden.encoder import encode
from golden.model import describe
from isa.config import AcceleratorConfig
from isa.memory_timing import PLAIN_MEMORY, NamedTiming, described
from isa.presets import PRESETS
from program.compiler.compiler import compile_encoder
from program.verify.checker import check
from sim.inference import compared, simulated_accelerator
from sim.progress import RunProgress
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


@dataclass(frozen=True)
class Options:
    """What `simulate` is asked for.

    ``preset`` is what ``config`` is called, ``batch`` the samples that a run computes; ``memory`` is external; ``flip``
    (offset, bit) corrupts the RTL's copy of the image, to see it caught.
    """

    preset: str = "small"
    config: AcceleratorConfig = PRESETS["small"]
    samples: int = 32
    batch: int = 1
    memory: NamedTiming = PLAIN_MEMORY
    output: Path = Path("build/sim")
    flip: tuple[int, int] | None = None


def simulate(path: Path | str, options: Options, console: Console | None = None) -> dict[str, Any]:
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
    config = options.config
    program = compile_encoder(bundle.encoder, config, options.batch)
    check(program)
    console.rule(f"[bold]{name}[/] on preset {options.preset}{_in_batches(options)}")
    console.print(_describe(bundle))
    loaded = program if options.flip is None else _flipped(program, *options.flip)
    options.output.mkdir(parents=True, exist_ok=True)

    with console.status("building the simulation") as status:
        accelerator = simulated_accelerator(
            program, options.memory.timing,
            progress=lambda text: status.update(f"building the simulation: {text}"),
        )  # fmt: skip
    with accelerator:
        accelerator.load(loaded)
        runs = _run_samples(bundle, accelerator, program, options.samples, console)
    report = _report(name, bundle, config, options, runs)
    if runs[0].logits is not None:
        what = "one inference" if options.batch == 1 else f"a batch of {options.batch}"
        title = f"{name} on preset {options.preset}: {what}, {runs[0].cycles} cycles"
        write_picture(program, runs[0].events, options.output / f"{name}.png", title)
        write_trace(program, runs[0].events, options.output / f"{name}.trace.json")
    write_whole(options.output / f"{name}.json", json.dumps(report, indent=1, default=str))
    _print(console, bundle, runs, report, options)
    return report


def _in_batches(options):
    return "" if options.batch == 1 else f", batch {options.batch}"


def _describe(bundle):
    config = bundle.encoder.config
    task = bundle.record.get("task", "unnamed task")
    return f"{task}: {describe(config)}, {config.tokens} tokens, {config.classes} classes"


def _flipped(program, offset, bit):
    """``program`` with a bit of its image inverted."""
    image = bytearray(program.image)
    if offset >= len(image):
        raise UsageError(f"--flip must name a byte of the image, 0..{len(image) - 1}, not {offset}")
    image[offset] ^= 1 << bit
    return replace(program, image=bytes(image))


def _run_samples(bundle, accelerator, program, count, console):
    """A `sim.inference.Inference` of each batch of the first samples; the last one may be an error's."""
    samples, runs = bundle.samples, []
    firsts = range(0, count, program.batch)
    with RunProgress(console, len(firsts), "runs") as progress:
        for first in firsts:
            chosen = slice(first, min(first + program.batch, count))
            inputs, lengths = samples.inputs[chosen], samples.lengths[chosen].tolist()
            expected = [encode(bundle.encoder, sample, length) for sample, length in zip(inputs, lengths)]
            runs.append(compared(accelerator, program, inputs, lengths, expected, progress))
            if runs[-1].logits is None:  # what the RTL holds after an error need not be worth comparing
                break
    return runs


def _predictions(runs):
    """``(class, cycles of its run)`` of each sample, the class being that of the first token or of the sample."""
    return [
        (int(logits.reshape(-1, logits.shape[-1])[0].argmax()), run.cycles)
        for run in runs
        if run.logits is not None
        for logits in run.logits
    ]


def _report(name, bundle, config, options, runs):
    whole = [run for run in runs if run.logits is not None]
    problems = [(index * options.batch, run.problem) for index, run in enumerate(runs) if run.problem]
    counters = {key: sum(run.counters[key] for run in whole) for key in (whole[0].counters if whole else {})}
    cycles = sum(run.cycles for run in whole)
    predictions = [[predicted, int(label)] for (predicted, _), label in zip(_predictions(runs), bundle.samples.labels)]
    samples = len(predictions)
    first = None
    if problems:
        index, problem = problems[0]
        first = f"{'sample' if options.batch == 1 else 'batch from sample'} {index}: {problem}"
    return {
        "bundle": name, "preset": options.preset, "config": vars(config), "record": bundle.record,
        "batch": options.batch, "samples": samples,
        "correct": sum(predicted == label for predicted, label in predictions),
        "predictions": predictions,
        "tensors_compared": sum(run.tensors for run in runs),
        "first_difference": first,
        "cycles_per_inference": cycles / samples if samples else None,
        "engine_utilisation": counters["qmm_busy"] / cycles if cycles else None,
        "counters_per_inference": {key: value / samples for key, value in counters.items()},
        "simulated_cycles_per_second": sum(run.simulated for run in runs) / max(sum(run.seconds for run in runs), 1e-9),
        "memory": options.memory.name, "memory_timing": asdict(options.memory.timing), "memory_ports": config.ports,
        "memory_port_bits": config.port_bits,
        "memory_bytes_per_cycle": options.memory.timing.bytes_per_cycle(config.axi_bits),
        "passed": not problems and samples == options.samples,
    }  # fmt: skip


def _print(console, bundle, runs, report, options):
    table = Table("sample", "predicted", "true", "", "cycles of its run", box=None, pad_edge=False)
    for index, ((predicted, cycles), label) in enumerate(zip(_predictions(runs), bundle.samples.labels)):
        text = bundle.samples.texts[index][:60] if bundle.samples.texts else ""
        table.add_row(str(index), bundle.labels[predicted], bundle.labels[int(label)], text, str(cycles))
    console.print(table)
    if report["samples"]:
        console.print(f"accuracy over {report['samples']} samples: {report['correct'] / report['samples']:.1%}")
    if report["passed"]:
        console.print(f"all {report['tensors_compared']} intermediate tensors equal")
    else:
        console.print(f"[red]first difference[/] {report['first_difference']}", soft_wrap=True)
    if report["cycles_per_inference"]:
        per = report["counters_per_inference"]
        console.print(f"cycles per inference: {report['cycles_per_inference']:.0f}")
        memory = options.memory
        way = f"{described(options.config, memory.timing)} at most, latency {memory.timing.latency} cycles"
        console.print(f"external memory: {memory.name}, {way}", soft_wrap=True)
        console.print(f"engine busy: {report['engine_utilisation']:.1%} of cycles")
        stalls = Table("stall", "cycles per inference", box=None, pad_edge=False)
        for key, text in STALLS:
            stalls.add_row(text, f"{per[key]:.0f}")
        console.print(stalls)
        console.print(f"residual elements saturated per inference: {per['saturations']:.1f}")
        console.print(f"simulated cycles per CPU second, comparison included: {report['simulated_cycles_per_second']:.0f}")
    console.print(f"timeline: {options.output / report['bundle']}.png and .trace.json (ui.perfetto.dev)", soft_wrap=True)


__all__ = ["Options", "simulate"]
