"""Sequencer: the loop nest of a QMM instruction, one pair of operand words a cycle."""

from types import SimpleNamespace

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.codes import MAX_BITS, Kind
from golden.instruction import Destination, Opcode
from golden.registers import Error
from hw.instruction import ERROR, ISSUE, instruction_layout
from hw.pipeline import log2
from hw.tile import ADDRESS_BITS, tile_layout


class _Operand:
    """Where the loops stand in one operand: in a tile, on an anti-diagonal of plane pairs, at a pair of it.

    Addresses are those of the first word; of a tile, in its most significant plane.
    """

    def __init__(self, side, f):
        self._bits, self._stride = f[f"{side}_bits"], f[f"{side}_plane"]
        self.tile, self.diagonal, self.pair = (
            Signal(ADDRESS_BITS, name=f"{side}_{level}") for level in ("tile", "diagonal", "pair")
        )
        self.diagonal_plane, self.plane = Signal(3, name=f"{side}_diagonal_plane"), Signal(3, name=f"{side}_plane")
        self.at_top = self.plane == self._bits - 1
        self.at_sign = (f[f"{side}_kind"] == Kind.SIGNED.value) & self.at_top

    def start_tile(self, address):
        return self.start_at(self._bits - 1, address)

    def start_at(self, plane, address):
        return [self.tile.eq(address), self._at_diagonal(plane, address)]

    def start_diagonal(self, drop):
        """The next significance begins with a plane less of this operand, or the same one."""
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
        Tiles that may be between here and their last write.
    left_depth, right_depth : int

    Members
    -------
    i : In(stream(ISSUE))
    length : In(16)
        Valid tokens of this run.
    left_address, right_address : Out;  enable, first, twice, subtract, last : Out
        Words to read and what the array does with them; meant for the same cycle.
    o_tile : Out(stream)
        Descriptor of each tile, when its last words are issued. Must be taken at once.
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

    def __init__(self, rows, columns, depth, groups, tiles, left_depth, right_depth):
        self.rows, self.columns, self.depth = rows, columns, depth
        self.groups, self.tiles = groups, tiles
        self.left_depth, self.right_depth = left_depth, right_depth
        super().__init__(
            {
                "i": In(stream.Signature(ISSUE)),
                "length": In(16),
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

    def elaborate(self, platform):
        m = Module()
        f = Signal(instruction_layout(Opcode.QMM))
        ahead = self._look_ahead(m)

        # Where each loop stands.
        left, right = _Operand("left", f), _Operand("right", f)
        right_start = Signal(ADDRESS_BITS)
        word, column_tile, row_tile = Signal(12), Signal(12), Signal(12)
        first, twice = Signal(), Signal()
        remaining = Signal(17)
        limit_all = Signal(16)
        target_row, target_column = Signal(ADDRESS_BITS), Signal(16)

        word_end, pair_end, diagonal_end, column_end, row_end = (Signal() for _ in range(5))
        last = Signal()
        m.d.comb += [
            word_end.eq(word == f.words - 1),
            pair_end.eq((left.plane == 0) | right.at_top),
            diagonal_end.eq((left.diagonal_plane == 0) & (right.diagonal_plane == 0)),
            last.eq(word_end & pair_end & diagonal_end),
            column_end.eq(column_tile == f.column_tiles - 1),
            row_end.eq(row_tile == f.row_tiles - 1),
        ]

        # A tile may end when the drain register is free by then and the drain has room for all of it.
        in_flight = Signal(range(self.tiles + 1))
        spacing = Signal(range(self.groups + 1))
        running, issue, failed, start = Signal(), Signal(), Signal(), Signal()
        may_end = (in_flight != self.tiles) & (spacing == 0)
        m.d.comb += [
            issue.eq(running & ~failed & (~last | may_end)),
            self.waiting.eq(running & last & ~may_end),
        ]
        ends = issue & last
        m.d.sync += in_flight.eq(in_flight + ends - self.tile_done)
        with m.If(ends):
            m.d.sync += spacing.eq(self.groups - 1)
        with m.Elif(spacing != 0):
            m.d.sync += spacing.eq(spacing - 1)

        # The next instruction starts right behind the last word of this one; one that makes no sense, after it.
        m.d.comb += [
            start.eq(ahead.ready & ~failed & Mux(running, ends & column_end & row_end & ~ahead.malformed, 1)),
            ahead.taken.eq(start),
            self.active.eq(running | ahead.valid),
        ]

        with m.If(issue):
            m.d.sync += [first.eq(last), word.eq(Mux(word_end, 0, word + 1)), twice.eq(0)]
            with m.If(word_end & ~pair_end):
                m.d.sync += [
                    left.to_plane(left.plane - 1, left.pair - f.left_plane),
                    right.to_plane(right.plane + 1, right.pair + f.right_plane),
                ]
            with m.Elif(word_end & ~diagonal_end):
                # One significance down: drop a plane on the right while there is one, then on the left.
                drop_right = right.diagonal_plane != 0
                m.d.sync += [twice.eq(1), left.start_diagonal(~drop_right), right.start_diagonal(drop_right)]
            with m.Elif(word_end):
                m.d.sync += [
                    left.start_tile(left.tile + Mux(column_end, f.left_tile, 0)),
                    right.start_tile(Mux(column_end, right_start, right.tile + f.right_tile)),
                    column_tile.eq(Mux(column_end, 0, column_tile + 1)),
                    target_column.eq(Mux(column_end, f.destination_column >> log2(self.columns), target_column + 1)),
                    remaining.eq(Mux(column_end, limit_all, Mux(remaining < self.columns, 0, remaining - self.columns))),
                ]
                with m.If(column_end):
                    m.d.sync += [
                        row_tile.eq(row_tile + 1),
                        running.eq(~row_end),
                        target_row.eq(target_row + self._target_step(f, row_tile)),
                    ]

        with m.If(start):
            m.d.sync += [
                f.eq(ahead.f),
                running.eq(~ahead.malformed),
                first.eq(1),
                twice.eq(0),
                Cat(word, column_tile, row_tile).eq(0),
                left.start_at(ahead.f.left_bits - 1, ahead.left_top),
                right.start_at(ahead.f.right_bits - 1, ahead.right_top),
                right_start.eq(ahead.right_top),
                target_row.eq(ahead.f.destination_base),
                target_column.eq(ahead.f.destination_column >> log2(self.columns)),
                limit_all.eq(ahead.width),
                remaining.eq(ahead.width),
            ]

        # Addresses and control leave one register later, checked.
        left_address, right_address = Signal(ADDRESS_BITS), Signal(ADDRESS_BITS)
        valid = Signal()
        outside = valid & ((left_address >= self.left_depth) | (right_address >= self.right_depth))
        m.d.sync += [
            valid.eq(issue),
            left_address.eq(left.pair + word),
            right_address.eq(right.pair + word),
            self.first.eq(first),
            self.twice.eq(twice),
            self.subtract.eq(left.at_sign ^ right.at_sign),
            self.last.eq(last),
        ]
        m.d.comb += [
            self.left_address.eq(left_address),
            self.right_address.eq(right_address),
            self.enable.eq(valid),
        ]
        self._describe(
            m, f, ends, outside | failed, row_tile, column_tile, column_end, row_end, remaining, target_row, target_column
        )

        m.d.sync += self.started.eq(start)
        with m.If(start & ahead.malformed):
            m.d.sync += [failed.eq(1), self.error.valid.eq(1), self.error.code.eq(Error.SHAPE.value)]
        with m.If(outside):
            m.d.sync += [failed.eq(1), self.error.valid.eq(1), self.error.code.eq(Error.ADDRESS_RANGE.value)]
            # An address is checked a cycle after its word was issued.
            m.d.sync += self.error_before_last.eq(self.started | start)
        return m

    def _look_ahead(self, m):
        """The next instruction, and what takes a cycle to know of it."""
        f = Signal(instruction_layout(Opcode.QMM), name="ahead")
        valid, ready, taken = Signal(name="ahead_valid"), Signal(name="ahead_ready"), Signal(name="ahead_taken")
        malformed, width = Signal(name="ahead_malformed"), Signal(16, name="ahead_width")
        tops = [Signal(ADDRESS_BITS, name=f"ahead_{side}_top") for side in ("left", "right")]
        m.d.comb += self.i.ready.eq(~valid)
        with m.If(self.i.valid & ~valid):
            m.d.sync += [f.eq(self.i.p.bits), valid.eq(1)]
        with m.If(valid):
            m.d.sync += ready.eq(1)
        with m.If(taken):
            m.d.sync += [valid.eq(0), ready.eq(0)]
        m.d.sync += [
            malformed.eq(self._malformed(f)),
            width.eq(Mux(f.mask & (self.length < f.columns), self.length, f.columns)),
            *(
                top.eq(f[f"{side}_base"] + _times(f[f"{side}_plane"], f[f"{side}_bits"] - 1))
                for side, top in zip(("left", "right"), tops)
            ),
        ]
        return SimpleNamespace(
            f=f, valid=valid, ready=ready, taken=taken, malformed=malformed, width=width, left_top=tops[0], right_top=tops[1]
        )

    def _target_step(self, f, row_tile):
        """From one row tile to the next in the destination: banks are R on the left, C on the right."""
        if self.rows >= self.columns:
            right = f.destination_tile << log2(self.rows // self.columns)
        else:
            share = self.columns // self.rows
            right = Mux((row_tile & (share - 1)) == share - 1, f.destination_tile, 0)
        return Mux(f.destination == Destination.RIGHT.value, right, f.destination_tile)

    def _describe(self, m, f, ends, stop, row_tile, column_tile, column_end, row_end, remaining, target_row, target_column):
        tile = self.o_tile.p
        ended = Signal()
        m.d.comb += self.o_tile.valid.eq(ended & ~stop)
        m.d.sync += [
            ended.eq(ends),
            tile.left_bipolar.eq(f.left_kind == Kind.BIPOLAR.value),
            tile.right_bipolar.eq(f.right_kind == Kind.BIPOLAR.value),
            tile.constant_address.eq(f.constant_base + Mux(f.constant_by_row, 0, column_tile)),
            tile.row_tile.eq(row_tile),
            tile.constant_by_row.eq(f.constant_by_row),
            tile.shift.eq(f.shift),
            tile.low.eq(f.low),
            tile.high.eq(f.high),
            tile.limit.eq(Mux(remaining > self.columns, self.columns, remaining)),
            tile.destination.eq(f.destination),
            tile.address.eq(target_row + (target_column >> log2(self.depth // self.columns))),
            tile.plane.eq(f.destination_plane),
            tile.tile.eq(f.destination_tile),
            tile.bank.eq(row_tile << log2(self.rows)),
            tile.column.eq(target_column & (self.depth // self.columns - 1)),
            tile.bits.eq(f.destination_bits),
            tile.column_tile.eq(column_tile),
            tile.last_column.eq(column_end),
            tile.last.eq(column_end & row_end),
        ]

    def _malformed(self, f):
        def bad_bits(bits):
            return (bits == 0) | (bits > MAX_BITS)

        def bad_operand(kind, bits):
            return (kind > max(Kind).value) | bad_bits(bits) | ((kind == Kind.BIPOLAR.value) & (bits != 1))

        return (
            (f.words == 0)
            | (f.row_tiles == 0)
            | (f.column_tiles == 0)
            | bad_operand(f.left_kind, f.left_bits)
            | bad_operand(f.right_kind, f.right_bits)
            | (f.destination > max(Destination).value)
            | ((f.destination != Destination.ROWS.value) & bad_bits(f.destination_bits))
        )


def _times(stride, count):
    """``stride * count`` for a count of 3 bits, as three gated additions."""
    return sum(Mux(count[bit], stride << bit, 0) for bit in range(3))
