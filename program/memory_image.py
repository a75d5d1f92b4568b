"""What crosses the border of a transport: inputs packed, outputs and tensors unpacked."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.codes import from_planes, unpack_words
from golden.model import Head, Input
from isa.instruction import Memory
from isa.layout import pack_operand
from program.program import Program


def pack_input(program: Program, inputs: NDArray[np.integer], length: int) -> bytes:
    """What region INPUT holds of one sample.

    Parameters
    ----------
    program : program.program.Program
    inputs : int array
        Token ids (tokens,), or patch codes (tokens, input_size).
    length : int, 1..tokens
        Only checked: it travels in a register.

    Raises
    ------
    ValueError
        For another shape, a length, token id or code out of range.
    """
    layout, inputs = program.input, np.asarray(inputs, np.int64)
    tokens = layout.input is Input.TOKENS
    expected = (layout.tokens,) if tokens else (layout.tokens, layout.size)
    if inputs.shape != expected:
        raise ValueError(f"this program takes inputs of shape {expected}, not {inputs.shape}")
    if not 1 <= length <= layout.tokens:
        raise ValueError(f"the length must be in 1..{layout.tokens}, not {length}")
    low, high = (0, layout.size - 1) if tokens else layout.format.range
    if not low <= inputs.min() <= inputs.max() <= high:
        wrong = inputs[(inputs < low) | (inputs > high)][0]
        raise ValueError(f"{'token ids' if tokens else 'patch codes'} must be in {low}..{high}, not {wrong}")
    if tokens:
        return inputs.astype("<u4").tobytes().ljust(layout.bytes, b"\0")
    return pack_operand(inputs, layout.format.bits, program.config.rows, program.config.depth)


def pack_batch(program: Program, inputs: Sequence[NDArray[np.integer]], lengths: Sequence[int]) -> bytes:
    """Content of region INPUT for samples and their lengths, as many as a run computes or fewer. Raises ValueError for more,
    and as `pack_input`."""
    if not 1 <= len(inputs) <= program.batch:
        raise ValueError(f"a run of this program takes 1..{program.batch} inputs, not {len(inputs)}; compile a larger batch")
    packed = [pack_input(program, sample, length) for sample, length in zip(inputs, lengths, strict=True)]
    return b"".join(packed).ljust(program.input_bytes, b"\0")


def unpack_output(
    program: Program, data: bytes | bytearray | memoryview, length: int, sample: int = 0
) -> NDArray[np.int64]:
    """Logits of a sample from the content of region OUTPUT: (classes,) int64, or (tokens, classes) for a per-token head, 0
    from token ``length`` on."""
    layout = program.output
    stored = np.frombuffer(data, "<i2", layout.bytes // 2, sample * layout.bytes)
    rows = stored.reshape(layout.rows, -1)[:, : layout.columns]
    logits = rows.astype(np.int64)
    logits[length:] = 0
    return logits if layout.head is Head.TOKEN else logits[0]


def unpack_symbol(
    program: Program, name: str, memories: Mapping[Memory | None, Any], lengths: Sequence[int]
) -> NDArray[np.int64]:
    """A tensor as `golden.encoder.encode` has it, int64.

    Parameters
    ----------
    program : program.program.Program
    name : str
        A key of ``program.symbols``.
    memories : mapping of Memory to array
        As they are when the instruction ``program.symbols[name].ready`` has completed: LEFT (words, R, K/8) and
        RIGHT (words, C, K/8) uint8, RESIDUAL (words, L) int16. None maps to the bytes of region OUTPUT.
    lengths : sequence of int
        Of the samples: of padding there is no row. That of the symbol's is at least 1.
    """
    length = lengths[program.symbols[name].sample]
    symbol = program.symbols[name].at(length)
    if symbol.memory is None:
        return unpack_output(program, memories[None], length, symbol.sample)
    memory = memories[symbol.memory]
    if symbol.memory is Memory.RESIDUAL:
        words = symbol.base + np.arange(symbol.rows)[:, None] * symbol.tile + np.arange(symbol.tile)
        return memory[words].reshape(symbol.rows, -1)[:, : symbol.columns].astype(np.int64)
    rows, depth = symbol.row_positions(), symbol.column_positions()
    if symbol.transposed:
        rows, depth = depth, rows
    assert symbol.format is not None, "operand memories hold codes"
    banks, bits = memory.shape[1], symbol.format.bits
    words = -(-(depth[-1] + 1) // program.config.depth)
    address = (
        symbol.base
        + np.arange(bits)[:, None, None] * symbol.plane
        + (rows // banks)[:, None] * symbol.tile
        + np.arange(words)
    )
    stored = unpack_words(memory[address, (rows % banks)[:, None]], words * program.config.depth)
    codes = from_planes(stored[..., depth], symbol.format.kind)
    return codes.T if symbol.transposed else codes
