"""Memories of UltraRAM: what asks for it, and that nothing else differs."""

from dataclasses import replace

import pytest

from hw.emit import emit
from hw.engine.operand_memory import OperandMemory, bank_module
from hw.engine.qmm import Qmm
from hw.vector.row_buffer import RowBuffer
from hw.vector.row_memory import RowMemory
from hw.vector.row_processor import RowProcessor
from isa.config import Uram
from isa.memory import ROW_MEMORY_BANK
from isa.presets import preset

#: With and without, and how many memories each has; a module for all of its banks counts once.
COMPONENTS = {
    "operands": (lambda ultra: OperandMemory(4, 64, 16, 2, 8, 64, ultra=ultra), 1),
    "row memory": (lambda ultra: RowMemory(ROW_MEMORY_BANK + 1, 64, 32, 2, ultra), 2),
    "row buffer": (lambda ultra: RowBuffer(4, 4, 2, 32, 4, ultra), 2),
}


def lines(text):
    """Without what a memory is made of, and in no order."""
    text = text.replace(bank_module(64, 16, 8, ultra=True), bank_module(64, 16, 8))
    return sorted(line for line in text.split("\n") if "ram_style" not in line)


@pytest.mark.parametrize("name", COMPONENTS)
def test_the_verilog_differs_in_what_a_memory_is_made_of_and_in_nothing_else(name):
    """So a simulation of the one is a simulation of the other."""
    build, memories = COMPONENTS[name]
    ultra, blocks = (emit(build(made), "component") for made in (True, False))
    assert (ultra.count('ram_style = "ultra"'), blocks.count('ram_style = "ultra"')) == (memories, 0)
    assert lines(ultra) == lines(blocks)


@pytest.mark.parametrize("which", [*Uram][1:])
def test_the_memories_that_are_named_are_made_of_it(which):
    config = replace(preset("tiny"), columns=8, uram=which)
    engine, rows = Qmm(config), RowProcessor(config)
    made = {
        Uram.LEFT: engine._left.ultra, Uram.RIGHT: engine._right.ultra, Uram.RESIDUAL: rows.units["norm"].residual_ultra,
        Uram.ROW_BUFFER: rows._buffer.ultra,
    }  # fmt: skip
    assert made == {memory: memory == which for memory in made}
