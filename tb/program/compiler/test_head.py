"""The head as the program shows it: which rows are classified, tables for every length, where the logits lie."""

from dataclasses import replace

import numpy as np
import pytest

from golden.codes import Kind
from golden.encoder import encode
from golden.model import Format, Head, Input
from golden.rescale import fold_rounding
from isa.instruction import Memory, Opcode, Region
from isa.memory import word_bits
from isa.presets import preset
from program.compiler.compiler import compile_encoder
from program.memory_image import pack_input
from program.program import CompileError
from program.verify.interpreter import run
from tb.models import BINARY, random_encoder, random_inputs
from tb.program.cases import any_config, compiled

TOKENS = 7


def encoder_of(head, **changes):
    return random_encoder(np.random.default_rng(6), **{"tokens": TOKENS, "width": 22, "classes": 5, "head": head} | changes)


def behind(program, opcode, name):
    """The instructions of an opcode whose name begins with ``name``, in order."""
    return [i for i, title in zip(program.instructions, program.names) if i.opcode is opcode and title.startswith(name)]


def entries(program, load, length):
    """What a LOAD brings for a length: (words, bytes of a word)."""
    size = load.beats * program.config.axi_bits // 8
    start = load.offset + (length << load.index_shift if load.index_shift else 0)
    words = np.frombuffer(program.image[start : start + size], np.uint8)
    return words.reshape(-1, word_bits(program.config, Memory(load.memory)) // 8)


@pytest.mark.parametrize(("head", "rows"), [(Head.CLS, 1), (Head.MEAN, 1), (Head.TOKEN, TOKENS)])
@pytest.mark.parametrize("pooler", [False, True])
def test_only_the_rows_that_are_classified_are_computed(head, rows, pooler):
    program = compiled(encoder_of(head, pooler=pooler), preset("tiny"))
    products = behind(program, Opcode.QMM, "classifier") + behind(program, Opcode.QMM, "pooler")
    assert [i.row_tiles for i in products] == [-(-rows // program.config.rows)] * (1 + pooler)
    (store,) = [i for i in program.instructions if i.opcode is Opcode.STORE]
    assert (store.rows, store.columns, store.region, store.offset) == (rows, 5, Region.OUTPUT, 0)
    assert ("pooler" in program.symbols) == pooler
    assert ("pooled" in program.symbols) == (head is Head.MEAN)
    tables = [i for i in program.instructions if i.opcode is Opcode.LOAD and i.index_shift]
    assert len(tables) == (2 if head is Head.MEAN else 0)


@pytest.mark.parametrize("head", Head)
@pytest.mark.parametrize("classes", [1, 4, 5, 9])
def test_rows_of_logits_are_whole_groups_and_the_output_has_room_for_them(head, classes):
    program = compiled(encoder_of(head, classes=classes), preset("tiny"))
    output = program.output
    rows = TOKENS if head is Head.TOKEN else 1
    groups = -(-classes // program.config.row_lanes)
    assert (output.head, output.rows, output.columns) == (head, rows, classes)
    assert output.row_bytes == groups * program.config.row_lanes * 2
    (store,) = [i for i in program.instructions if i.opcode is Opcode.STORE]
    assert (store.groups, program.symbols["logits"].tile) == (groups, output.row_bytes)


@pytest.mark.parametrize("seed", range(4))
def test_the_mask_of_a_length_has_so_many_ones_in_row_0_and_nothing_else(seed):
    program = compiled(encoder_of(Head.MEAN), any_config(np.random.default_rng(seed)))
    (load,) = behind(program, Opcode.LOAD, "pooled.mask")
    assert load.memory == Memory.LEFT
    for length in range(TOKENS + 1):
        words = entries(program, load, length).reshape(-1, program.config.rows, program.config.depth // 8)
        bits = np.unpackbits(words, axis=-1, bitorder="little").swapaxes(0, 1).reshape(program.config.rows, -1)
        assert np.flatnonzero(bits).tolist() == list(range(length))


@pytest.mark.parametrize("seed", range(4))
def test_the_constants_of_a_length_are_its_own_for_row_0(seed):
    encoder = encoder_of(Head.MEAN)
    program = compiled(encoder, any_config(np.random.default_rng(seed)))
    (load,) = behind(program, Opcode.LOAD, "pooled.constants")
    (product,) = [i for i in behind(program, Opcode.QMM, "pooled") if i.constant_by_row]
    constants = encoder.pooling.constants
    assert product.shift == constants.shift
    assert len({*constants.scale.tolist()}) > TOKENS // 2
    for length in range(TOKENS + 1):
        entry = entries(program, load, length).tobytes()
        assert int.from_bytes(entry[:2], "little", signed=True) == constants.scale[length]
        assert int.from_bytes(entry[2:7], "little", signed=True) == fold_rounding(constants.offset[length], constants.shift)
        assert not any(entry[7:])


@pytest.mark.parametrize("codes", [BINARY, Format(Kind.UNSIGNED, 3), Format(Kind.SIGNED, 4)], ids=str)
def test_the_mean_is_that_of_the_reference_for_every_length(codes):
    encoder = encoder_of(Head.MEAN, last=codes)
    ((inputs, _),) = random_inputs(np.random.default_rng(0), encoder, 1)
    program = compiled(encoder, preset("small"))
    pooled = set()
    for length in range(1, TOKENS + 1):
        result = run(program, pack_input(program, inputs, length), [length])
        expected = encode(encoder, inputs, length)
        assert np.array_equal(result.tensors["pooled"], expected["pooled"])
        assert np.array_equal(result.tensors["logits"], expected["logits"])
        pooled.add(expected["pooled"].tobytes())
    assert len(pooled) > 1


@pytest.mark.parametrize("head", Head)
def test_more_classes_than_a_row_has_columns_are_refused_by_value_and_parameter(head):
    config = replace(preset("tiny"), row_columns=48)
    compile_encoder(encoder_of(head, classes=48), config)
    with pytest.raises(CompileError, match=r"number of classes is 49, .* 48 .* raise row_columns"):
        compile_encoder(encoder_of(head, classes=49), config)


def test_a_sum_over_tokens_beyond_the_accumulators_is_refused_by_name():
    sizes = {"tokens": 300, "width": 2, "heads": 1, "head_width": 2, "feed_forward": 2}
    encoder = encoder_of(Head.MEAN, **sizes, input=Input.TOKENS, last=Format(Kind.UNSIGNED, 8))
    config = replace(
        preset("tiny"), accumulator_bits=17, left_depth=1 << 12, right_depth=1 << 12, constant_depth=1 << 10,
        residual_depth=1 << 12, row_columns=1 << 9,
    )  # fmt: skip
    with pytest.raises(CompileError, match=rf"^pooled: .* over 300 .*\b{300 * 255}\b.* raise accumulator_bits"):
        compile_encoder(encoder, config)
