"""The compiler: a quantized encoder and a configuration to a program."""

from golden.check import check_encoder
from golden.model import Encoder
from isa.config import AcceleratorConfig
from isa.instruction import SAMPLES
from isa.instruction import encode as encode_instruction
from program.compiler.allocate import DoesNotFit, allocate, refusal
from program.compiler.lowering import Lowering
from program.compiler.schedule import emit, order, resolve, thresholds
from program.program import CompileError, Program, Symbol


def compile_encoder(encoder: Encoder, config: AcceleratorConfig, batch: int = 1) -> Program:
    """Compile ``encoder`` for an accelerator.

    Parameters
    ----------
    encoder : golden.model.Encoder
    config : isa.config.AcceleratorConfig
    batch : int, 1..SAMPLES
        Samples that a run computes, for all of which weights are read once.

    Returns
    -------
    program.program.Program

    Raises
    ------
    CompileError
        If it does not fit: the tensor, the value and what to raise, in one sentence.
    ValueError
        If the encoder is not well formed.
    """
    check_encoder(encoder)
    if not 1 <= batch <= SAMPLES:
        raise CompileError(f"a batch has 1 to {SAMPLES} samples, not {batch}; run several batches one after the other")
    try:
        lowering, issued = _lowered(encoder, config, batch)
    except DoesNotFit as failure:
        raise refusal(failure, config, _largest_batch(encoder, config, batch - 1)) from None
    steps = order(lowering.builder.ops, issued)
    instructions = emit(steps, thresholds(steps, config))
    image = lowering.builder.image
    offset = image.add("program", b"".join(map(encode_instruction, instructions)))
    return Program(
        config=config,
        batch=batch,
        instructions=tuple(instructions),
        names=tuple(step.name for step in steps),
        image=bytes(image.data),
        program_offset=offset,
        input=lowering.input,
        output=lowering.output,
        symbols=_symbols(lowering.builder.symbols, steps),
        pieces=tuple(image.pieces),
    )


def _lowered(encoder, config, batch):
    """The lowering with all buffers placed, weights in as few parts as it takes, and the loads issued before each operation.
    Raises DoesNotFit."""
    splits = {}
    while True:
        lowering = Lowering(encoder, config, splits, batch)
        try:
            return lowering, allocate(lowering.builder.ops, config)
        except DoesNotFit as failure:
            split = failure.op.split
            if split is None or split.tiles <= 1 or not failure.buffer.fetches:
                raise
            splits[split.name] = 2 * splits.get(split.name, 1)


def _largest_batch(encoder, config, most):
    """The largest batch up to ``most`` that fits, 0 for none."""
    for batch in range(most, 0, -1):
        try:
            _lowered(encoder, config, batch)
        except DoesNotFit:
            continue
        return batch
    return 0


def _symbols(symbols, steps):
    """Symbols with addresses and instruction indices, in the order in which they are ready."""
    index = {id(step): i for i, step in enumerate(steps)}
    placed = {}
    for name, (writers, fields) in symbols.items():
        numbers = fields | {"base": resolve(fields["base"])}
        placed[name] = Symbol(**numbers, writers=tuple(index[id(step)] for step in writers))
    return dict(sorted(placed.items(), key=lambda item: item[1].ready))


__all__ = ["CompileError", "compile_encoder"]
