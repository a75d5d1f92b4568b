"""DPU: one dot-product unit of the array, counting K bit pairs a cycle into an accumulator; and its border units."""

from amaranth import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.lib.pipeline import registered
from isa import latency
from isa.popcount import LANE, counter_sizes, unit_stages


class Plain:
    """The cells of a unit as expressions, for any tool and fast to simulate.

    `hw.engine.dpu_ultrascale.Ultrascale` has the same cells, written in primitives. Bits and vectors of them are Values;
    every result has a wire of its own, because Amaranth writes an expression out wherever it is used.
    """

    #: Part of a module's name.
    suffix = ""

    def __init__(self, m):
        self._m = m

    def _wire(self, value):
        wire = Signal(value.shape())
        self._m.d.comb += wire.eq(value)
        return wire

    def both(self, pairs):
        """Lanes of ``pairs`` (left, right) that are set in both."""
        return self._wire(pairs[0] & pairs[1])

    def add_pairs(self, p, q, e):
        """Sum and carry of each lane: two pairs and a bit. One LUT of two outputs a lane."""
        p, q = self.both(p), self.both(q)
        odd = self._wire(p ^ q)
        return self._wire(odd ^ e), self._wire((p & q) | (odd & e))

    def count(self, groups):
        """The number of bits set in each group of 3, 5, 6 or 7, as a list of bits."""
        return [list(self._count(group)) for group in groups]

    def _count(self, bits):
        if len(bits) == 3:
            return self._add(*bits)
        bits = [*bits, *[Const(0, 1)] * (7 - len(bits))]
        return self._add(self._add(*bits[0:3]), self._add(*bits[3:6]), bits[6])

    def _add(self, a, b, carry):
        # One adder with a carry in, for synthesis too: the position below the lowest adds the carry to itself.
        return self._wire(Cat(carry, a) + Cat(carry, b))[1:]

    def total(self, rows, invert):
        """Sum of three numbers, modulo their width; all bits inverted where ``invert`` is set."""
        x, y, z = rows
        two = self._add(x, y, Const(0, 1))[: len(x)]
        return self._add(two, z, Const(0, 1))[: len(x)] ^ invert.replicate(len(x))

    def accumulate(self, accumulator, first, twice, ones):
        """Next accumulator. ``ones``: a signed number, one less than meant where it is negative."""
        before = Mux(first, 0, Mux(twice, accumulator << 1, accumulator))
        carry = ones[-1]
        return self._wire(Cat(carry, ones).as_signed() + Cat(carry, before).as_signed())[1:]


class Dpu(wiring.Component):
    """Count bits that are set in both words; accumulate over words and plane pairs by Horner.

    A data path without reset or back-pressure. One entry of `golden.qmm.count`.

    Parameters
    ----------
    depth : int
        K, bits per word.
    accumulator_bits : int
    mapping : class
        Of cells: `Plain`, or one that has the same methods.

    Members
    -------
    left, right : In(depth)
    subtract : In
        Valid `latency` - 2 cycles after their words.
    first, twice, enable : In
        Valid `latency` - 1 cycles after their words: start from zero; double before adding; without ``enable`` the
        accumulator holds.
    load : In
        Copy the accumulator, as it is now, to the drain register.
    o : Out(signed(accumulator_bits))
        The drain register, so that a tile leaves while the next one accumulates.
    """

    words = ("left", "right")

    def __init__(self, depth, accumulator_bits, mapping=Plain):
        self.depth, self.accumulator_bits, self.mapping = depth, accumulator_bits, mapping
        #: Counters in a row, as many in units and border units.
        self.stages = unit_stages(depth)
        #: Cycles from words to the updated accumulator.
        self.latency = latency.dot_product(depth)
        super().__init__(
            {
                **dict.fromkeys(self.words, In(depth)),
                "subtract": In(1),
                "first": In(1),
                "twice": In(1),
                "enable": In(1),
                "load": In(1),
                "o": Out(signed(accumulator_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cells = self.mapping(m)
        columns = self._front(m, cells)
        for stage in range(self.stages):
            columns = _count(m, cells, columns, f"stage{stage + 1}")

        width = self.depth.bit_length()
        columns += [[]] * (width - len(columns))
        rows = [Cat(bits[i] if i < len(bits) else Const(0, 1) for bits in columns[:width]) for i in range(3)]
        # Inverted is one less than negative; the accumulator adds it.
        ones = registered(m, Cat(cells.total(rows, self.subtract), self.subtract).as_signed(), name="ones")
        accumulator = Signal(signed(self.accumulator_bits), reset_less=True)
        with m.If(self.enable):
            m.d.sync += accumulator.eq(cells.accumulate(accumulator, self.first, self.twice, ones))
        with m.If(self.load):
            m.d.sync += self.o.eq(accumulator)
        return m

    def _front(self, m, cells):
        """Bits of weight 1 and 2, one register after the words.

        A lane takes `LANE` pairs: its full adders pass their sum on to the next and leave their carry. Lanes are written as
        vectors: one operation of a simulator for all of them.
        """
        lanes = self.depth // LANE
        if not lanes:
            return [[*registered(m, cells.both((self.left, self.right)), name="rest")]]

        def pairs(i):
            return tuple(word[i * lanes : (i + 1) * lanes] for word in (self.left, self.right))

        bit, carries = cells.both(pairs(0)), []
        for i in range(1, LANE, 2):
            bit, carry = cells.add_pairs(pairs(i), pairs(i + 1), bit)
            carries += [*registered(m, carry, name=f"carry{i}")]
        rest = tuple(word[LANE * lanes :] for word in (self.left, self.right))
        ones = [*registered(m, bit, name="sum")]
        if len(rest[0]):
            ones += [*registered(m, cells.both(rest), name="rest")]
        return [ones, carries]


def unit_module(component: type["Dpu"], depth: int, accumulator_bits: int, mapping: type = Plain) -> str:
    """Name of the Verilog module of a `Dpu` or `Border`."""
    return f"bittern_{component.__name__.lower()}_{depth}_{accumulator_bits}{mapping.suffix}"


class Border(Dpu):
    """Count the bits that are set in one word: a `Dpu` whose other word is all ones, for a fraction of its size."""

    words = ("word",)

    def _front(self, m, cells):
        return _count(m, cells, [[*self.word]], "stage0")


def _count(m, cells, columns, name):
    """Bits of weights 1, 2, 4.. counted in groups, a register later. Few enough are only passed on."""
    groups, after = [], [[] for _ in range(len(columns) + 2)]
    for weight, bits in enumerate(columns):
        for size in counter_sizes(len(bits)) if max(map(len, columns)) > 3 else []:
            groups.append((weight, bits[:size]))
            bits = bits[size:]
        after[weight] += bits
    for (weight, _), counted in zip(groups, cells.count([bits for _, bits in groups])):
        for i, bit in enumerate(counted):
            after[weight + i].append(bit)
    return [
        [registered(m, bit, name=f"{name}_{1 << weight}_{i}") for i, bit in enumerate(bits)]
        for weight, bits in enumerate(after)
        if bits
    ]
