"""The cycle model against the RTL: random encoders on random configurations, with several memories.

`bittern bench cycles` runs all pairs, most of an hour on two cores, and writes codesign/cycles/cycles.csv and the table in
docs/cycles.md; `bittern bench cycles 3 17` runs these two and prints them. What ran is kept in build/cycles: after an
interruption the same command does the rest.
"""

import argparse
import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from codesign import rtl
from codesign.cycles.model import predict
from formats.errors import UsageError
from formats.files import ROOT, whole, write_whole
from golden.codes import Kind
from golden.model import Attention, Encoder, Format, Head, Input, Order
from isa.config import AcceleratorConfig
from isa.instruction import encode
from isa.memory_timing import MemoryTiming
from program.compiler.compiler import CompileError, compile_encoder
from program.program import Program
from tb.models import BINARY, TERNARY, random_encoder, random_inputs

DATA = ROOT / "codesign" / "cycles" / "cycles.csv"
DOCUMENT = ROOT / "docs" / "cycles.md"
KEPT = ROOT / "build" / "cycles"
MARK = "<!-- written by bittern bench cycles -->"
SHAPES = (  # R, C, K, D, L, A, instructions in the DMA queue; small ones, since each is built
    (4, 4, 16, 8, 4, 64, 8),
    (4, 8, 16, 16, 8, 64, 8),
    (8, 4, 16, 8, 8, 64, 4),
    (2, 8, 32, 16, 8, 64, 8),
    (4, 4, 32, 4, 4, 64, 16),
    (8, 8, 8, 8, 4, 64, 8),
    (16, 4, 16, 16, 4, 64, 8),
    (4, 16, 16, 32, 8, 64, 8),
    (4, 8, 32, 32, 16, 128, 16),
    (2, 16, 32, 16, 16, 64, 4),
    (8, 8, 16, 32, 8, 128, 8),
)
PORT_SHAPES = (  # the same with the number of ports after A
    (4, 4, 16, 8, 4, 64, 2, 8),
    (4, 8, 32, 32, 8, 128, 4, 16),
)
#: The first are on `SHAPES`, those up to `ALONE` on `PORT_SHAPES`; the others on `SHAPES` again, for several samples.
SINGLE, ALONE, PAIRS = 56, 72, 88
BATCHES = (2, 3, 4, 8)
MEMORIES = (
    MemoryTiming(), MemoryTiming(), MemoryTiming(1), MemoryTiming(100), MemoryTiming(250), MemoryTiming(40, 128),
    MemoryTiming(100, 64), MemoryTiming(20, 200),
)  # fmt: skip
WEIGHTS = (BINARY, BINARY, TERNARY)
CODES = (BINARY, Format(Kind.UNSIGNED, 1), Format(Kind.SIGNED, 2), Format(Kind.UNSIGNED, 2), Format(Kind.SIGNED, 4))


class Pair(NamedTuple):
    """An encoder, a configuration and the times of external memory."""

    number: int
    config: AcceleratorConfig
    encoder: Encoder
    program: Program
    timing: MemoryTiming


def config_of(number: int) -> AcceleratorConfig:
    """The configuration of a pair."""
    if number < SINGLE or number >= ALONE:
        *sizes, dma_queue = SHAPES[number % len(SHAPES)]
        ports = 1
    else:
        *sizes, ports, dma_queue = PORT_SHAPES[number % len(PORT_SHAPES)]
    rows, columns, depth, drain, lanes, axi_bits = sizes
    return AcceleratorConfig(
        rows=rows, columns=columns, depth=depth, drain=drain, row_lanes=lanes, axi_bits=axi_bits, left_depth=4096,
        right_depth=4096, constant_depth=1024, norm_depth=256, residual_depth=4096, row_columns=128, dma_queue=dma_queue,
        ports=ports,
    )  # fmt: skip


def pair(number: int) -> Pair:
    """A pair by its number, always the same; encoders that do not fit are drawn again."""
    rng = np.random.default_rng([number, 20])
    config = config_of(number)
    while True:
        encoder = _encoder(rng)
        try:
            program = compile_encoder(encoder, config, _batch(number))
        except CompileError:
            continue
        return Pair(number, config, encoder, program, _memory(rng, config))


