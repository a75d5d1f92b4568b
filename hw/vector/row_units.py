"""The row units, each of which executes one opcode: `hw.vector.row_processor` iterates over them."""

from amaranth.lib import data

from hw.vector.layernorm import LayerNorm
from hw.vector.softmax import Softmax
from hw.vector.store import Store

ROW_UNITS = (Softmax, LayerNorm, Store)


def unit_name(unit):
    """Of an instance of ``unit`` in the row processor, and with ``_busy`` behind it of its counter."""
    return unit.opcode.name.lower()


#: One bit set for the unit that an instruction is for, or none.
ROW_KIND = data.StructLayout({unit_name(unit): 1 for unit in ROW_UNITS})

#: What counts a performance counter: each a bit.
ROW_EVENTS = data.StructLayout({f"{unit_name(unit)}_busy": 1 for unit in ROW_UNITS} | {"row_wait_buffer": 1})
