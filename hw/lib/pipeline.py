"""Idioms of pipelines: registers without reset, delays, reduction trees, tables, saturation, masks of lanes.

The functions that register add to ``m.d.sync``; called inside ``with m.If(advance)`` their registers hold with the rest.
"""

from amaranth import Const, Mux, Signal


def log2(n):
    """Exact base-2 logarithm of a power of two."""
    return n.bit_length() - 1


def beyond(address, depth):
    """``address >= depth``; of a power of two, without a carry chain."""
    return address[log2(depth) :].any() if depth & (depth - 1) == 0 else address >= depth


def registered(m, value, **kwargs):
    """A register stage without reset: ``value`` one cycle later."""
    register = Signal(value.shape(), reset_less=True, **kwargs)
    m.d.sync += register.eq(value)
    return register


def delayed(m, value, cycles):
    """``value`` after ``cycles`` registers without reset: shift registers in LUTs."""
    for _ in range(cycles):
        value = registered(m, value)
    return value


def delayed_valid(m, valid, cycles):
    """``cycles`` + 1 signals: ``valid`` now and after each of ``cycles`` registers, which reset clears."""
    stages = [valid]
    for _ in range(cycles):
        register = Signal()
        m.d.sync += register.eq(stages[-1])
        stages.append(register)
    return stages


def tree(m, terms, combine):
    """Reduce ``terms`` pairwise, a register after each level; takes `isa.latency.tree` cycles."""
    terms = list(terms)
    while len(terms) > 1:
        pairs = [combine(a, b) for a, b in zip(terms[::2], terms[1::2], strict=False)]
        terms = [registered(m, term) for term in pairs + terms[len(pairs) * 2 :]]
    return terms[0]


def lookup(m, table, bits, index):
    """Entry ``index`` of a table of integers, combinational. Whole powers of two map to ROMs in LUTs."""
    entry = Signal(bits)
    with m.Switch(index):
        for number, value in enumerate(table):
            with m.Case(number):
                m.d.comb += entry.eq(int(value))
    return entry


def saturated(value, bits):
    """``value`` clipped to signed ``bits``, and whether that changed it. Combinational."""
    top = value[bits - 1 :]
    over = ~(top.all() | ~top.any())
    limit = Mux(value[-1], Const(1 << (bits - 1), bits), Const((1 << (bits - 1)) - 1, bits))
    return Mux(over, limit, value[:bits]).as_signed(), over


def lane_mask(m, group, columns, lanes):
    """A bit per lane, one cycle after ``group``: is column ``group * lanes + lane`` below ``columns``?

    ``columns`` must be held while the group passes.
    """
    whole = registered(m, group < (columns >> log2(lanes)))
    partial = registered(m, group == (columns >> log2(lanes)))
    rest = columns[: log2(lanes)]
    return [whole | (partial & registered(m, rest > lane)) for lane in range(lanes - 1)] + [whole]