def _memory(rng, config):
    """One of `MEMORIES`; behind several ports, every second time a DDR of a rate about theirs, which refreshes."""
    timing = MEMORIES[rng.integers(len(MEMORIES))]
    if config.ports > 1 and rng.integers(2):
        share = (0.75, 1.05)[rng.integers(2)]
        ceiling = int(config.axi_bits // 8 * 256 * share)
        return replace(timing, outstanding=8, ceiling=ceiling, burst=384, refresh_every=1560, refresh=70)
    return timing


def _batch(number):
    return 1 if number < ALONE else BATCHES[number % len(BATCHES)]


def _encoder(rng):
    def one(choices):
        return choices[rng.integers(len(choices))]

    codes, inner = one(CODES), one(CODES)
    attention = one((Attention.SOFTMAX, Attention.SOFTMAX, Attention.THRESHOLD))
    bits = int(one((1, 1, 2, 4))) if attention is Attention.SOFTMAX else 1
    return random_encoder(
        rng, layers=int(rng.integers(1, 4)), width=int(rng.integers(4, 16)) * 8, heads=int(rng.integers(1, 5)),
        head_width=int(rng.integers(2, 9)) * 4, feed_forward=int(rng.integers(4, 40)) * 8, tokens=int(rng.integers(4, 49)),
        input_size=int(rng.integers(16, 64)), input=one(tuple(Input)), order=one(tuple(Order)),
        attention=attention, head=one(tuple(Head)), patch=Format(Kind.UNSIGNED, int(one((1, 2, 8)))),
        weight=one(WEIGHTS), codes=codes, query=inner, key=inner, value=inner, context=inner,
        probability=Format(Kind.UNSIGNED, bits), hidden=Format(Kind.UNSIGNED, int(one((1, 1, 2, 4)))),
    )  # fmt: skip


def fingerprint(program: Program) -> str:
    """Tells programs apart."""
    return sha256(b"".join(map(encode, program.instructions))).hexdigest()[:12]


def measure(number: int) -> dict[str, Any]:
    """A row of the table: RTL and model, cycles and error."""
    chosen = pair(number)
    simulated = _simulated(chosen)
    model = predict(chosen.program, chosen.timing).cycles
    c, e, t = chosen.config, chosen.encoder.config, chosen.timing
    return {
        "pair": number, "R": c.rows, "C": c.columns, "K": c.depth, "D": c.drain, "L": c.row_lanes, "A": c.axi_bits,
        "ports": c.ports, "layers": e.layers, "width": e.width, "heads": e.heads, "tokens": e.tokens,
        "latency": t.latency, "bandwidth": t.bandwidth, "DDR bytes/cycle": f"{t.ceiling / 256:g}" if t.ceiling else "-",
        "batch": chosen.program.batch, "instructions": len(chosen.program.instructions),
        "rtl": simulated, "model": model,
        "error_percent": f"{100 * (model - simulated) / simulated:.2f}", "program": fingerprint(chosen.program),
    }  # fmt: skip


def _simulated(chosen):
    """Cycles of a pair in the RTL, of this run or of an earlier one of the same RTL and program."""
    kept = KEPT / f"{rtl.fingerprint()}-{chosen.number}-{fingerprint(chosen.program)}"
    if not kept.exists():
        write_whole(kept, str(simulate(chosen)))
    return int(kept.read_text())


def simulate(chosen: Pair) -> int:
    """Cycles of a pair in the RTL."""
    from sim.inference import simulated_accelerator

    rng, batch = np.random.default_rng(chosen.number), chosen.program.batch
    inputs = np.stack([random_inputs(rng, chosen.encoder)[0][0] for _ in range(batch)])
    with simulated_accelerator(chosen.program, chosen.timing) as accelerator:
        accelerator.load(chosen.program)
        accelerator.run(inputs)
        return accelerator.counters()["cycles"]


def run(options: argparse.Namespace) -> int:
    """The command: measures `PAIRS` pairs and writes table and page, or prints those asked for; returns the exit status.

    Raises UsageError for a pair that is none.
    """
    numbers, rows = options.pairs, []
    for number in numbers:
        if not 0 <= number < PAIRS:
            raise UsageError(f"a pair is a number in 0..{PAIRS - 1}, not {number}")
    # One build after the other.
    order = numbers or sorted(range(PAIRS), key=lambda number: (str(config_of(number)), number))
    for number in order:
        rows.append(measure(number))
        print(*(f"{key} {value}" for key, value in rows[-1].items()), sep="  ", flush=True)
    if numbers:
        return 0
    rows.sort(key=lambda row: row["pair"])
    DATA.parent.mkdir(exist_ok=True)
    with whole(DATA) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    before, mark, _ = DOCUMENT.read_text().partition(MARK)
    write_whole(DOCUMENT, before + mark + table(rows))
    return 0


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as Markdown, after a line that sums them up."""
    errors = [abs(float(row["error_percent"])) for row in rows]
    columns = [name for name in rows[0] if name != "program"]
    lines = [
        f"\n\n{len(rows)} pairs: error at most {max(errors):.2f} %, median {median(errors):.2f} %, "
        f"{sum(error == 0 for error in errors)} exact to 0.01 %.\n",
        "| " + " | ".join(name.replace("_percent", " %") for name in columns) + " |",
        "|" + "---:|" * len(columns),
        *("| " + " | ".join(str(row[name]) for name in columns) + " |" for row in rows),
    ]
    return "\n".join(lines) + "\n"
