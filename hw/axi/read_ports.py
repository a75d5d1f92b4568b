"""Read ports: one logical reader over all AXI masters. Memory belongs to them piece by piece, in turn."""

from typing import Any

from amaranth import Array, Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.axi.axi import AxiRead, read_data_layout
from hw.axi.bursts import BURST
from hw.axi.port_buffer import PortBuffer
from hw.axi.reader import AxiReader
from hw.lib.skid import Skid
from hw.lib.stream_queue import StreamQueue
from isa.sizes import BURST_BEATS, OUTSTANDING_BURSTS, PORT_BUFFER


class ReadPorts(wiring.Component):
    """Reads of whole beats of ``axi_bits``, one a cycle while every port gives its part of one: ports work ahead of each
    other, and what they bring is given out in the order in which it was asked for.

    Pieces of `BURST_BEATS` port beats belong to the ports in turn, by address. A single port is an `AxiReader` and nothing
    else.

    Parameters
    ----------
    axi_bits : int
        Width of a beat, over all ports.
    ports : int
        A power of two.

    Members
    -------
    i : In(stream of `BURST`)
        In beats of ``axi_bits``; none crosses from one port's piece to the next.
    o : Out(stream of `read_data_layout`)
        All beats of all bursts, in order.
    discard : In
        As of `AxiReader`, on every port.
    forget : In
        Pulse: `o_bad` is none again.
    idle : Out
        Nothing is announced on any port.
    moves : Out
        A beat came over a bus.
    beat : Out
        A beat of ``axi_bits`` was given out, or soon will be.
    o_bad : Out
        1 + the port that gave the first beat with an error; 0: none did.
    o_owing : Out
        1 + the port that the next beat is to come from; 0: nothing is awaited.
    axi : Out(AxiRead), one for each port
    """

    def __init__(self, axi_bits: int, ports: int):
        self.axi_bits, self.ports = axi_bits, ports
        super().__init__({
            "i": In(stream.Signature(BURST)),
            "o": Out(stream.Signature(read_data_layout(axi_bits))),
            "discard": In(1), "forget": In(1), "idle": Out(1), "moves": Out(1), "beat": Out(1),
            "o_bad": Out(range(ports + 1)), "o_owing": Out(range(ports + 1)),
            "axi": Out(AxiRead(axi_bits // ports)).array(ports),
        })  # fmt: skip

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        readers = [AxiReader(self.axi_bits // self.ports) for _ in range(self.ports)]
        for port, reader in enumerate(readers):
            m.submodules[f"port{port}"] = reader
            wiring.connect(m, reader.axi, wiring.flipped(self.axi[port]))
            m.d.comb += reader.discard.eq(self.discard)
        m.d.comb += self.moves.eq(Cat(reader.beat for reader in readers).any())
        if self.ports == 1:
            (reader,) = readers
            wiring.connect(m, wiring.flipped(self.i), reader.i)
            wiring.connect(m, reader.o, wiring.flipped(self.o))
            m.d.comb += [self.idle.eq(reader.idle), self.beat.eq(reader.beat), self.o_owing.eq(~reader.idle)]
            bad = Signal()
            m.d.comb += bad.eq(self.o.valid & self.o.p.error)
            self._remember(m, bad, 1)
        else:
            self._share(m, readers)
        return m

    def _remember(self, m, bad, port):
        """The first ``port`` that was ``bad``."""
        with m.If(self.forget):
            m.d.sync += self.o_bad.eq(0)
        with m.Elif(bad & ~self.o_bad.any()):
            m.d.sync += self.o_bad.eq(port)

    def _share(self, m, readers):
        """Bursts to the ports they belong to, and what comes of them in the order of the bursts."""
        ports, choice = self.ports, range(self.ports)
        within = (BURST_BEATS * self.axi_bits // ports // 8).bit_length() - 1  # of an address: the byte of a piece
        turn = data.StructLayout({"port": choice, "tag": 2, "last": 1})
        # As many as can be under way: bursts announced at each port, and beats of short ones that wait there.
        most = ports * (OUTSTANDING_BURSTS + 2 * PORT_BUFFER)
        resettable = ResetInserter(self.discard)
        m.submodules.order = order = resettable(StreamQueue(turn, 1 << (most - 1).bit_length()))
        m.submodules.skid = skid = resettable(Skid(self.o.payload.shape()))
        buffers = [PortBuffer(self.axi_bits, ports) for _ in choice]
        for port, buffer in enumerate(buffers):
            m.submodules[f"buffer{port}"] = resettable(buffer)
            wiring.connect(m, readers[port].o, buffer.i)

        port = Signal(choice)
        m.d.comb += [
            port.eq(self.i.p.address[within:]),
            self.i.ready.eq(Array(reader.i.ready for reader in readers)[port] & order.i.ready),
            order.i.valid.eq(self.i.valid & self.i.ready),
            order.i.p.port.eq(port),
            order.i.p.tag.eq(self.i.p.tag),
            order.i.p.last.eq(self.i.p.last),
        ]
        for number, reader in enumerate(readers):
            m.d.comb += [
                reader.i.valid.eq(self.i.valid & order.i.ready & (port == number)),
                reader.i.p.address.eq(self.i.p.address),
                reader.i.p.length.eq(((self.i.p.length + 1) << (ports.bit_length() - 1)) - 1),
                reader.i.p.last.eq(1),  # of its burst; whose it is and whether more follow is known in `order`
            ]

        chosen, take = Signal(buffers[0].o.payload.shape()), Signal()
        m.d.comb += [
            chosen.eq(Array(buffer.o.payload for buffer in buffers)[order.o.p.port]),
            skid.i.valid.eq(order.o.valid & Array(buffer.o.valid for buffer in buffers)[order.o.p.port]),
            skid.i.p.data.eq(chosen.data),
            skid.i.p.error.eq(chosen.error),
            skid.i.p.tag.eq(order.o.p.tag),
            skid.i.p.last.eq(order.o.p.last & chosen.last),
            take.eq(skid.i.valid & skid.i.ready),
            order.o.ready.eq(take & chosen.last),
            self.idle.eq(Cat(reader.idle for reader in readers).all() & ~order.o.valid & ~skid.o.valid),
            self.o_owing.eq(Mux(order.o.valid, order.o.p.port + 1, 0)),
        ]
        for number, buffer in enumerate(buffers):
            m.d.comb += buffer.o.ready.eq(order.o.valid & skid.i.ready & (order.o.p.port == number))
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        m.d.sync += self.beat.eq(take)
        self._remember(m, take & chosen.error, order.o.p.port + 1)
