"""Payloads of the streams that carry rows: from the drain, through the row units, to the operand memories."""

from amaranth import signed
from amaranth.lib import data


def row_element(lanes):
    """``lanes`` neighbouring values of a row: columns ``group * lanes`` and up; ``first`` and ``last`` of the row, and
    whether the instruction ``ends`` with it."""
    return data.StructLayout({
        "values": data.ArrayLayout(signed(16), lanes), "row": 16, "group": 12, "first": 1, "last": 1, "ends": 1,
    })  # fmt: skip


def code_element(lanes):
    """``lanes`` neighbouring codes of a row (low bits of two's complement); ``last`` of the row, and whether the instruction
    ``ends`` with it."""
    return data.StructLayout({"codes": data.ArrayLayout(8, lanes), "row": 16, "group": 12, "last": 1, "ends": 1})


def code_write(banks, depth, width):
    """A write of a word of ``width`` bits to a bank of an operand memory."""
    return data.StructLayout({"address": range(depth), "bank": range(banks), "data": width})


def load_chunk(width, axi_bits):
    """A beat of a LOAD: ``data`` is part ``chunk`` of word ``address``."""
    return data.StructLayout({"address": 16, "chunk": range(max(width // axi_bits, 2)), "data": axi_bits})
