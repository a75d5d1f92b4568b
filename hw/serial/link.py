"""Serial link: takes requests, does them, answers: `golden.serial.ReferenceBoard` in hardware, between two SLIP units."""

from amaranth import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.crc import Processor
from amaranth.lib.crc.catalog import CRC32_ETHERNET
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.serial import (
    CHECKSUM_BYTES,
    MOST_BYTES,
    REGISTER_BYTES,
    REGISTER_SPACE,
    REQUEST_HEADER,
    Command,
    Status,
)
from hw.axi.axi import AxiLite
from hw.serial.slip import CONTENT, OUTGOING

_HEADER = REQUEST_HEADER.size
_LEAST = _HEADER + CHECKSUM_BYTES

#: `golden.serial.checksum`, a byte a cycle.
CHECKSUM = CRC32_ETHERNET(data_width=8)


def byte_access(memory_bytes):
    """Payload of the stream to memory: a byte to write, or the address of one to read."""
    return data.StructLayout({"address": range(memory_bytes), "data": 8, "write": 1})


class SerialBridge(wiring.Component):
    """One request at a time; what comes meanwhile is not taken.

    Parameters
    ----------
    memory_bytes : int
        Size of the memory behind ``memory``; requests beyond it are refused.

    Members
    -------
    i : In(stream of `CONTENT`)
    o : Out(stream of `OUTGOING`)
    axi : Out(AxiLite)
        To the registers.
    memory : Out(stream of `byte_access`);  i_memory_valid, i_memory_data : In
        To memory; each read is answered by one ``i_memory_valid``, a cycle after its transfer or later.
    o_accepted, o_rejected : Out(1)
        Pulse for each frame: whole, or damaged.
    """

    def __init__(self, memory_bytes):
        self.memory_bytes = memory_bytes
        super().__init__({
            "i": In(stream.Signature(CONTENT)),
            "o": Out(stream.Signature(OUTGOING)),
            "axi": Out(AxiLite()),
            "memory": Out(stream.Signature(byte_access(memory_bytes))),
            "i_memory_valid": In(1), "i_memory_data": In(8),
            "o_accepted": Out(1), "o_rejected": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        # A reset in the place of its `start`, which would cost a multiplexer in front of every parity.
        crc = Processor(CHECKSUM)
        self._begin_checksum = Signal()
        m.submodules.crc = ResetInserter(self._begin_checksum)(crc)
        m.submodules.buffer = buffer = Memory(shape=8, depth=MOST_BYTES + CHECKSUM_BYTES, init=[])
        put, get = buffer.write_port(), buffer.read_port()

        header = data.View(data.StructLayout({"command": 8, "sequence": 8, "length": 16, "address": 32}), Signal(64))
        status, sequence = Signal(Status), Signal(8)
        index = Signal(range(MOST_BYTES + _LEAST + 2))  # byte of the request, of the transfer, of the answer
        count = Signal(range(MOST_BYTES + 1))  # bytes of data in the answer
        word = Signal(8 * REGISTER_BYTES)  # value of a register
        writes = (header.command == Command.WRITE_REGISTER) | (header.command == Command.WRITE_MEMORY)
        registers = (header.command == Command.READ_REGISTER) | (header.command == Command.WRITE_REGISTER)
        m.d.comb += get.addr.eq(index)

        last = Signal()
        m.d.sync += last.eq(index + 1 == header.length)  # two cycles or more after index has moved
        m.d.sync += Cat(self.o_accepted, self.o_rejected).eq(0)
        with m.FSM():
            self._receive(m, crc, put, header, index)
            self._decide(m, crc, header, index, status, sequence, count, writes, registers)
            self._move_memory(m, header, index, put, get, last)
            self._move_register(m, header, index, get, word, status, count)
            self._answer(m, crc, header, index, get, word, status, sequence, count, registers)
        return m

    def _receive(self, m, crc, put, header, index):
        """Header into a register, the rest into the buffer; all through the checksum."""
        self._error = error = Signal()
        m.d.comb += [put.addr.eq(index - _HEADER), put.data.eq(self.i.p.data)]
        with m.State("RECEIVE"):
            m.d.comb += self.i.ready.eq(1)
            with m.If(self.i.valid & self.i.p.end):
                m.d.sync += error.eq(self.i.p.error)
                m.next = "CHECK"
            with m.Elif(self.i.valid):
                m.d.comb += [crc.valid.eq(1), crc.data.eq(self.i.p.data)]
                with m.If(index < _HEADER):
                    m.d.sync += header.as_value().eq(Cat(header.as_value()[8:], self.i.p.data))
                with m.Else():
                    m.d.comb += put.en.eq(index < MOST_BYTES + _LEAST)
                with m.If(index <= MOST_BYTES + _LEAST):
                    m.d.sync += index.eq(index + 1)

    def _decide(self, m, crc, header, index, status, sequence, count, writes, registers):
        """What is wrong with the request, in the order of `golden.serial.ReferenceBoard`; else where to go on."""
        bad_frame, bad_checksum, unknown, bad_count = Signal(), Signal(), Signal(), Signal()
        bad_length, bad_address, repeated, known = Signal(), Signal(), Signal(), Signal()
        self._last_status = last_status = Signal(Status)
        self._last_sequence = last_sequence = Signal(8)
        self._have_last = have_last = Signal()
        with m.State("CHECK"):
            past = header.address + header.length > self.memory_bytes
            stray = header.address[:2].any() | (header.address >= REGISTER_SPACE)
            m.d.comb += known.eq((header.command >= min(Command)) & (header.command <= max(Command)))
            m.d.sync += [
                bad_frame.eq(self._error | (index < _LEAST) | (index > MOST_BYTES + _LEAST)),
                bad_checksum.eq(~crc.match_detected),
                unknown.eq(~known),
                bad_count.eq(index != Mux(writes, header.length, 0) + _LEAST),
                repeated.eq(writes & have_last & (header.sequence == last_sequence)),
                bad_length.eq(
                    (header.length == 0) | (header.length > MOST_BYTES) | (registers & (header.length != REGISTER_BYTES))
                ),
                bad_address.eq(Mux(registers, stray, past)),
            ]
            m.next = "DECIDE"
        with m.State("DECIDE"):
            whole = Signal()
            m.d.comb += whole.eq(~bad_frame & ~bad_checksum & (unknown | ~bad_count))
            m.d.sync += [
                self.o_accepted.eq(whole), self.o_rejected.eq(~whole),
                index.eq(0), count.eq(0), status.eq(Status.DONE), sequence.eq(Mux(whole, header.sequence, 0)),
            ]  # fmt: skip
            m.next = "BEGIN"
            with m.If(bad_frame):
                m.d.sync += status.eq(Status.BAD_FRAME)
            with m.Elif(bad_checksum):
                m.d.sync += status.eq(Status.BAD_CHECKSUM)
            with m.Elif(unknown):
                m.d.sync += status.eq(Status.BAD_COMMAND)
            with m.Elif(bad_count):
                m.d.sync += status.eq(Status.BAD_FRAME)
            with m.Elif(repeated):
                m.d.sync += status.eq(last_status)
            with m.Elif(bad_length):
                m.d.sync += status.eq(Status.BAD_COMMAND)
            with m.Elif(bad_address):
                m.d.sync += status.eq(Status.BAD_ADDRESS)
            with m.Else():
                m.d.sync += count.eq(Mux(writes, 0, header.length))
                with m.Switch(header.command):
                    for command in Command:
                        with m.Case(command):
                            m.next = command.name
            self._whole = Signal()
            m.d.sync += self._whole.eq(whole)

    def _move_memory(self, m, header, index, put, get, last):
        """Between buffer and memory, byte by byte; a byte takes 3 cycles or more, and comes only every 10 bits."""
        request = self.memory
        m.d.comb += [request.p.address.eq(header.address + index), request.p.data.eq(get.data)]

        def moved(again):
            m.d.sync += index.eq(index + 1)
            m.next = again
            with m.If(last):
                m.next = "BEGIN"

        with m.State("WRITE_MEMORY"):
            m.next = "PUT"
        with m.State("PUT"):
            m.d.comb += [request.valid.eq(1), request.p.write.eq(1)]
            with m.If(request.ready):
                moved("WRITE_MEMORY")
        with m.State("READ_MEMORY"):
            m.d.comb += request.valid.eq(1)
            with m.If(request.ready):
                m.next = "GET"
        with m.State("GET"):
            m.d.comb += [put.addr.eq(index), put.data.eq(self.i_memory_data), put.en.eq(self.i_memory_valid)]
            with m.If(self.i_memory_valid):
                moved("READ_MEMORY")

    def _move_register(self, m, header, index, get, word, status, count):
        axi = self.axi
        m.d.comb += [
            axi.awaddr.eq(header.address), axi.araddr.eq(header.address), axi.wdata.eq(word),
            axi.wstrb.eq(0b1111), axi.awprot.eq(0), axi.arprot.eq(0),
        ]  # fmt: skip
        with m.State("WRITE_REGISTER"):
            m.next = "GATHER"
        with m.State("GATHER"):
            m.d.sync += [word.eq(Cat(word[8:], get.data)), index.eq(index + 1)]
            m.next = "WRITE_REGISTER"
            with m.If(index == REGISTER_BYTES - 1):
                m.d.sync += [axi.awvalid.eq(1), axi.wvalid.eq(1)]
                m.next = "WRITTEN"
        with m.State("WRITTEN"):
            with m.If(axi.awready):
                m.d.sync += axi.awvalid.eq(0)
            with m.If(axi.wready):
                m.d.sync += axi.wvalid.eq(0)
            m.d.comb += axi.bready.eq(1)
            with m.If(axi.bvalid):
                with m.If(axi.bresp.any()):
                    m.d.sync += status.eq(Status.BAD_ADDRESS)
                m.next = "BEGIN"
        with m.State("READ_REGISTER"):
            m.d.comb += axi.arvalid.eq(1)
            with m.If(axi.arready):
                m.next = "VALUE"
        with m.State("VALUE"):
            m.d.comb += axi.rready.eq(1)
            with m.If(axi.rvalid):
                m.d.sync += word.eq(axi.rdata)
                with m.If(axi.rresp.any()):
                    m.d.sync += [status.eq(Status.BAD_ADDRESS), count.eq(0)]
                m.next = "BEGIN"

    def _answer(self, m, crc, header, index, get, word, status, sequence, count, registers):
        """Header, data and checksum; then listen again."""
        head = Signal(32)
        sent = Signal()
        m.d.comb += sent.eq(self.o.valid & self.o.ready)

        def send(byte, counted=True):
            m.d.comb += [self.o.valid.eq(1), self.o.p.data.eq(byte), crc.data.eq(byte), crc.valid.eq(sent & counted)]

        with m.State("BEGIN"):
            with m.If(self._whole):
                m.d.sync += [self._last_status.eq(status), self._last_sequence.eq(sequence), self._have_last.eq(1)]
            m.d.comb += self._begin_checksum.eq(1)
            m.d.sync += [head.eq(Cat(status) | sequence << 8 | count << 16), index.eq(0)]
            m.next = "HEAD"
        with m.State("HEAD"):
            send(head[:8])
            with m.If(sent):
                m.d.sync += [head.eq(head >> 8), index.eq(index + 1)]
                with m.If(index == 3):
                    m.d.sync += index.eq(0)
                    m.next = "DATA"
        with m.State("DATA"):
            m.next = "FETCH"
            with m.If(index == count):
                m.d.sync += index.eq(0)
                m.next = "CHECKSUM"
        # A register behind the buffer, whose blocks are slow: checksum and framing come after it.
        byte = Signal(8)
        m.d.sync += byte.eq(Mux(registers, word[:8], get.data))
        with m.State("FETCH"):
            m.next = "BYTE"
        with m.State("BYTE"):
            send(byte)
            with m.If(sent):
                m.d.sync += [word.eq(word >> 8), index.eq(index + 1)]
                m.next = "DATA"
        with m.State("CHECKSUM"):
            send(crc.crc.word_select(index[:2], 8), counted=False)
            m.d.comb += self.o.p.last.eq(index == CHECKSUM_BYTES - 1)
            with m.If(sent):
                m.d.sync += index.eq(index + 1)
                with m.If(self.o.p.last):
                    m.d.comb += self._begin_checksum.eq(1)
                    m.d.sync += index.eq(0)
                    m.next = "RECEIVE"
