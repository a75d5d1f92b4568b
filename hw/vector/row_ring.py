"""Memory in which rows wait between two passes: words in a ring, as many for each row as it needs."""

from typing import Any

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.lib.pipeline import log2


class RowRing(wiring.Component):
    """Words written and read in the same order. One is written and one read per cycle.

    A pass claims a word long before it writes it: what is under way in its pipeline always has a place.

    Parameters
    ----------
    width, words : int
        Bits of a word, and how many; a power of two.
    rows : int
        Most rows at a time, a power of two: for what else is queued once a row.

    Members
    -------
    o_full : Out
        There is no room for another word, or another row.
    i_claim, i_claim_row : In
        A word will be written; it is its row's last. Not while ``o_full``.
    i_write, i_data : In
        The next word. Claimed in this cycle or before.
    i_read, i_read_row : In
        Read, and give up, the next word; it is its row's last.
    o_data : Out(width)
        What was read in the cycle before.
    """

    def __init__(self, width: int, words: int, rows: int):
        self.width, self.words, self.rows = width, words, rows
        super().__init__({
            "o_full": Out(1), "i_claim": In(1), "i_claim_row": In(1), "i_write": In(1), "i_data": In(width),
            "i_read": In(1), "i_read_row": In(1), "o_data": Out(width),
        })  # fmt: skip

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        memory = Memory(shape=self.width, depth=self.words, init=[], attrs={"ram_style": "block"})
        m.submodules.memory = memory
        write, read = memory.write_port(), memory.read_port()
        words_held, rows_held = Signal(log2(self.words) + 1), Signal(log2(self.rows) + 1)
        m.d.comb += [
            self.o_full.eq(words_held[-1] | rows_held[-1]),
            write.en.eq(self.i_write),
            write.data.eq(self.i_data),
            read.en.eq(1),
            self.o_data.eq(read.data),
        ]
        m.d.sync += [
            words_held.eq(words_held + self.i_claim - self.i_read),
            rows_held.eq(rows_held + self.i_claim_row - self.i_read_row),
            write.addr.eq(write.addr + self.i_write),
            read.addr.eq(read.addr + self.i_read),
        ]
        return m
