"""The array: R x C dot-product units and their border sums, tiles leaving in groups of rows."""

from functools import partial

from amaranth import Array as Choice
from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.emit import add_shared
from hw.engine.dpu import Border, Dpu, Plain, unit_module
from hw.lib.copies import copies
from isa import latency

#: Units of a row that share a copy of the control, and columns that share a copy of which rows leave: some 200 bits each.
_UNITS, _COLUMNS = 8, 2


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
    mapping : class
        Of the cells of a unit, see `Dpu`.

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

    def __init__(self, rows, columns, depth, drain_rows, accumulator_bits, mapping=Plain):
        self.rows, self.columns, self.depth = rows, columns, depth
        self.drain_rows, self.accumulator_bits = drain_rows, accumulator_bits
        self.groups = rows // drain_rows
        self.mapping = mapping
        self.latency = latency.array(depth)
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
        of_unit = latency.dot_product(k)

        # Operands and control fan out to a whole row or column of units: each gets registers of its own. Only control
        # is reset, so that nothing that was under way comes out after a reset.
        left = [Signal(k, name=f"left{i}", reset_less=True) for i in range(self.rows)]
        right = [Signal(k, name=f"right{j}", reset_less=True) for j in range(self.columns)]
        m.d.sync += [
            Cat(left).eq(self.left),
            Cat(right).eq(self.right),
        ]
        # And so is control, to a few units of a row: each bit of an accumulator has it.
        control = {"first": self.first, "twice": self.twice, "subtract": self.subtract, "enable": self.enable}
        control["load"] = self.last & self.enable
        after = dict.fromkeys(control, of_unit) | {"subtract": of_unit - 1, "load": of_unit + 1}
        for name, value in control.items():
            for _ in range(after[name] - 1):
                value, before = Signal(name=f"{name}_later"), value
                m.d.sync += value.eq(before)
            control[name] = value
        loaded = Signal()
        m.d.sync += loaded.eq(control["load"])
        shares = -(-self.columns // _UNITS)
        of_row = [copies(m, f"control{i}", list(control.values()), shares) for i in range(self.rows)]
        of_borders = copies(m, "control_borders", list(control.values()), 1 + shares)

        def counts(name, unit, copy, **words):
            o = Signal(a, name=f"o_{name}")
            module = unit_module(unit, k, a, self.mapping)
            add_shared(m, name, module, partial(unit, k, a, self.mapping), **words, **dict(zip(control, copy)), o=o)
            return o

        units = [
            [counts(f"dpu{i}_{j}", Dpu, of_row[i][j // _UNITS], left=left[i], right=right[j]) for j in range(self.columns)]
            for i in range(self.rows)
        ]
        of_rows = [counts(f"border_row{i}", Border, of_borders[0], word=left[i]) for i in range(self.rows)]
        of_columns = [
            counts(f"border_column{j}", Border, of_borders[1 + j // _UNITS], word=right[j]) for j in range(self.columns)
        ]

        # The drain registers of a tile wait while its groups leave one by one.
        leaving, group, following = Signal(), Signal.like(self.group), Signal.like(self.group)
        m.d.comb += following.eq(Mux(loaded, 0, group + (group != self.groups - 1)))
        with m.If(loaded):
            m.d.sync += leaving.eq(1)
        with m.Elif(group == self.groups - 1):
            m.d.sync += leaving.eq(0)
        m.d.sync += [group.eq(following), self.valid.eq(leaving), self.group.eq(group), self.c.eq(Cat(of_columns))]
        # A column of a group is G lanes of accumulators: few of them have their own copy of which rows leave.
        chosen = copies(m, "group", [following], -(-self.columns // _COLUMNS))
        lanes = [[Signal(a, name=f"s{row}_{j}") for j in range(self.columns)] for row in range(self.drain_rows)]
        m.d.comb += self.s.eq(Cat(lanes))
        for j in range(self.columns):
            (which,) = chosen[j // _COLUMNS]
            for row in range(self.drain_rows):
                leave = Choice([units[number * self.drain_rows + row][j] for number in range(self.groups)])
                m.d.sync += lanes[row][j].eq(leave[which])
        m.d.sync += self.r.eq(Cat(Choice(of_rows[row :: self.drain_rows])[group] for row in range(self.drain_rows)))
        return m
