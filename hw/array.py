"""The array: R x C dot-product units and their border sums, tiles leaving in groups of rows."""

from amaranth import Cat, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.dpu import Dpu
from hw.emit import shared


class Array(wiring.Component):
    """Tiles of `golden.qmm.count`: S of R x C, r of R, c of C.

    Nothing here waits: a tile whose last words enter at cycle t leaves at cycles t + `latency` .. + R/G - 1. Who feeds
    it keeps the ends of tiles at least R/G cycles apart.

    Parameters
    ----------
    rows, columns, depth : int
        R, C, K.
    drain_rows : int
        G, rows that leave together.
    accumulator_bits : int

    Members
    -------
    left : In(R * K);  right : In(C * K)
        One word per row and per column.
    first, twice, subtract, last, enable : In
        Of the words: first or last of a tile, doubling before, subtracting; ``enable``: words are there.
    s : Out(G * C * accumulator_bits);  r : Out(G * accumulator_bits);  c : Out(C * accumulator_bits)
        A group of counts while ``valid``, row by row; ``group`` is its index in the tile.
    valid : Out(1);  group : Out
    """

    def __init__(self, rows, columns, depth, drain_rows, accumulator_bits):
        self.rows, self.columns, self.depth = rows, columns, depth
        self.drain_rows, self.accumulator_bits = drain_rows, accumulator_bits
        self.groups = rows // drain_rows
        #: Fan-out register, unit, load of the drain register.
        self.latency = 1 + Dpu.latency + 1
        a = accumulator_bits
        super().__init__(
            {
                "left": In(rows * depth),
                "right": In(columns * depth),
                "first": In(1),
                "twice": In(1),
                "subtract": In(1),
                "last": In(1),
                "enable": In(1),
                "s": Out(drain_rows * columns * a),
                "r": Out(drain_rows * a),
                "c": Out(columns * a),
                "valid": Out(1),
                "group": Out(range(max(self.groups, 2))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        a, k = self.accumulator_bits, self.depth

        # Operands and control fan out to a whole row or column of units: each gets registers of its own. Only control
        # is reset, so that nothing that was under way comes out after a reset.
        left = [Signal(k, name=f"left{i}", reset_less=True) for i in range(self.rows)]
        right = [Signal(k, name=f"right{j}", reset_less=True) for j in range(self.columns)]
        m.d.sync += [
            Cat(left).eq(self.left),
            Cat(right).eq(self.right),
        ]
        control = Cat(self.first, self.twice, self.subtract, self.enable, self.last & self.enable)
        for _ in range(Dpu.latency - 1):
            control, before = Signal(5), control
            m.d.sync += control.eq(before)
        # One copy of the control per row of units.
        rows = [Signal(5, name=f"control{i}") for i in range(self.rows + 1)]
        m.d.sync += [copy.eq(control) for copy in rows]
        load = [Signal(name=f"load{i}") for i in range(self.rows + 1)]
        m.d.sync += [signal.eq(copy[4]) for signal, copy in zip(load, rows)]

        count = Signal(range(self.groups + 1))
        m.d.comb += [self.valid.eq(count != 0), self.group.eq(self.groups - count)]
        with m.If(load[0]):
            m.d.sync += count.eq(self.groups)
        with m.Elif(self.valid):
            m.d.sync += count.eq(count - 1)

        unit = Dpu(k, a)
        ones = Const((1 << k) - 1, k)

        def dpu(name, i, left_word, right_word, shift, chain_in):
            chain_out = Signal(a, name=f"chain_{name}")
            m.submodules[name] = shared(
                unit,
                f"bittern_dpu_{k}_{a}",
                left=left_word,
                right=right_word,
                first=rows[i][0],
                twice=rows[i][1],
                subtract=rows[i][2],
                enable=rows[i][3],
                load=load[i],
                shift=shift,
                chain_in=chain_in,
                chain_out=chain_out,
            )
            return chain_out

        # The drain registers move up by G rows; the border row c stays for the whole tile.
        below = {}
        for i in reversed(range(self.rows)):
            for j in range(self.columns + 1):
                word = right[j] if j < self.columns else ones
                name = f"dpu{i}_{j}" if j < self.columns else f"border_row{i}"
                source = below.get((i + self.drain_rows, j), Const(0, a))
                below[i, j] = dpu(name, i, left[i], word, Const(1), source)
        border = [dpu(f"border_column{j}", self.rows, ones, right[j], Const(0), Const(0, a)) for j in range(self.columns)]
        m.d.comb += [
            self.s.eq(Cat(below[i, j] for i in range(self.drain_rows) for j in range(self.columns))),
            self.r.eq(Cat(below[i, self.columns] for i in range(self.drain_rows))),
            self.c.eq(Cat(border)),
        ]
        return m
