"""The instruction set: every opcode has its operation, and instructions survive their encoding."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isa.instruction import (
    HEADER_BITS,
    INSTRUCTION_BITS,
    INSTRUCTION_BYTES,
    Field,
    Instruction,
    Opcode,
    Operation,
    Queue,
    decode,
    encode,
    operation,
    queue_of,
)
from isa.presets import preset

NUMBERS = {(f.bits, f.signed): (-(1 << f.bits - 1) if f.signed else 0) for op in Opcode for f in operation(op).layout}


def lowest(field):
    return NUMBERS[field.bits, field.signed]


@st.composite
def instructions(draw):
    opcode = draw(st.sampled_from(Opcode))
    fields = {
        field.name: draw(st.integers(lowest(field), lowest(field) + (1 << field.bits) - 1))
        for field in operation(opcode).layout
        if field.name != "opcode"
    }
    return Instruction(opcode, fields)


@given(instructions())
def test_an_instruction_survives_its_encoding(instruction):
    assert decode(encode(instruction)) == instruction


@given(instructions(), st.data())
def test_a_field_is_where_the_layout_says(instruction, data):
    fields = operation(instruction.opcode).layout
    number = data.draw(st.integers(0, len(fields) - 1))
    start = sum(field.bits for field in fields[:number])
    word = int.from_bytes(encode(instruction), "little")
    got = word >> start & (1 << fields[number].bits) - 1
    wanted = instruction.opcode if number == 0 else getattr(instruction, fields[number].name)
    assert got == wanted & (1 << fields[number].bits) - 1


@pytest.mark.parametrize("opcode", Opcode)
def test_every_opcode_has_its_operation(opcode):
    its = operation(opcode)
    assert its.opcode is opcode
    assert HEADER_BITS <= its.bits <= INSTRUCTION_BITS
    assert len(its.names) == len(its.layout), "a name stands for two fields"
    assert (its.queue is None) == (opcode is Opcode.HALT)
    assert type(its).execute is not Operation.execute or opcode is Opcode.HALT
    assert type(its).check is not Operation.check or opcode is Opcode.HALT


def test_no_two_instructions_have_one_colour():
    colours = [operation(opcode).colour for opcode in Opcode]
    assert len(set(colours)) == len(colours)


def test_instructions_that_touch_no_row_buffer_have_no_row_tiles():
    for opcode in Opcode:
        if operation(opcode).queue in (None, Queue.DMA):
            assert operation(opcode).row_tiles(Instruction(opcode, {}), preset("tiny")) == 0


def test_missing_fields_are_0_and_unknown_ones_are_none():
    instruction = Instruction(Opcode.LOAD, {"beats": 3})
    assert (instruction.beats, instruction.address) == (3, 0)
    with pytest.raises(AttributeError):
        _ = instruction.epsilon
    with pytest.raises(ValueError, match="LOAD has no field 'epsilon'"):
        encode(Instruction(Opcode.LOAD, {"epsilon": 1}))


@pytest.mark.parametrize(("name", "value"), [("low", -(1 << 16) - 1), ("low", 1 << 16), ("words", -1), ("words", 1 << 12)])
def test_a_value_that_does_not_fit_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=rf"QMM.{name} must be in .*, not {value}$"):
        encode(Instruction(Opcode.QMM, {name: value}))


@pytest.mark.parametrize("number", [0, max(Opcode) + 1, 255])
def test_what_is_no_opcode_is_refused(number):
    with pytest.raises(ValueError, match=f"{number} is no opcode"):
        decode(bytes([number]).ljust(INSTRUCTION_BYTES, b"\0"))


def test_fields_that_do_not_fit_an_instruction_are_refused():
    class Wide(Operation):
        fields = (Field("wide", INSTRUCTION_BITS, False, ""),)

    with pytest.raises(ValueError, match="HALT have 592 bits, an instruction 512"):
        Wide(Opcode.HALT)


def test_halt_waits_in_no_queue():
    assert [queue_of(Instruction(opcode, {})) is None for opcode in Opcode] == [op is Opcode.HALT for op in Opcode]
