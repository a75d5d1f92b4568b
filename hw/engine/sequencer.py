"""Sequencer: the loop nest of a QMM instruction, one pair of operand words a cycle."""

from types import SimpleNamespace
from typing import Any

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.codes import Kind
from hw.engine.tile import ADDRESS_BITS, tile_layout
from hw.instruction import ERROR, ISSUE, instruction_layout
from hw.lib.pipeline import beyond, log2, registered
from isa.errors import Error
from isa.instruction import Destination, Opcode

#: What is left of a loop, less two.
LEFT = signed(13)


class _Operand:
    """Where the loops stand in one operand: in a tile, on an anti-diagonal of plane pairs, at a pair of it.

    Addresses are those of the first word; of a tile, in its most significant plane.
    """

    def __init__(self, side, f):
        self._stride = f[f"{side}_plane"]
        self._top = Signal(3, name=f"{side}_top")  # its most significant plane
        self.tile, self.diagonal, self.pair = (
            Signal(ADDRESS_BITS, name=f"{side}_{level}") for level in ("tile", "diagonal", "pair")
        )
        self.diagonal_plane, self.plane = Signal(3, name=f"{side}_diagonal_plane"), Signal(3, name=f"{side}_plane")
        self.at_top = self.plane == self._top
        self.at_sign = (f[f"{side}_kind"] == Kind.SIGNED.value) & self.at_top

    def start(self, top, address):
        return [self._top.eq(top), self.tile.eq(address), self._at_diagonal(top, address)]

    def start_tile(self, address):
        return self.start(self._top, address)

    def start_diagonal(self, drop):
        """The next significance begins with one plane less of this operand, or the same one."""
        return self._at_diagonal(self.diagonal_plane - drop, self.diagonal - Mux(drop, self._stride, 0))

    def to_plane(self, plane, address):
        return [self.plane.eq(plane), self.pair.eq(address)]

    def _at_diagonal(self, plane, address):
        return [self.diagonal_plane.eq(plane), self.diagonal.eq(address), self.to_plane(plane, address)]


