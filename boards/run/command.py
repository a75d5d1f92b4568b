"""`bittern run`: images or texts through the accelerator, on whatever is there; predictions with probabilities."""

import argparse
import contextlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from boards.run.images import read_images
from boards.run.tokenizer import encode_texts
from driver.accelerator import Accelerator
from driver.transport import Transport
from formats import bundle as bundle_file
from formats.errors import UsageError
from golden.model import Encoder, Head, Input
from golden.patches import to_patches
from isa.options import chosen_accelerator
from program.compiler.compiler import compile_encoder
from program.placement import Placement
from program.program import Program

SERIAL = re.compile(r"/dev/(tty|cu|serial|pts/).*")


def prepare(bundle: bundle_file.Bundle, items: Sequence[str]) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    """Model inputs from pictures or texts.

    Parameters
    ----------
    bundle : formats.bundle.Bundle
    items : sequence of str
        Paths of pictures, or texts.

    Returns
    -------
    names : list of str
    inputs, lengths
        As `driver.accelerator.Accelerator.run` takes several.

    Raises
    ------
    UsageError
        For what cannot be read, or a bundle that does not say how.
    """
    rules, config = bundle.preprocessing, bundle.encoder.config
    if rules is None:
        missing = "no tokenizer" if config.input is Input.TOKENS else "no rule how images become patches"
        raise UsageError(f"the bundle has {missing}; export it again, or use the driver with the model's own inputs")
    if config.input is Input.TOKENS:
        return list(items), *encode_texts(rules.tokenizer, items, rules.limit(config.tokens), config.tokens)
    names, images = [], []
    for path in items:
        found = read_images(path, rules.image)
        names += [path] if len(found) == 1 else [f"{path}[{index}]" for index in range(len(found))]
        images.append(found)
    cuts = rules.patch, rules.stride, rules.class_tokens
    inputs = to_patches(np.concatenate(images), *cuts).astype(np.int64)
    return names, inputs, np.full(len(inputs), config.tokens)


def probabilities(encoder: Encoder, logits: NDArray[np.int64]) -> NDArray[np.float64]:
    """Softmax of logits in residual units: (samples, classes) float64, or (samples, tokens, classes)."""
    scaled = logits / 2.0**encoder.config.residual_fraction
    powers = np.exp(scaled - scaled.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def open_transport(where: str, program: Program, baud: int | None = None) -> Transport:
    """The transport that ``--on`` names: golden, rtl, a UIO device, or a serial line of ``baud`` or the usual rate."""
    needed = Placement.of(program).bytes
    if where == "golden":
        from driver.golden import GoldenTransport

        return GoldenTransport(program.config, needed)
    if where == "rtl":
        from sim.simulation import Simulation

        return Simulation(program.config, needed)
    if SERIAL.fullmatch(where):
        from boards.serial.transport import SerialTransport

        return SerialTransport(where) if baud is None else SerialTransport(where, baud)
    if Path(where).name.startswith("uio"):
        from boards.linux import open_uio

        buffers = sorted(Path("/dev").glob("udmabuf*"))
        return open_uio(where, buffer=str(buffers[0]) if buffers else None)
    raise UsageError(f"--on takes golden, rtl, /dev/uioN or a serial line such as /dev/ttyUSB0, not {where!r}")


def run(options: argparse.Namespace) -> int:
    """The command: prints a line for each image or text; returns the exit status."""
    config = chosen_accelerator(options).config
    bundle = bundle_file.load(options.bundle)
    names, inputs, lengths = prepare(bundle, options.items)
    program = compile_encoder(bundle.encoder, config, options.batch)
    with contextlib.ExitStack() as stack:
        transport = open_transport(options.on, program, options.baud)
        accelerator = stack.enter_context(Accelerator(transport, timeout=options.timeout))
        accelerator.load(program)
        logits = accelerator.run(inputs, lengths)
        counters = accelerator.counters()
    chances = probabilities(bundle.encoder, logits)
    for name, chance, length in zip(names, chances, lengths):
        rows = chance[:length] if bundle.encoder.config.head is Head.TOKEN else [chance]
        for row in rows:
            best = np.argsort(-row, kind="stable")[: options.top]
            print(f"{name}: " + ", ".join(f"{bundle.labels[i]} {row[i]:.1%}" for i in best))
    if "cycles" in counters:
        print(f"{counters['cycles']} cycles for the last {'inference' if program.batch == 1 else 'batch'}")
    return 0
