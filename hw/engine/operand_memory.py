"""Operand memory: banks of K-bit words, read all at once by the array, written by three sources."""

from functools import partial
from types import SimpleNamespace

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.emit import add_shared
from hw.lib.pipeline import log2, registered
from hw.lib.ram_style import ram_style
from hw.vector.row_stream import code_write
from isa.latency import OPERAND_READ, OPERAND_WRITE


class Bank(wiring.Component):
    """One bank: a write port with enables for parts of ``part`` bits, and a read port of latency 2.

    ``ultra``: of UltraRAM; otherwise synthesis chooses.
    """

    def __init__(self, depth, width, part, ultra=False):
        self.depth, self.width, self.part, self.ultra = depth, width, part, ultra
        super().__init__(
            {
                "write_address": In(range(depth)),
                "write_enable": In(width // part),
                "write_data": In(width),
                "read_address": In(range(depth)),
                "read_data": Out(width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        attributes = ram_style(ultra=True) if self.ultra else {}
        m.submodules.memory = memory = Memory(shape=self.width, depth=self.depth, init=[], attrs=attributes)
        write = memory.write_port(granularity=self.part)
        read = memory.read_port()
        m.d.comb += [
            write.addr.eq(self.write_address),
            write.en.eq(self.write_enable),
            write.data.eq(self.write_data),
            read.addr.eq(self.read_address),
            read.en.eq(1),
        ]
        m.d.sync += self.read_data.eq(read.data)
        return m


def bank_module(depth: int, width: int, part: int, ultra: bool = False) -> str:
    """Name of the Verilog module of a `Bank`."""
    return f"bittern_bank_{depth}x{width}_{part}{'_ultra' if ultra else ''}"


class OperandMemory(wiring.Component):
    """Left or right operands of the array.

    Parameters
    ----------
    banks, depth, width : int
        R or C banks of ``depth`` words of K bits.
    drain_rows, columns : int
        G and C: a drained group writes C bits in each of G neighbouring banks.
    axi_bits : int
        A: a beat of a LOAD is A / K whole words, of a GATHER one.
    joined : int
        Beats of a LOAD that are written together, see `isa.sizes.joined_beats`.
    ultra : bool
        The banks are UltraRAM.

    Members
    -------
    read_address : In;  o : Out(banks * depth bits)
        One word of every bank, `read_latency` cycles later.
    i_drain, i_row, i_load : In(stream)
        Writers, in falling priority, but that a row unit that had to wait for the drain comes next: rows come at a
        steady pace and would lose it, the drain has a buffer. A row unit writes a word of one bank. The drain writes
        part ``column`` of C bits of a word in each of its banks; with column 0 it also clears the rest of the word, so
        that columns that nobody computes are 0. A write is in memory `write_latency` cycles after its transfer, that of a
        LOAD or GATHER so many after `o_loaded`. Addresses must be in range.
    o_loaded : Out
        Pulse: a beat that is ``last`` is written.
    o_load_waits : Out
        Beats that were taken are about to be written.
    """

    read_latency = OPERAND_READ
    write_latency = OPERAND_WRITE

    def __init__(self, banks, depth, width, drain_rows, columns, axi_bits, joined=1, ultra=False):
        self.banks, self.depth, self.width, self.ultra = banks, depth, width, ultra
        self.drain_rows, self.columns, self.axi_bits = drain_rows, columns, axi_bits
        self.chunk_words, self.joined = axi_bits // width, joined
        bank = range(banks)
        super().__init__(
            {
                "read_address": In(range(depth)),
                "o": Out(banks * width),
                "i_drain": In(
                    stream.Signature(
                        data.StructLayout(
                            {
                                "address": range(depth),
                                "bank": bank,
                                "column": range(max(width // columns, 2)),
                                "data": drain_rows * columns,
                            }
                        )
                    )
                ),
                "i_row": In(stream.Signature(code_write(banks, depth, width))),
                "i_load": In(
                    stream.Signature(
                        data.StructLayout(
                            {
                                "gather": 1,
                                "address": range(depth),
                                "bank": bank,
                                "chunk": range(max(banks // self.chunk_words, 2)),
                                "data": axi_bits,
                                "last": 1,
                            }
                        )
                    )
                ),
                "o_loaded": Out(1),
                "o_load_waits": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        drain, row, load = self.i_drain, self.i_row, self._joined_load(m)
        drain_turn, drains = Signal(init=1), Signal()
        m.d.sync += drain_turn.eq(~(drains & row.valid))
        m.d.comb += [
            drains.eq(drain.valid & drain_turn),
            drain.ready.eq(drain_turn),
            row.ready.eq(~drains),
            load.ready.eq(~drain.valid & ~row.valid),
            self.o_loaded.eq(load.valid & load.ready & load.p.last),
        ]
        # First stage: the offers, and two selects, so that a bit of the bus is one LUT of 6 inputs.
        use_drain, use_row, use_load = Signal(), Signal(), Signal()
        m.d.sync += [
            use_drain.eq(drains),
            use_row.eq(row.valid & row.ready),
            use_load.eq(load.valid & load.ready),
        ]
        codes = registered(m, drains | row.valid)
        narrow = registered(m, drains | (~row.valid & load.p.gather))
        clear = registered(m, drains & (drain.p.column == 0))
        drain_data, row_data, load_data = registered(m, drain.p.data), registered(m, row.p.data), registered(m, load.p.data)
        address = registered(m, Mux(drains, drain.p.address, Mux(row.valid, row.p.address, load.p.address)))
        bank = registered(m, Mux(drains, drain.p.bank, Mux(row.valid, row.p.bank, load.p.bank)))
        chunk, column = registered(m, load.p.chunk), registered(m, drain.p.column)

        # Second stage: a bus of words that all banks share, and in each bank which parts of its word.
        loaded_words = self.chunk_words * self.joined
        words, parts = max(self.drain_rows, loaded_words), self.width // self.columns
        bus = []
        for word in range(words):
            lane, beat = word % self.drain_rows, word % loaded_words
            drained = drain_data[lane * self.columns : (lane + 1) * self.columns]
            gathered, loaded = load_data[: self.width], load_data[beat * self.width : (beat + 1) * self.width]
            content = []
            for part in range(parts):
                place = slice(part * self.columns, (part + 1) * self.columns)
                register = Signal(self.columns, name=f"bus{word}_{part}", reset_less=True)
                m.d.sync += register.eq(
                    Mux(codes, Mux(narrow, drained, row_data[place]), Mux(narrow, gathered[place], loaded[place]))
                )
                if part:
                    with m.If(clear):
                        m.d.sync += register.eq(0)
                content.append(register)
            bus.append(Cat(content))
        drain_parts = Cat((column == 0) | (column == part) for part in range(parts))
        where = registered(m, address)
        of_bank = self.depth, self.width, self.columns, self.ultra
        name, build = bank_module(*of_bank), partial(Bank, *of_bank)
        for b in range(self.banks):
            drain_hit = use_drain & (bank >> log2(self.drain_rows) == b // self.drain_rows)
            row_hit = use_row & (bank == b)
            load_hit = use_load & Mux(narrow, bank == b, chunk >> log2(self.joined) == b // loaded_words)
            enable = Signal(parts, name=f"enable{b}")
            m.d.sync += enable.eq(Mux(drain_hit, drain_parts, 0) | (row_hit | load_hit).replicate(parts))
            add_shared(
                m,
                f"bank{b}",
                name,
                build,
                write_address=where,
                write_enable=enable,
                write_data=bus[b % words],
                read_address=self.read_address,
                read_data=self.o[b * self.width : (b + 1) * self.width],
            )
        return m

    def _joined_load(self, m):
        """Beats of a LOAD that belong together as one, which may wait for the port while the next ones come."""
        if self.joined == 1:
            return self.i_load
        i = self.i_load
        members = i.p.shape().members
        layout = data.StructLayout(members | {"data": self.joined * self.axi_bits})
        load = SimpleNamespace(valid=Signal(), ready=Signal(), p=Signal(layout, reset_less=True))
        number = i.p.chunk[: log2(self.joined)]
        complete, room = Signal(), Signal()
        m.d.comb += [
            complete.eq(i.p.gather | number.all()),
            room.eq(~load.valid | load.ready),
            i.ready.eq(~complete | room),
            self.o_load_waits.eq(load.valid),
        ]
        first = [Signal(self.axi_bits, name=f"beat{n}", reset_less=True) for n in range(self.joined - 1)]
        for n, beat in enumerate(first):
            with m.If(i.valid & (number == n)):
                m.d.sync += beat.eq(i.p.data)
        with m.If(room):
            m.d.sync += [
                load.valid.eq(i.valid & complete),
                *(load.p[name].eq(i.p[name]) for name in members if name != "data"),
                load.p.data.eq(Cat(*first, i.p.data)),
            ]
            # A word of a gathered row is the lowest of all.
            with m.If(i.p.gather):
                m.d.sync += load.p.data[: self.width].eq(i.p.data[: self.width])
        return load
