"""Shapes of memories."""

import numpy as np
import pytest

from isa.instruction import Memory
from isa.machine import Machine
from isa.memory import banks, depth_of, row_memory_banks, units_per_word, word_bits, word_shape
from isa.presets import PRESETS, preset


def test_the_residual_memory_is_cut_in_banks_of_4096_words():
    assert row_memory_banks(12288) == [4096, 4096, 4096]
    assert row_memory_banks(4500) == [4096, 404]
    assert row_memory_banks(1) == [1]


@pytest.mark.parametrize("name", PRESETS)
def test_the_memories_of_the_reference_have_these_shapes(name):
    config = preset(name)
    machine = Machine(config, {}, 0, [])
    for memory in Memory:
        content = machine.memories[memory]
        assert len(content) == depth_of(config, memory)[0] == getattr(config, f"{memory.name.lower()}_depth")
        assert content[0].nbytes * 8 == word_bits(config, memory)
        count, size = word_shape(config, memory)
        assert count * size * 8 == word_bits(config, memory)
        if memory in (Memory.LEFT, Memory.RIGHT):
            assert content.shape[1:] == (count, size) == (banks(config, memory), config.depth // 8)
            assert units_per_word(config, memory) * config.columns == config.depth
        else:
            assert count == units_per_word(config, memory) == 1
    assert np.dtype(machine.memories[Memory.RESIDUAL].dtype).itemsize == 2
