"""Operand memory: banks of K-bit words, read all at once by the array, written in parts by three sources."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.emit import shared
from hw.pipeline import log2


class Bank(wiring.Component):
    """One bank: a write port with enables for parts of ``lanes`` bits, and a read port of latency 2."""

    def __init__(self, depth, width, lanes):
        self.depth, self.width, self.lanes = depth, width, lanes
        super().__init__(
            {
                "write_address": In(range(depth)),
                "write_enable": In(width // lanes),
                "write_data": In(width),
                "read_address": In(range(depth)),
                "read_data": Out(width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=self.width, depth=self.depth, init=[])
        write = memory.write_port(granularity=self.lanes)
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


class OperandMemory(wiring.Component):
    """Left or right operands of the array.

    Parameters
    ----------
    banks, depth, width : int
        R or C banks of ``depth`` words of K bits.
    drain_rows, columns : int
        G and C: a drained group writes C bits in each of G neighbouring banks.
    lanes : int
        L: row units write L bits in one bank.
    axi_bits : int
        A: a LOAD writes A / K whole words, a GATHER one.

    Members
    -------
    read_address : In;  o : Out(banks * depth bits)
        One word of every bank, `read_latency` cycles later.
    i_drain, i_row, i_load : In(stream)
        Writers, in falling priority. ``column`` counts parts of C (drain) or L (row) bits within the word. A write is in
        memory `write_latency` cycles after its transfer. Addresses must be in range.
    """

    read_latency = 2
    write_latency = 2

    def __init__(self, banks, depth, width, drain_rows, columns, lanes, axi_bits):
        self.banks, self.depth, self.width = banks, depth, width
        self.drain_rows, self.columns, self.lanes, self.axi_bits = drain_rows, columns, lanes, axi_bits
        self.chunk_words = axi_bits // width
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
                "i_row": In(
                    stream.Signature(
                        data.StructLayout(
                            {"address": range(depth), "bank": bank, "column": range(max(width // lanes, 2)), "data": lanes}
                        )
                    )
                ),
                "i_load": In(
                    stream.Signature(
                        data.StructLayout(
                            {
                                "gather": 1,
                                "address": range(depth),
                                "bank": bank,
                                "chunk": range(max(banks // self.chunk_words, 2)),
                                "data": axi_bits,
                            }
                        )
                    )
                ),
            }
        )

    def elaborate(self, platform):
        m = Module()
        drain, row, load = self.i_drain, self.i_row, self.i_load
        m.d.comb += [
            drain.ready.eq(1),
            row.ready.eq(~drain.valid),
            load.ready.eq(~drain.valid & ~row.valid),
        ]

        def held(shape, value):
            signal = Signal(shape, reset_less=True)
            m.d.sync += signal.eq(value)
            return signal

        # First stage: which source, where. Second stage, in each bank: its part of the data.
        use_drain, use_row, use_load = Signal(), Signal(), Signal()
        m.d.sync += [
            use_drain.eq(drain.valid),
            use_row.eq(row.valid & row.ready),
            use_load.eq(load.valid & load.ready),
        ]
        address = held(range(self.depth), Mux(drain.valid, drain.p.address, Mux(row.valid, row.p.address, load.p.address)))
        bank = held(range(self.banks), Mux(drain.valid, drain.p.bank, Mux(row.valid, row.p.bank, load.p.bank)))
        drain_data, drain_column = held(len(drain.p.data), drain.p.data), held(len(drain.p.column), drain.p.column)
        row_data, row_column = held(self.lanes, row.p.data), held(len(row.p.column), row.p.column)
        load_data, load_chunk = held(self.axi_bits, load.p.data), held(len(load.p.chunk), load.p.chunk)
        gather = held(1, load.p.gather)

        parts = self.width // self.lanes
        drain_parts = Signal(parts)
        row_parts = Signal(parts)
        for part in range(parts):
            m.d.comb += [
                drain_parts[part].eq(drain_column == part * self.lanes // self.columns),
                row_parts[part].eq(row_column == part),
            ]
        name = f"bittern_bank_{self.depth}x{self.width}_{self.lanes}"
        bank_unit = Bank(self.depth, self.width, self.lanes)
        for b in range(self.banks):
            drain_hit = use_drain & (bank >> log2(self.drain_rows) == b // self.drain_rows)
            row_hit = use_row & (bank == b)
            load_hit = use_load & Mux(gather, bank == b, load_chunk == b // self.chunk_words)
            lane = b % self.drain_rows
            word = b % self.chunk_words
            drain_word = drain_data[lane * self.columns : (lane + 1) * self.columns].replicate(self.width // self.columns)
            load_word = Mux(gather, load_data[: self.width], load_data[word * self.width : (word + 1) * self.width])
            enable = Signal(parts, name=f"enable{b}")
            content = held(self.width, Mux(use_drain, drain_word, Mux(use_row, row_data.replicate(parts), load_word)))
            where = held(range(self.depth), address)
            m.d.sync += enable.eq(Mux(drain_hit, drain_parts, 0) | Mux(row_hit, row_parts, 0) | load_hit.replicate(parts))
            m.submodules[f"bank{b}"] = shared(
                bank_unit,
                name,
                write_address=where,
                write_enable=enable,
                write_data=content,
                read_address=self.read_address,
                read_data=self.o[b * self.width : (b + 1) * self.width],
            )
        return m
