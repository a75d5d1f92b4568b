"""Steps come in an order that holds nothing up, and each waits for what it must and for nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.model import Attention, Head, Input
from isa.instruction import Memory, Opcode, Queue, operation
from isa.instruction import encode as encode_instruction
from isa.presets import preset
from program.compiler.builder import Builder, Scaling
from program.compiler.graph import At, Buffer, Draft, Op, Operand, Use
from program.compiler.schedule import emit, order, resolve, thresholds
from program.program import CompileError, InputLayout, OutputLayout, Program, ProgramError
from program.verify.checker import check, known_complete
from tb.models import BIT, random_encoder
from tb.program.cases import changed, compiled

CONFIG = preset("tiny")
WAITS = {Queue.DMA: "wait_dma", Queue.QMM: "wait_qmm", Queue.ROW: "wait_row"}
OPCODES = {Queue.DMA: Opcode.LOAD, Queue.QMM: Opcode.QMM, Queue.ROW: Opcode.NORM}


@st.composite
def steps(draw):
    """Up to fifteen steps of any queue that read and write words 0..5 of two memories, and the HALT behind them."""
    memories = [Buffer(memory.name, memory, 6, address=0) for memory in (Memory.LEFT, Memory.RIGHT)]
    words = st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True).map(np.array)
    uses = st.lists(st.builds(Use, st.sampled_from(memories), words), max_size=2).map(tuple)
    made = draw(st.lists(st.tuples(st.sampled_from(list(Queue)), uses, uses), max_size=15))
    drafts = [Draft(f"step{index}", OPCODES[queue], {}, *uses) for index, (queue, *uses) in enumerate(made)]
    return [*drafts, Draft("halt", Opcode.HALT, {})]


def touched(uses):
    return {(use.buffer.memory, word) for use in uses for word in use.addresses().tolist()}


@given(steps())
def test_a_step_waits_for_the_last_conflict_in_each_queue_and_no_further(steps):
    """Writers of what it reads in any queue; readers and writers of what it writes in the others, as its own is in order.
    The HALT waits for everything."""
    waits = thresholds(steps, CONFIG)
    for index, step in enumerate(steps[:-1]):
        queue = operation(step.opcode).queue
        counts = dict.fromkeys(Queue, 0)
        expected = dict.fromkeys(Queue, 0)
        for earlier in steps[:index]:
            other = operation(earlier.opcode).queue
            counts[other] += 1
            read = touched(step.reads) & touched(earlier.writes)
            write = touched(step.writes) & (touched(earlier.reads) | touched(earlier.writes))
            if read or (write and other is not queue):
                expected[other] = counts[other]
        assert waits[index].tolist() == [expected[queue] for queue in Queue]
    assert waits[-1].tolist() == [sum(operation(step.opcode).queue is queue for step in steps) for queue in Queue]


@st.composite
def operations(draw):
    """A small program of random products on operands that lie anywhere, so that they share words in every way.

    Loaded or computed operands of one tile of one word; results go to either memory, or through a softmax.
    """
    builder = Builder(CONFIG, {})
    loaded = {
        memory: Operand(builder.load(f"{memory.name} operand", memory, bytes(CONFIG.rows * 2)), 1, 1, BIT)
        for memory in (Memory.LEFT, Memory.RIGHT)
    }
    constant = builder.constants("all", np.ones(CONFIG.columns, np.int64), np.zeros(CONFIG.columns, np.int64))
    places = st.integers(0, 3)
    operands = {memory: [operand] for memory, operand in loaded.items()}
    issued = [[constant, *(operand.buffer for operand in loaded.values())]]
    for number in range(draw(st.integers(1, 8))):
        left, right = (draw(st.sampled_from(operands[memory])) for memory in (Memory.LEFT, Memory.RIGHT))
        memory = draw(st.sampled_from([Memory.LEFT, Memory.RIGHT]))
        target = builder.operand(f"result{number}", memory, 1, 1, BIT)
        target.buffer.address = draw(places)
        scaling = Scaling(At(constant), False, 0, 0, 1)
        if memory is Memory.LEFT and draw(st.booleans()):
            fields = {
                "rows": CONFIG.rows, "groups": 1, "columns": CONFIG.columns, "left_enable": 1, "bits": 1, "step": 1 << 15,
            } | target.write_fields("left")  # fmt: skip
            row = Draft(f"row{number}", Opcode.SOFTMAX, fields, writes=(target.use(1),))
            builder.qmm(f"scores{number}", left, right, 1, 1, scaling, CONFIG.columns, row=row)
        else:
            builder.qmm(f"product{number}", left, right, 1, 1, scaling, CONFIG.columns, target=target)
        operands[memory].append(target)
        late = []
        if draw(st.booleans()):
            memory = draw(st.sampled_from([Memory.LEFT, Memory.RIGHT]))
            again = Operand(builder.load(f"load{number}", memory, bytes([number]) * CONFIG.rows * 2), 1, 1, BIT)
            again.buffer.address = draw(places)
            late.append(again.buffer)
            operands[memory].append(again)
        issued.append(late)
    for operand in loaded.values():
        operand.buffer.address = draw(places)
    constant.address = 0
    return builder, issued[:-1]


def as_program(builder, issued):
    made = order(builder.ops, issued)
    instructions = emit(made, thresholds(made, CONFIG))
    offset = builder.image.add("program", b"".join(map(encode_instruction, instructions)))
    return Program(
        CONFIG, 1, tuple(instructions), tuple(step.name for step in made), bytes(builder.image.data), offset,
        InputLayout(Input.PATCHES, 0, 0, BIT, 0), OutputLayout(Head.CLS, 0, 0, 0), {}, (),
    )  # fmt: skip


@settings(max_examples=15)
@given(operations())
def test_the_checker_accepts_the_thresholds_and_misses_each_that_is_lowered(made):
    """Lowered by one it is refused, unless what the instruction waits for otherwise implies it."""
    program = as_program(*made)
    check(program)
    known = known_complete(program)
    for index, instruction in enumerate(program.instructions[:-1]):
        for name in WAITS.values():
            if not getattr(instruction, name):
                continue
            lowered = changed(program, index, **{name: getattr(instruction, name) - 1})
            if np.array_equal(known_complete(lowered)[index], known[index]):
                check(lowered)
            else:
                with pytest.raises(ProgramError, match=rf"instruction {index} \(.* without waiting for instruction"):
                    check(lowered)


@pytest.mark.parametrize("input", Input)
@pytest.mark.parametrize("attention", Attention)
def test_loads_come_before_their_operation_and_nothing_between_a_product_and_its_row_instruction(input, attention):
    encoder = random_encoder(np.random.default_rng(0), layers=2, input=input, attention=attention, tokens=9)
    program = compiled(encoder, replace(CONFIG, left_depth=256))
    opcodes = [instruction.opcode for instruction in program.instructions]
    rows = [index for index, opcode in enumerate(opcodes) if operation(opcode).queue is Queue.ROW]
    assert len(rows) > 10
    assert all(opcodes[index - 1] is Opcode.QMM for index in rows)
    assert opcodes.index(Opcode.HALT) == len(opcodes) - 1


def test_the_loads_of_an_operation_are_issued_before_it_in_their_order():
    one, two = Buffer("one", Memory.LEFT, 1), Buffer("two", Memory.LEFT, 1)
    for buffer in (one, two):
        buffer.fetches += [Draft(f"{buffer.name} load{part}", Opcode.LOAD, {}) for part in range(2)]
    first = Op("first", [Draft("first", Opcode.QMM, {})], None)
    second = Op("second", [Draft("second", Opcode.QMM, {}), Draft("row", Opcode.NORM, {})], None)
    assert [step.name for step in order([first, second], [[], [two, one]])] == [
        "first", "two load0", "two load1", "one load0", "one load1", "second", "row", "halt"
    ]  # fmt: skip


def test_addresses_are_known_once_the_buffer_is_placed():
    buffer = Buffer("x", Memory.LEFT, 8)
    at = At(buffer, 3)
    buffer.address = 40
    assert resolve(at) == 43
    assert resolve(np.int64(7)) == 7
    (instruction,) = emit([Draft("x", Opcode.LOAD, {"address": at})], np.array([[5, 6, 7]]))
    assert [getattr(instruction, name) for name in ("address", *WAITS.values())] == [43, 5, 6, 7]


@pytest.mark.parametrize(
    ("field", "limit", "waits"),
    [("wait_dma", 1 << 16, [1 << 16, 0, 0]), ("wait_row", 1 << 16, [0, 0, 1 << 16]), ("beats", 1 << 24, [0, 0, 0])],
)
def test_a_number_that_does_not_fit_its_field_is_refused_by_step_field_and_value(field, limit, waits):
    step = Draft("too long", Opcode.LOAD, {"beats": limit if field == "beats" else 1})
    with pytest.raises(CompileError, match=rf"^too long .*\b{field}\b.*\b{limit - 1}\b.*\b{limit}\b"):
        emit([step], np.array([waits]))
