"""Placed buffers never share a word while both live; loads come early, in order of use, and not too many at once."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from isa.instruction import Memory, Opcode
from isa.presets import preset
from program.compiler.allocate import DoesNotFit, allocate, refusal
from program.compiler.graph import Buffer, Draft, Op, Use

#: Few words, so that most cases need space again that was used before.
CONFIG = replace(preset("tiny"), left_depth=24, right_depth=16, constant_depth=12, dma_queue=4)
LOADS_AHEAD = 3  #: three quarters of the queue


def written(name, size, memory=Memory.LEFT):
    """A buffer that operations write; `loaded` is one that so many LOADs fill."""
    return Buffer(name, memory, size)


def loaded(name, size, memory=Memory.LEFT, parts=1):
    buffer = Buffer(name, memory, size)
    buffer.fetches += [Draft(f"{name} load", Opcode.LOAD, {}, writes=(Use(buffer),)) for _ in range(parts)]
    return buffer


def program(uses):
    """Operations from the buffers that each of them uses."""
    return [
        Op(f"op{index}", [Draft(f"op{index}", Opcode.QMM, {}, reads=tuple(map(Use, buffers)))], None)
        for index, buffers in enumerate(uses)
    ]


@st.composite
def programs(draw):
    """Up to twelve operations over up to twelve buffers, written or loaded, of any lifetime."""
    count = draw(st.integers(1, 12))
    uses = [[] for _ in range(count)]
    for number in range(draw(st.integers(1, 12))):
        memory = draw(st.sampled_from([Memory.LEFT, Memory.RIGHT, Memory.CONSTANT]))
        size = draw(st.integers(1, 8))
        parts = draw(st.integers(0, 2))
        buffer = loaded(f"b{number}", size, memory, parts) if parts else written(f"b{number}", size, memory)
        first = draw(st.integers(0, count - 1))
        last = draw(st.integers(first, min(count - 1, first + 3)))
        for index in {first, last}:
            uses[index].append(buffer)
    return program(uses)


def first_uses(ops):
    """{buffer: index of the first operation that uses it}."""
    first = {}
    for index, op in enumerate(ops):
        for buffer in op.buffers:
            first.setdefault(buffer, index)
    return first


def lifetimes(ops, issued):
    """{buffer: (start, end)} in operations: a load that is issued ahead runs beside the operation before it as well."""
    issue = {buffer: index for index, buffers in enumerate(issued) for buffer in buffers}
    last = {buffer: index for index, op in enumerate(ops) for buffer in op.buffers}
    lives = {}
    for buffer, first in first_uses(ops).items():
        ahead = issue.get(buffer, first) < first
        lives[buffer] = (max(issue[buffer] - 1, 0) if ahead else first), last[buffer]
    return lives


def place(ops):
    """What `allocate` issues; a program that does not fit is another test's matter."""
    try:
        return allocate(ops, CONFIG)
    except DoesNotFit:
        reject()


@given(programs())
def test_no_two_buffers_that_live_together_share_a_word(ops):
    issued = place(ops)
    depths = {Memory.LEFT: 24, Memory.RIGHT: 16, Memory.CONSTANT: 12}
    lives = lifetimes(ops, issued)
    holders = {}
    for buffer, (start, end) in lives.items():
        assert 0 <= buffer.address <= depths[buffer.memory] - buffer.size
        for word in range(buffer.address, buffer.address + buffer.size):
            for time in range(start, end + 1):
                assert holders.setdefault((buffer.memory, word, time), buffer) is buffer, (buffer.name, word, time)


@given(programs())
def test_every_load_is_issued_once_no_later_than_its_use_and_in_order_of_use(ops):
    issued = place(ops)
    first = first_uses(ops)
    flat = [(index, buffer) for index, buffers in enumerate(issued) for buffer in buffers]
    assert len({buffer for _, buffer in flat}) == len(flat)
    assert {buffer for _, buffer in flat} == {buffer for buffer in first if buffer.fetches}
    assert all(index <= first[buffer] for index, buffer in flat)
    uses = [first[buffer] for _, buffer in flat]
    assert uses == sorted(uses)