class Sequencer(wiring.Component):
    """Visits row tiles, column tiles, plane pairs and words in the order of `golden.qmm.plane_pairs`.

    Parameters
    ----------
    rows, columns, depth : int
        R, C, K.
    groups : int
        R / G: tiles must end at least so many cycles apart.
    tiles : int
        Tiles that may be between here and their last write, a power of two.
    left_depth, right_depth : int

    Members
    -------
    i : In(stream(ISSUE))
    left_address, right_address : Out;  enable, first, twice, subtract, last : Out
        Words to read and what the array does with them; meant for the same cycle.
    o_tile : Out(stream)
        Descriptor of each tile, the cycle after its last words. Must be taken at once.
    tile_done : In(1)
        A tile has left.
    started : Out(1)
        An instruction has been started.
    error : Out(ERROR);  error_before_last : Out(1)
        About the instruction started last, or the one before that; its last tile then has no descriptor. Held until
        reset.
    waiting : Out(1)
        A tile could end but for the drain.
    active : Out(1)
        An instruction is being sequenced or about to be.
    """

    def __init__(self, rows: int, columns: int, depth: int, groups: int, tiles: int, left_depth: int, right_depth: int):
        if tiles & (tiles - 1):
            raise ValueError(f"tiles must be a power of two, not {tiles}")
        self.rows, self.columns, self.depth = rows, columns, depth
        self.groups, self.tiles = groups, tiles
        self.left_depth, self.right_depth = left_depth, right_depth
        super().__init__(
            {
                "i": In(stream.Signature(ISSUE)),
                "left_address": Out(range(left_depth)),
                "right_address": Out(range(right_depth)),
                "enable": Out(1),
                "first": Out(1),
                "twice": Out(1),
                "subtract": Out(1),
                "last": Out(1),
                "o_tile": Out(stream.Signature(tile_layout(columns))),
                "tile_done": In(1),
                "started": Out(1),
                "error": Out(ERROR),
                "error_before_last": Out(1),
                "waiting": Out(1),
                "active": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        f = Signal(instruction_layout(Opcode.QMM))
        ahead = self._look_ahead(m)
        at = self._loops(m, f)
        running, failed, start = Signal(), Signal(), Signal()
        valid, ends, advance, step = self._wait_for_room(m, running & ~failed)

        # The next instruction starts right behind the last word of this one; one that makes no sense, after it.
        malformed = ahead.malformed.any()
        m.d.comb += [
            start.eq(ahead.ready & ~failed & Mux(running, step & at.last & at.column_end & at.row_end & ~malformed, 1)),
            ahead.taken.eq(start),
            self.active.eq(running | ahead.valid | self.waiting),
        ]

        with m.If(step):
            self._step(m, f, at, running)

        with m.If(start):
            m.d.sync += [
                f.eq(ahead.f),
                running.eq(~malformed),
                at.first.eq(1),
                at.twice.eq(0),
                Cat(at.word, at.column_tile, at.row_tile).eq(0),
                *(count.eq(ahead.words) for count in (at.words_left, at.all_words)),
                *(count.eq(ahead.pairs) for count in (at.pairs_left, at.all_pairs)),
                *(count.eq(ahead.column_tiles) for count in (at.columns_left, at.all_columns)),
                at.rows_left.eq(ahead.row_tiles),
                at.left.start(ahead.left_planes, ahead.left_top),
                at.right.start(ahead.right_planes, ahead.right_top),
                at.right_start.eq(ahead.right_top),
                at.target_row.eq(ahead.f.destination_base),
                at.target_column.eq(ahead.f.destination_column >> log2(self.columns)),
                at.limit_all.eq(ahead.f.columns),
                at.remaining.eq(ahead.f.columns),
            ]

        # What leaves: addresses, checked, control, and the descriptor of the tile.
        left_address, right_address = Signal(ADDRESS_BITS), Signal(ADDRESS_BITS)
        outside = valid & (beyond(left_address, self.left_depth) | beyond(right_address, self.right_depth))
        with m.If(advance):
            m.d.sync += [
                valid.eq(step),
                left_address.eq(at.left.pair + at.word),
                right_address.eq(at.right.pair + at.word),
                self.first.eq(at.first),
                self.twice.eq(at.twice),
                self.subtract.eq(at.left.at_sign ^ at.right.at_sign),
                self.last.eq(at.last),
            ]
            tile = self._describe(m, f, at)
        m.d.comb += [self.left_address.eq(left_address), self.right_address.eq(right_address)]
        # A tile that waits to end belongs to an instruction before one that makes no sense.
        broken = Signal()
        m.d.sync += [self.o_tile.valid.eq(ends & ~outside & ~broken), self.o_tile.p.eq(tile)]

        m.d.sync += self.started.eq(start)
        with m.If(start & malformed):
            m.d.sync += [failed.eq(1), self.error.valid.eq(1), self.error.code.eq(Error.SHAPE.value)]
        with m.If(outside & ~failed):
            m.d.sync += [failed.eq(1), broken.eq(1), self.error.valid.eq(1), self.error.code.eq(Error.ADDRESS_RANGE.value)]
            # An address is checked in the first cycle after its step.
            m.d.sync += self.error_before_last.eq(self.started | start)
        return m

    def _loops(self, m, f):
        """Where each loop stands. What is left counts down from two less, so that its sign tells the last one."""
        left, right = _Operand("left", f), _Operand("right", f)
        right_start = Signal(ADDRESS_BITS)
        word, column_tile, row_tile = Signal(12), Signal(12), Signal(12)
        words_left, columns_left, rows_left = (Signal(LEFT, name=f"{name}_left") for name in ("words", "columns", "rows"))
        all_words, all_columns = Signal(LEFT), Signal(LEFT)
        pairs_left, all_pairs = Signal(signed(8)), Signal(signed(8))
        first, twice = Signal(), Signal()
        remaining = Signal(17)
        limit_all = Signal(16)
        target_row, target_column = Signal(ADDRESS_BITS), Signal(16)

        word_end, column_end, row_end = words_left[-1], columns_left[-1], rows_left[-1]
        pair_end, last = Signal(), Signal()
        m.d.comb += [
            pair_end.eq((left.plane == 0) | right.at_top),
            last.eq(word_end & pairs_left[-1]),
        ]
        return SimpleNamespace(
            left=left, right=right, right_start=right_start, word=word, column_tile=column_tile, row_tile=row_tile,
            words_left=words_left, columns_left=columns_left, rows_left=rows_left, all_words=all_words,
            all_columns=all_columns, pairs_left=pairs_left, all_pairs=all_pairs, first=first, twice=twice,
            remaining=remaining, limit_all=limit_all, target_row=target_row, target_column=target_column,
            word_end=word_end, column_end=column_end, row_end=row_end, pair_end=pair_end, last=last,
        )  # fmt: skip

    def _wait_for_room(self, m, stepping):
        """The loops are a step ahead of the words that leave, which wait here for the end of a tile. It may come when the
        drain register is free by then and the drain has room for all of it.

        Returns whether there are words, they end a tile, they leave, and the loops do a step.
        """
        in_flight = Signal(range(self.tiles + 1))
        spacing = Signal(range(self.groups + 1))
        valid, may_end, advance, step = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            may_end.eq(~in_flight[-1] & (spacing == 0)),
            self.enable.eq(valid & (~self.last | may_end)),
            self.waiting.eq(valid & self.last & ~may_end),
            advance.eq(~self.waiting),
            step.eq(stepping & advance),
        ]
        ends = self.enable & self.last
        done = Signal()
        m.d.sync += [done.eq(self.tile_done), in_flight.eq(in_flight + ends - done)]
        with m.If(ends):
            m.d.sync += spacing.eq(self.groups - 1)
        with m.Elif(spacing != 0):
            m.d.sync += spacing.eq(spacing - 1)
        return valid, ends, advance, step

    def _step(self, m, f, at, running):
        """To the next words."""
        m.d.sync += [
            at.first.eq(at.last),
            at.word.eq(Mux(at.word_end, 0, at.word + 1)),
            at.words_left.eq(Mux(at.word_end, at.all_words, at.words_left - 1)),
            at.twice.eq(0),
        ]
        with m.If(at.word_end):
            m.d.sync += at.pairs_left.eq(Mux(at.pairs_left[-1], at.all_pairs, at.pairs_left - 1))
        with m.If(at.word_end & ~at.pairs_left[-1] & ~at.pair_end):
            m.d.sync += [
                at.left.to_plane(at.left.plane - 1, at.left.pair - f.left_plane),
                at.right.to_plane(at.right.plane + 1, at.right.pair + f.right_plane),
            ]
        with m.Elif(at.word_end & ~at.pairs_left[-1]):
            # One significance down: drop a plane on the right while there is one, then on the left.
            drop_right = at.right.diagonal_plane != 0
            m.d.sync += [at.twice.eq(1), at.left.start_diagonal(~drop_right), at.right.start_diagonal(drop_right)]
        with m.Elif(at.word_end):
            following = Mux(at.remaining < self.columns, 0, at.remaining - self.columns)
            m.d.sync += [
                at.left.start_tile(at.left.tile + Mux(at.column_end, f.left_tile, 0)),
                at.right.start_tile(Mux(at.column_end, at.right_start, at.right.tile + f.right_tile)),
                at.column_tile.eq(Mux(at.column_end, 0, at.column_tile + 1)),
                at.columns_left.eq(Mux(at.column_end, at.all_columns, at.columns_left - 1)),
                at.target_column.eq(Mux(at.column_end, f.destination_column >> log2(self.columns), at.target_column + 1)),
                at.remaining.eq(Mux(at.column_end, at.limit_all, following)),
            ]
            with m.If(at.column_end):
                m.d.sync += [
                    at.row_tile.eq(at.row_tile + 1),
                    at.rows_left.eq(at.rows_left - 1),
                    running.eq(~at.row_end),
                    at.target_row.eq(at.target_row + self._target_step(f, at.row_tile)),
                ]

    def _look_ahead(self, m):
        """The next instruction, and what takes a cycle to know of it."""
        f = Signal(instruction_layout(Opcode.QMM), name="ahead")
        valid, ready, taken = Signal(name="ahead_valid"), Signal(name="ahead_ready"), Signal(name="ahead_taken")
        pairs = Signal(signed(8), name="ahead_pairs")
        counts = [Signal(LEFT, name=f"ahead_{name}") for name in ("words", "column_tiles", "row_tiles")]
        tops = [Signal(ADDRESS_BITS, name=f"ahead_{side}_top") for side in ("left", "right")]
        planes = [Signal(3, name=f"ahead_{side}_planes") for side in ("left", "right")]
        m.d.comb += self.i.ready.eq(~valid)
        with m.If(self.i.valid & ~valid):
            m.d.sync += [f.eq(self.i.p.bits), valid.eq(1)]
            offered = instruction_layout(Opcode.QMM)(self.i.p.bits)
            m.d.sync += [count.eq(bits - 1) for count, bits in zip(planes, (offered.left_bits, offered.right_bits))]
        with m.If(valid):
            m.d.sync += ready.eq(1)
        with m.If(taken):
            m.d.sync += [valid.eq(0), ready.eq(0)]
        m.d.sync += [
            *(count.eq(f[name] - 2) for count, name in zip(counts, ("words", "column_tiles", "row_tiles"))),
            pairs.eq(f.left_bits * f.right_bits - 2),
            *(
                top.eq(_after(f[f"{side}_base"], f[f"{side}_plane"], count))
                for side, top, count in zip(("left", "right"), tops, planes)
            ),
        ]
        return SimpleNamespace(
            f=f, valid=valid, ready=ready, taken=taken, malformed=registered(m, self._malformed(f)),
            pairs=pairs, words=counts[0], column_tiles=counts[1], row_tiles=counts[2], left_top=tops[0], right_top=tops[1],
            left_planes=planes[0], right_planes=planes[1],
        )  # fmt: skip

    def _target_step(self, f, row_tile):
        """From one row tile to the next in the destination: banks are R on the left, C on the right."""
        if self.rows >= self.columns:
            right = f.destination_tile << log2(self.rows // self.columns)
        else:
            share = self.columns // self.rows
            right = Mux((row_tile & (share - 1)) == share - 1, f.destination_tile, 0)
        return Mux(f.destination == Destination.RIGHT.value, right, f.destination_tile)

    def _describe(self, m, f, at):
        tile = Signal(tile_layout(self.columns), reset_less=True)
        m.d.sync += [
            tile.left_bipolar.eq(f.left_kind == Kind.BIPOLAR.value),
            tile.right_bipolar.eq(f.right_kind == Kind.BIPOLAR.value),
            tile.constant_address.eq(f.constant_base + Mux(f.constant_by_row, 0, at.column_tile)),
            tile.row_tile.eq(at.row_tile),
            tile.constant_by_row.eq(f.constant_by_row),
            tile.shift.eq(f.shift),
            tile.low.eq(f.low),
            tile.high.eq(f.high),
            tile.limit.eq(Mux(at.remaining > self.columns, self.columns, at.remaining)),
            tile.destination.eq(f.destination),
            tile.address.eq(at.target_row + (at.target_column >> log2(self.depth // self.columns))),
            tile.plane.eq(f.destination_plane),
            tile.tile.eq(f.destination_tile),
            tile.bank.eq(at.row_tile << log2(self.rows)),
            tile.column.eq(at.target_column & (self.depth // self.columns - 1)),
            tile.last_plane.eq(Mux(f.destination == Destination.ROWS.value, 0, f.destination_bits - 1)),
            tile.column_tile.eq(at.column_tile),
            tile.last_column.eq(at.column_end),
            tile.last.eq(at.column_end & at.row_end),
        ]
        return tile

    def _malformed(self, f):
        """Reasons for which an instruction makes no sense, a bit each."""

        def bad_bits(bits):  # outside 1..8
            return (bits == 0) | (bits[3] & bits[:3].any())

        def bad_operand(kind, bits):
            return (kind > max(Kind).value) | bad_bits(bits) | ((kind == Kind.BIPOLAR.value) & (bits != 1))

        return Cat(
            f.words == 0,
            f.row_tiles == 0,
            f.column_tiles == 0,
            bad_operand(f.left_kind, f.left_bits),
            bad_operand(f.right_kind, f.right_bits),
            (f.destination > max(Destination).value)
            | ((f.destination != Destination.ROWS.value) & bad_bits(f.destination_bits)),
        )


def _after(base, stride, count):
    """``base + stride * count`` for a count of 3 bits, as gated additions."""
    once, twice, four_times = (Mux(count[bit], stride << bit, 0) for bit in range(3))
    return (base + once) + (twice + four_times)
