"""Memory in blocks of the chip in the place of external memory: an AXI4 slave, and a port of bytes for the host."""

from typing import Any

from amaranth import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.axi.axi import AxiRead, AxiWrite
from hw.lib.pipeline import log2, registered
from hw.serial.link import byte_access

#: Words of a bank: blocks of 16 Kbit, each one bit of all of them, need no selection behind them.
BANK_WORDS = 16384
OKAY, DECERR = 0, 3
#: Beats between address and bus.
_AHEAD = 8


class BlockMemory(wiring.Component):
    """One burst each way at a time, a beat a cycle; the host's bytes go first. Bursts must be incrementing, of whole beats.

    A read and a write of the same word at the same time give either value.

    Parameters
    ----------
    memory_bytes : int
        A multiple of the beat. Beats beyond it are answered with DECERR and write nothing.
    axi_bits : int
    bank_words : int
        Words of a bank, a power of two; every further bank widens the choice among what was read.

    Members
    -------
    axi_read : In(AxiRead);  axi_write : In(AxiWrite)
    host : In(stream of `hw.serial.link.byte_access`)
    o_host_valid, o_host_data : Out
        The byte that a read asked for, `read_latency` cycles after its transfer.
    """

    read_latency = 4

    def __init__(self, memory_bytes: int, axi_bits: int, bank_words: int = BANK_WORDS):
        if memory_bytes % (axi_bits // 8):
            raise ValueError(f"the memory must be a multiple of a beat of {axi_bits // 8} bytes, not {memory_bytes} bytes")
        self.memory_bytes, self.axi_bits, self.bank_words = memory_bytes, axi_bits, bank_words
        self.words = memory_bytes * 8 // axi_bits
        super().__init__({
            "axi_read": In(AxiRead(axi_bits)), "axi_write": In(AxiWrite(axi_bits)),
            "host": In(stream.Signature(byte_access(memory_bytes))),
            "o_host_valid": Out(1), "o_host_data": Out(8),
        })  # fmt: skip

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        lanes = self.axi_bits // 8
        host_word, host_lane = self.host.p.address[log2(lanes) :], self.host.p.address[: log2(lanes)]
        host_read, host_write = Signal(), Signal()
        m.d.comb += [
            self.host.ready.eq(1),
            host_read.eq(self.host.valid & ~self.host.p.write),
            host_write.eq(self.host.valid & self.host.p.write),
        ]
        read_word, issue = self._read_bursts(m, host_read)
        write_word, beat = self._write_bursts(m, host_write)

        # An address register of their own for reads and writes, then the blocks, then a register: blocks are slow.
        write_address = registered(m, Mux(host_write, host_word, write_word))
        write_data = registered(m, Mux(host_write, self.host.p.data.replicate(lanes), self.axi_write.wdata))
        enable = Signal(lanes)
        m.d.sync += enable.eq(
            # What is beyond the last word is in no bank, or where nobody reads.
            Mux(host_write, 1 << host_lane, Mux(beat, self.axi_write.wstrb, 0))
        )
        read_address = registered(m, Mux(host_read, host_word, read_word))
        banks = -(-self.words // self.bank_words)
        values = Array(
            self._bank(m, bank, lanes, read_address, write_address, write_data, enable) for bank in range(banks)
        )
        bank = registered(m, registered(m, read_address >> log2(self.bank_words)))
        value = values[bank] if banks > 1 else values[0]
        self._answer_reads(m, value, host_read, host_lane, issue, read_word)
        return m

    def _bank(self, m, bank, lanes, read_address, write_address, write_data, enable):
        """A memory for each byte of a word; the value at ``read_address`` two cycles later."""
        depth = min(self.bank_words, self.words - bank * self.bank_words)
        here = Mux(write_address >> log2(self.bank_words) == bank, enable, 0)
        values = []
        for lane in range(lanes):
            memory = Memory(shape=8, depth=depth, init=[], attrs={"ram_style": "block"})
            m.submodules[f"bank{bank}_{lane}"] = memory
            write, read = memory.write_port(), memory.read_port()
            m.d.comb += [
                write.addr.eq(write_address),
                write.data.eq(write_data.word_select(lane, 8)),
                write.en.eq(here[lane]),
                read.addr.eq(read_address),
            ]
            values.append(registered(m, read.data))
        return Cat(values)

    def _read_bursts(self, m, host_read):
        """Addresses of beats, as long as there is room for their data; ``issue`` says when one goes."""
        axi = self.axi_read
        busy, last = Signal(), Signal()
        word = Signal(len(axi.araddr) - log2(self.axi_bits // 8))
        left, tag = Signal(8), Signal()
        issue = Signal()
        self._room = room = Signal(range(_AHEAD + 1), init=_AHEAD)
        m.d.comb += [
            last.eq(left == 0),
            issue.eq(busy & ~host_read & (room != 0)),
            axi.arready.eq(~busy | (issue & last)),
        ]
        with m.If(axi.arready):
            m.d.sync += [
                busy.eq(axi.arvalid), word.eq(axi.araddr >> log2(self.axi_bits // 8)), left.eq(axi.arlen), tag.eq(axi.arid),
            ]  # fmt: skip
        with m.Elif(issue):
            m.d.sync += [word.eq(word + 1), left.eq(left - 1)]
        self._last, self._tag = last, tag
        m.d.sync += room.eq(room - issue + (axi.rvalid & axi.rready))
        return word, issue

    def _answer_reads(self, m, value, host_read, host_lane, issue, word):
        axi = self.axi_read
        beat = data.StructLayout({"valid": 1, "last": 1, "error": 1, "tag": 1})
        stages = Signal(data.ArrayLayout(beat, self.read_latency - 1))
        hosts, lanes = Signal(self.read_latency - 1), [host_lane]
        first = Signal(beat)
        m.d.comb += [
            first.valid.eq(issue), first.last.eq(self._last), first.error.eq(word >= self.words), first.tag.eq(self._tag),
        ]  # fmt: skip
        m.d.sync += [
            stages.as_value().eq(Cat(first, stages.as_value())),
            hosts.eq(Cat(host_read, hosts)),
            self.o_host_valid.eq(hosts[-1]),
        ]
        for _ in range(self.read_latency - 1):
            lanes.append(registered(m, lanes[-1]))
        m.d.sync += self.o_host_data.eq(value.word_select(lanes[-1], 8))

        m.submodules.queue = queue = SyncFIFOBuffered(width=self.axi_bits + 3, depth=_AHEAD)
        end = stages[self.read_latency - 2]
        m.d.comb += [
            queue.w_en.eq(end.valid),
            queue.w_data.eq(Cat(end.last, end.error, end.tag, value)),
            axi.rvalid.eq(queue.r_rdy),
            Cat(axi.rlast, axi.rresp[0], axi.rid, axi.rdata).eq(queue.r_data),
            axi.rresp[1].eq(axi.rresp[0]),
            queue.r_en.eq(axi.rready),
        ]

    def _write_bursts(self, m, host_write):
        axi = self.axi_write
        busy = Signal()
        word = Signal(len(axi.awaddr) - log2(self.axi_bits // 8))
        beat = Signal()
        m.d.comb += [
            axi.awready.eq(~busy & ~axi.bvalid),
            axi.wready.eq(busy & ~host_write),
            beat.eq(axi.wvalid & axi.wready),
        ]
        with m.If(axi.awvalid & axi.awready):
            m.d.sync += [busy.eq(1), axi.bid.eq(axi.awid), word.eq(axi.awaddr >> log2(self.axi_bits // 8))]
        with m.If(beat):
            m.d.sync += word.eq(word + 1)
            with m.If(axi.wlast):  # if any beat is beyond the end, the last one is
                m.d.sync += [
                    busy.eq(0), axi.bvalid.eq(1), axi.bresp.eq(Mux(word >= self.words, DECERR, OKAY)),
                ]  # fmt: skip
        with m.Elif(axi.bready):
            m.d.sync += axi.bvalid.eq(0)
        return word, beat
