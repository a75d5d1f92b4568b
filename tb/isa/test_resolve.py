"""What a length leaves of an instruction: no more than it had, nothing beyond the length, and all that there is."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from isa.instruction import SAMPLES, Instruction, Opcode, operation
from isa.presets import preset
from isa.resolve import limit_units, resolve

CONFIG = preset("tiny")


@st.composite
def cases(draw):
    """An instruction of which everything may be limited, small sizes in its fields, and lengths."""
    its = operation(draw(st.sampled_from([opcode for opcode in Opcode if operation(opcode).limits])))
    fields = {name: draw(st.integers(1, 40)) for name in its.limits}
    fields |= {flag: draw(st.integers(0, 1)) for flag in ("limit_rows", "limit_columns", "limit_words")}
    fields |= {"sample": draw(st.integers(0, SAMPLES - 1)), "first_token": draw(st.integers(0, 50))}
    return Instruction(its.opcode, fields), draw(st.lists(st.integers(0, 60), min_size=SAMPLES, max_size=SAMPLES))


@given(cases())
def test_a_size_covers_the_tokens_that_there_are_and_never_more_than_it_did(case):
    instruction, lengths = case
    resolved, units = resolve(instruction, lengths, CONFIG), limit_units(CONFIG)
    for name, limit in operation(instruction.opcode).limits.items():
        before, after = getattr(instruction, name), resolved and getattr(resolved, name)
        if not getattr(instruction, limit.flag):
            assert after in (before, None)
            continue
        first = instruction.first_token if limit.flag == "limit_rows" else 0
        tokens = first + np.arange(before * units[limit.unit]) < lengths[instruction.sample]
        left = tokens.reshape(before, -1).any(axis=1).sum()
        assert after == left if resolved else after is None, name


@given(cases())
def test_nothing_is_left_where_one_of_the_sizes_that_are_limited_is_nothing(case):
    instruction, lengths = case
    length = lengths[instruction.sample]
    left = [length - instruction.first_token] * instruction.limit_rows
    left += [length] * (instruction.limit_columns + instruction.limit_words)
    assert (resolve(instruction, lengths, CONFIG) is None) == any(tokens <= 0 for tokens in left)


def test_a_load_of_absent_tokens_is_nothing_and_any_other_is_whole():
    load = Instruction(Opcode.LOAD, {"beats": 5, "limit_rows": 1, "first_token": 4})
    assert resolve(load, [4], CONFIG) is None
    assert resolve(load, [5], CONFIG) == load


@given(cases(), st.integers(0, SAMPLES - 1), st.integers(0, 60))
def test_lengths_of_other_samples_do_not_matter(case, other, length):
    instruction, lengths = case
    changed = [*lengths]
    changed[other] = length
    if other != instruction.sample:
        assert resolve(instruction, changed, CONFIG) == resolve(instruction, lengths, CONFIG)


def test_samples_behind_the_last_have_length_0():
    load = Instruction(Opcode.LOAD, {"sample": 2, "offset": 64, "index_shift": 5})
    for lengths, offset in (([3, 4, 5], 64 + (5 << 5)), ([3, 4], 64)):
        resolved = resolve(load, lengths, CONFIG)
        assert resolved is not None
        assert resolved.offset == offset


def test_what_is_resolved_stays_as_it_is():
    load = resolve(Instruction(Opcode.LOAD, {"offset": 64, "index_shift": 5}), [3], CONFIG)
    assert load is not None
    assert load.offset == 64 + (3 << 5)
    assert resolve(load, [3], CONFIG) == load
