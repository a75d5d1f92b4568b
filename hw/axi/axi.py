"""AXI4 and AXI4-Lite: signal names, and the streams our units use in their place."""

from enum import IntEnum

from amaranth import Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

ADDRESS_BITS = 40
CONTROL_ADDRESS_BITS = 12


class Tag(IntEnum):
    """Who asked for a read; decides where the data goes."""

    FETCH = 0
    LOAD = 1
    INDEX = 2
    ROW = 3


#: A read of ``beats`` >= 1 whole beats. ``address`` counts bytes and must be a multiple of the beat.
READ_REQUEST = data.StructLayout({"address": ADDRESS_BITS, "beats": 24, "tag": 2})

#: The same for a write.
WRITE_REQUEST = data.StructLayout({"address": ADDRESS_BITS, "beats": 24})


def read_data_layout(axi_bits):
    """One beat: ``last`` of its request; ``error`` if memory did not answer OKAY."""
    return data.StructLayout({"data": axi_bits, "tag": 2, "last": 1, "error": 1})


def _address_channel(prefix):
    return {
        f"{prefix}id": Out(1),
        f"{prefix}addr": Out(ADDRESS_BITS),
        f"{prefix}len": Out(8),
        f"{prefix}size": Out(3),
        f"{prefix}burst": Out(2),
        f"{prefix}cache": Out(4),
        f"{prefix}prot": Out(3),
        f"{prefix}valid": Out(1),
        f"{prefix}ready": In(1),
    }


class AxiRead(wiring.Signature):
    """Read channels of an AXI4 master with ``axi_bits`` of data."""

    def __init__(self, axi_bits: int):
        super().__init__({
            **_address_channel("ar"),
            "rid": In(1), "rdata": In(axi_bits), "rresp": In(2), "rlast": In(1), "rvalid": In(1), "rready": Out(1),
        })  # fmt: skip


class AxiWrite(wiring.Signature):
    """Write channels of an AXI4 master with ``axi_bits`` of data."""

    def __init__(self, axi_bits: int):
        super().__init__({
            **_address_channel("aw"),
            "wdata": Out(axi_bits), "wstrb": Out(axi_bits // 8), "wlast": Out(1), "wvalid": Out(1), "wready": In(1),
            "bid": In(1), "bresp": In(2), "bvalid": In(1), "bready": Out(1),
        })  # fmt: skip


class AxiLite(wiring.Signature):
    """AXI4-Lite as its master sees it, 32 bits of data."""

    def __init__(self) -> None:
        super().__init__({
            "awaddr": Out(CONTROL_ADDRESS_BITS), "awprot": Out(3), "awvalid": Out(1), "awready": In(1),
            "wdata": Out(32), "wstrb": Out(4), "wvalid": Out(1), "wready": In(1),
            "bresp": In(2), "bvalid": In(1), "bready": Out(1),
            "araddr": Out(CONTROL_ADDRESS_BITS), "arprot": Out(3), "arvalid": Out(1), "arready": In(1),
            "rdata": In(32), "rresp": In(2), "rvalid": In(1), "rready": Out(1),
        })  # fmt: skip


def flat_members(prefix, signature):
    """Members of ``signature`` as ``prefix_name``: a nested interface would be ``prefix__name`` in Verilog, which vendor
    tools do not recognise."""
    return {f"{prefix}_{name}": member for name, member in signature.members.items()}


def connect_flat(m, component, prefix, interface):
    """Connect the flat ports ``prefix_name`` of ``component`` to the ``interface`` of a unit inside it."""
    for name, member in wiring.flipped(interface).signature.flip().members.items():
        outer, inner = getattr(component, f"{prefix}_{name}"), getattr(interface, name)
        m.d.comb += outer.eq(inner) if member.flow is Out else inner.eq(outer)


def drive_address_channel(interface, prefix, axi_bits):
    """Statements for what never changes: whole beats, incrementing, id 0, normal non-cacheable bufferable memory."""
    constants = {"id": 0, "size": (axi_bits // 8).bit_length() - 1, "burst": 1, "cache": 0b0011, "prot": 0}
    return [getattr(interface, prefix + name).eq(value) for name, value in constants.items()]


def count_bursts(m, name, most, announce, finish, discard, forget=None):
    """Count bursts announced and not finished, and tell those announced before ``discard``, which finish first.

    Parameters
    ----------
    m : Module
    name : str
        What they are, for the signals.
    most : int
    announce, finish : Signal(1)
        One more, one less; nothing is announced during ``discard``.
    discard : Signal(1)
    forget : Signal(1) or None
        None is under way any more, whatever was counted; during ``discard`` only.

    Returns
    -------
    count : Signal
    stale : Signal(1)
        From the cycle after ``discard`` on, a register: the next burst to finish was announced before it.
    """
    count, old = Signal(range(most + 1), name=name), Signal(range(most + 1), name=f"old_{name}")
    stale = Signal(name=f"stale_{name}")
    m.d.sync += count.eq(count + announce - finish)
    with m.If(discard):
        m.d.sync += [old.eq(count - finish), stale.eq(1)]
    with m.Elif(finish):
        m.d.sync += [old.eq(Mux(stale, old - 1, 0)), stale.eq(old > 1)]
    with m.Elif(~old.any()):
        m.d.sync += stale.eq(0)
    if forget is not None:
        with m.If(forget):
            m.d.sync += [count.eq(0), old.eq(0), stale.eq(0)]
    return count, stale
