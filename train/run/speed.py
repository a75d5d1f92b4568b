"""`bittern speed`: how much longer a step of a quantized model takes than one in full precision."""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Sequence

import torch
from rich.console import Console
from rich.table import Table
from torch.nn import functional

from formats.files import write_whole
from golden.model import Attention, EncoderConfig, Head, Input, Order
from train.errors import TrainError
from train.model.bmt import BmtEncoder
from train.model.precision import FULL, Weights, WeightScheme, precision
from train.run.captured import Captured
from train.run.distributed import join

#: Layers, width, heads, feed-forward size, tokens, batch.
SHAPES = {
    "small ViT": (3, 128, 4, 256, 16, 128),
    "ViT of 36 patches": (4, 192, 4, 384, 36, 64),
    "MiniLM-L6 at 64 tokens": (6, 384, 12, 1536, 64, 16),
}
#: Name, weights and activation bits of what is compared with full precision.
SCHEMES = (
    ("W1A8", WeightScheme(), 8),
    ("W1A4", WeightScheme(), 4),
    ("W1A1", WeightScheme(), 1),
    ("W1A1, a scale per channel", WeightScheme(per_channel=True), 1),
    ("ternary, weighted, A1", WeightScheme(Weights.TERNARY, per_channel=True, weighted=True), 1),
    ("split, trained scales, A1", WeightScheme(Weights.SPLIT, per_channel=True, trained_scale=True), 1),
)
INPUT, CLASSES = 64, 10
#: First steps of each model, which calibrate, and on a GPU record.
SETTING_UP = 3


def step_times(
    models: Sequence[BmtEncoder],
    inputs: torch.Tensor,
    lengths: torch.Tensor,
    labels: torch.Tensor,
    rounds: int,
    played: bool,
) -> list[list[float]]:
    """Seconds of a step (forward, backward, optimiser) of each model in each round, the models taking turns."""
    optimizers = [torch.optim.AdamW(model.parameters(), lr=1e-4, fused=inputs.is_cuda) for model in models]
    computed = [_gradients_of(model, played) for model in models]
    times: list[list[float]] = [[] for _ in models]
    for number in range(rounds + SETTING_UP):
        for model, compute, optimizer, mine in zip(models, computed, optimizers, times, strict=True):
            model.train()
            start = time.perf_counter()
            optimizer.zero_grad(set_to_none=True)
            compute(inputs, lengths, labels)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            if inputs.is_cuda:
                torch.cuda.synchronize()
            if number >= SETTING_UP:
                mine.append(time.perf_counter() - start)
    return times


def _gradients_of(model, played):
    """A function that leaves the gradients of a batch, and gives its loss."""

    def compute(inputs, lengths, labels):
        loss = functional.cross_entropy(model(inputs, lengths)[0], labels)
        loss.backward()
        return loss.detach()

    return Captured(compute, list(model.parameters())) if played else compute


def measure(
    shape: tuple[int, int, int, int, int, int], device: torch.device, rounds: int, played: bool
) -> tuple[float, dict[str, float]]:
    """Median seconds of a step in full precision, and of each scheme the median of its ratio to that in the same round."""
    layers, width, heads, feed_forward, tokens, batch = shape
    config = EncoderConfig(
        layers=layers, width=width, heads=heads, head_width=width // heads, feed_forward=feed_forward, tokens=tokens,
        classes=CLASSES, input=Input.PATCHES, order=Order.POST, attention=Attention.SOFTMAX, head=Head.MEAN,
        input_size=INPUT, residual_fraction=10,
    )  # fmt: skip
    torch.manual_seed(0)
    formats = [precision(FULL), *(precision(bits, scheme) for _, scheme, bits in SCHEMES)]
    models = [BmtEncoder(config, one).to(device) for one in formats]
    inputs = torch.randint(0, 256, (batch, tokens, INPUT), device=device)
    lengths = torch.full((batch,), tokens, device=device)
    labels = torch.randint(0, CLASSES, (batch,), device=device)
    full, *others = step_times(models, inputs, lengths, labels, rounds, played)
    ratios = [statistics.median(a / b for a, b in zip(mine, full, strict=True)) for mine in others]
    return statistics.median(full), dict(zip((name for name, _, _ in SCHEMES), ratios, strict=True))


def run(options: argparse.Namespace) -> int:
    """The command: prints the table and writes it as JSON; returns the exit status. Raises TrainError."""
    names = options.shape or list(SHAPES)
    for name in names:
        if name not in SHAPES:
            raise TrainError(f"there is no shape {name!r}; choose one of {', '.join(SHAPES)}")
    if options.threads:
        torch.set_num_threads(options.threads)
    device = join(options.device).device
    played = device.type == "cuda" and not options.launched
    results = {}
    table = Table("model", "full precision, ms", *(name for name, _, _ in SCHEMES), title="steps; full precision is 1")
    for name in names:
        seconds, ratios = measure(SHAPES[name], device, options.rounds, played)
        results[name] = {"shape": SHAPES[name], "full_precision_seconds": seconds, "ratios": ratios}
        table.add_row(name, f"{1000 * seconds:.1f}", *(f"{ratio:.2f}" for ratio in ratios.values()))
    Console(width=160).print(table)
    processor = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    machine = {"device": str(device), "processor": processor, "torch": torch.__version__,
               "threads": torch.get_num_threads(), "played": played}  # fmt: skip
    found = {"machine": machine, "rounds": options.rounds, "results": results}
    write_whole(options.output, json.dumps(found, indent=1) + "\n")
    return 0
