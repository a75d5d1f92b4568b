"""The interpreter where programs of the compiler do not reach: row instructions cut into parts, and their footprints."""

import numpy as np
import pytest

from golden.layernorm import width_reciprocal
from isa.bounds import Bounds, check_instruction
from isa.instruction import Destination, Illegal, Instruction, Memory, Opcode, operation
from isa.machine import Machine
from isa.memory import units_per_word
from program.verify.interpreter import execute
from tb.program.cases import any_config

CODES = (Memory.LEFT, Memory.RIGHT)


def machine(config, instructions, rng):
    """With random memories, no image, and the rows that ``instructions`` take in the row buffer."""
    found = Machine(config, {}, 0, [])
    for memory, content in found.memories.items():
        if memory is not None and memory is not Memory.CONSTANT:
            content[:] = rng.integers(0, 100, content.shape)
    tiles = sum(-(-i.rows // config.rows) for i in instructions if i.opcode is Opcode.NORM)
    found.row_buffer = list(rng.integers(-99, 99, (tiles, config.rows, config.row_columns)))
    return found


def norm(config, rows, groups, **fields):
    columns = groups * config.row_lanes - 1
    tile = groups * config.row_lanes // config.depth + 1
    tiles = -(-rows // min(config.rows, config.columns))
    places = {f"{side}_{name}": value for side in ("left", "right") for name, value in
              {"enable": 1, "base": 5, "plane": tiles * tile, "tile": tile}.items()}  # fmt: skip
    fields = {
        "rows": rows, "groups": groups, "columns": columns, "bits": 3, "epsilon": 1, "high": 7, "residual_base": 2,
        "width_reciprocal": width_reciprocal(columns), **places, **fields,
    }  # fmt: skip
    return Instruction(Opcode.NORM, fields)


def part_of(whole, first, rows, config):
    """The instruction that takes ``rows`` of the rows of ``whole``, from ``first`` on."""
    fields = {"first_row": first, "rows": rows, "residual_base": whole.residual_base + first * whole.groups}
    return Instruction(whole.opcode, whole.fields | fields)


@pytest.mark.parametrize("seed", range(12))
def test_rows_in_parts_are_the_rows_in_one(seed):
    rng = np.random.default_rng(seed)
    config = any_config(rng)
    rows, groups = int(rng.integers(1, 5 * config.rows)), int(rng.integers(2, config.row_columns // config.row_lanes))
    groups = min(groups, 1000 // rows)
    whole = norm(config, rows, groups)
    parts, first = [], 0
    while first < rows:
        size = min(rows - first, config.rows * int(rng.integers(1, 3)))
        parts.append(part_of(whole, first, size, config))
        first += size
    one, many = (machine(config, instructions, np.random.default_rng(seed)) for instructions in ([whole], parts))
    execute(one, 0, whole)
    touched = {memory: set() for memory in CODES}
    for index, part in enumerate(parts):
        before = {memory: many.memories[memory].copy() for memory in CODES}
        execute(many, index, part)
        for memory in CODES:
            (access,) = (access for access in operation(part.opcode).footprint(part, config) if access.memory is memory)
            changed = np.flatnonzero((many.memories[memory] != before[memory]).any(axis=(1, 2)))
            assert set(changed) <= set(access.units // units_per_word(config, memory))
            touched[memory] |= set(access.units)
    for memory in (*CODES, Memory.RESIDUAL):
        assert np.array_equal(one.memories[memory], many.memories[memory]), memory
    for access in operation(whole.opcode).footprint(whole, config):
        assert access.memory not in CODES or set(access.units) == touched[access.memory]


@pytest.mark.parametrize("seed", range(12))
def test_columns_at_the_beginning_of_a_word_clear_the_rest_of_it(seed):
    """Codes 0 to a memory full of ones: what becomes 0 is the footprint, the columns written are in it."""
    rng = np.random.default_rng(seed)
    config = any_config(rng)
    tiles, first = int(rng.integers(1, 10)), int(rng.integers(0, 10))
    fields = {
        "row_tiles": 1, "column_tiles": tiles, "columns": tiles * config.columns, "words": 1, "left_bits": 1,
        "right_bits": 1, "destination": Destination.LEFT, "destination_base": 3, "destination_bits": 1,
        "destination_column": first * config.columns,
    }  # fmt: skip
    instruction = Instruction(Opcode.QMM, fields)
    filled = machine(config, [instruction], rng)
    filled.memories[Memory.LEFT][:] = 255
    execute(filled, 0, instruction)
    left = filled.memories[Memory.LEFT]
    parts = np.unpackbits(left, axis=-1, bitorder="little").reshape(len(left), config.rows, -1, config.columns)
    assert ((parts == 0).all(axis=(1, 3)) | (parts == 1).all(axis=(1, 3))).all()
    cleared = set(np.flatnonzero((parts == 0).all(axis=(1, 3))))
    (access,) = (access for access in operation(instruction.opcode).footprint(instruction, config) if access.write)
    assert cleared == set(access.units)
    parts_of_word = units_per_word(config, Memory.LEFT)
    written = {3 * parts_of_word + unit for unit in range(first, first + tiles)}
    whole = {unit for unit in cleared if unit // parts_of_word * parts_of_word in written}
    assert cleared == written | whole


def test_a_row_beyond_the_numbers_of_rows_is_refused():
    config = any_config(np.random.default_rng(0))
    bounds = Bounds(config, {}, 1)
    check_instruction(norm(config, 3, 2), bounds)
    with pytest.raises(Illegal, match="writes row 65537, which is not 16 bit"):
        check_instruction(norm(config, 3, 2, first_row=65535, left_tile=0, right_tile=0), bounds)
    with pytest.raises(Illegal, match=r"writes word .* of the LEFT memory"):
        check_instruction(norm(config, 3, 2, first_row=60000, left_tile=100, right_tile=0), bounds)


def test_a_disabled_side_keeps_its_memory():
    rng = np.random.default_rng(1)
    config = any_config(rng)
    instruction = norm(config, 2, 2, left_enable=0)
    ready = machine(config, [instruction], rng)
    before = ready.memories[Memory.LEFT].copy()
    execute(ready, 0, instruction)
    assert np.array_equal(ready.memories[Memory.LEFT], before)