@given(programs())
def test_no_more_loads_are_ahead_than_the_queue_has_room_for(ops):
    issued = place(ops)
    first = first_uses(ops)
    before = []  # of each load so far, the operation that needs it
    for index, buffers in enumerate(issued):
        for buffer in buffers:
            before += [first[buffer]] * len(buffer.fetches)
            if index < first[buffer]:
                assert sum(use >= index for use in before) <= LOADS_AHEAD


def test_a_load_that_finds_space_is_issued_at_once_and_one_that_finds_none_when_the_space_is_free():
    early, late = loaded("early", 10), loaded("late", 20)
    full = written("full", 12)
    assert allocate(program([[full], [full], [], [early], [late]]), CONFIG) == [[early], [], [], [], [late]]
    assert (full.address, early.address, late.address) == (0, 14, 4)


def test_what_lies_above_another_of_another_time_counts_as_taken():
    """A load that lives beside both finds no space below the end of the higher one."""
    first, low, second = written("first", 20), written("low", 2), written("second", 2)
    weight = loaded("weight", 6)
    with pytest.raises(DoesNotFit, match="weight"):
        allocate(program([[first, weight], [low, second, weight]]), CONFIG)


def test_a_load_issued_ahead_keeps_clear_of_the_operation_before_it():
    """So that it waits for nothing and holds up nothing behind it: issued before op2 at the earliest, op1 being past."""
    full, next_one = written("full", 20), loaded("next", 8)
    assert allocate(program([[full], [], [], [next_one]]), CONFIG) == [[], [], [next_one], []]


def test_a_load_just_before_its_use_may_take_the_space_of_the_operation_before():
    full, next_one = written("full", 24), loaded("next", 24)
    assert allocate(program([[full], [next_one]]), CONFIG) == [[], [next_one]]


def test_what_is_written_stands_at_the_bottom_and_what_is_loaded_at_the_top():
    result, weight, operand = written("result", 3), loaded("weight", 5), written("operand", 7)
    allocate(program([[result, weight, operand]]), CONFIG)
    assert sorted([(operand.address, "operand"), (result.address, "result")]) == [(0, "operand"), (7, "result")]
    assert weight.address == 24 - 5


@given(st.integers(1, 30), st.integers(1, 8))
def test_a_chain_of_any_length_fits_what_two_of_its_links_take(length, size):
    """Freed space is used again: link i lives in operations i and i + 1 only."""
    links = [written(f"link{index}", size) for index in range(length)]
    ops = program([links[max(0, index - 1) : index + 1] for index in range(length + 1)])
    allocate(ops, replace(CONFIG, left_depth=2 * size))
    for former, latter in zip(links, links[2:]):
        assert former.address == latter.address


def test_a_gap_between_two_that_stay_is_used():
    below, middle, above = written("below", 4), written("middle", 6), written("above", 5)
    later = written("later", 6)
    allocate(program([[below], [below, middle], [below, middle, above], [below, above], [below, above, later]]), CONFIG)
    assert (below.address, middle.address, above.address, later.address) == (0, 4, 10, 4)


@pytest.mark.parametrize("make", [written, loaded])
def test_the_buffer_without_a_place_is_named_with_its_operation(make):
    stays, second = written("stays", 16), make("second", 9)
    with pytest.raises(DoesNotFit, match="second") as failure:
        allocate(program([[stays], [stays, second]]), CONFIG)
    assert failure.value.buffer is second
    assert failure.value.op.name == "op1"
    assert failure.value.free == 24 - 16


@pytest.mark.parametrize("memory", Memory)
@pytest.mark.parametrize("batch", [0, 3])
@pytest.mark.parametrize("excess", [0, 1])
def test_a_refusal_names_tensor_sizes_what_lacks_and_the_ways_out(memory, excess, batch):
    """Larger than the whole memory, or not beside what is in it."""
    name = f"{memory.name.lower()}_depth"
    config = replace(CONFIG, **{name: 20})
    (op,) = program([[]])
    text = str(refusal(DoesNotFit(written("tensor", 20 + excess, memory), op, 13), config, batch))
    assert text.startswith(f"tensor needs {20 + excess} words, ")
    assert {"20", "raise", name} <= set(re.findall(r"\w+", text))
    assert f"only 13 are free together during {op.name}" in text
    assert f": {20 + excess - 13} are lacking; " in text
    assert (f"a batch of {batch}, which fits" in text) == (batch > 0)
