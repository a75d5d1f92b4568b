"""What the units of the engine tell each other about a tile of results."""

from amaranth import signed
from amaranth.lib import data

from hw.instruction import instruction_layout
from isa.instruction import Opcode

ADDRESS_BITS = 20  # one stride beyond 16 bits, and seven planes: wide enough to see every overrun


def tile_layout(columns):
    """What the drain and the tile writer must know of a tile."""
    return data.StructLayout(
        {
            # for the drain
            "left_bipolar": 1,
            "right_bipolar": 1,
            "constant_address": ADDRESS_BITS,
            "row_tile": 12,
            "constant_by_row": 1,
            "shift": 5,
            "low": instruction_layout(Opcode.QMM)["low"].shape,
            "high": instruction_layout(Opcode.QMM)["high"].shape,
            "limit": range(columns + 1),
            # for the tile writer
            "destination": 2,
            "address": ADDRESS_BITS,
            "plane": 16,
            "tile": 16,
            "bank": range(max(columns, 2)),
            "column": 16,
            "last_plane": 3,
            "column_tile": 12,
            "last_column": 1,
            "last": 1,
        }
    )


def drained_layout(drain_rows, columns):
    """A drained group, G x C row by row; ``error``: its constants lie outside their memory, its values mean nothing."""
    return data.StructLayout({"values": data.ArrayLayout(signed(16), drain_rows * columns), "error": 1})
