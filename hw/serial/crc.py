"""CRC-32 of IEEE 802.3, a byte a cycle. `golden.serial.checksum` is the same."""

from functools import reduce
from operator import xor

from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

POLYNOMIAL = 0xEDB88320  #: lowest bit first
#: What the register holds after any content with its own checksum behind it.
RESIDUE = 0xDEBB20E3


def _step(register):
    """Register after 8 bits of 0; a byte is added to its low end before."""
    for _ in range(8):
        register = register >> 1 ^ (POLYNOMIAL if register & 1 else 0)
    return register


class Crc32(wiring.Component):
    """Checksum of the bytes since the last start.

    Members
    -------
    start : In(1)
        Forget what was; a byte of the same cycle is not counted.
    valid, byte : In(1), In(8)
    o : Out(32)
        Checksum of all bytes until the cycle before.
    matches : Out(1)
        Those bytes are a content and its checksum.
    """

    def __init__(self):
        super().__init__({"start": In(1), "valid": In(1), "byte": In(8), "o": Out(32), "matches": Out(1)})

    def elaborate(self, platform):
        m = Module()
        register = Signal(32, init=0xFFFFFFFF)
        mixed = [*(register[:8] ^ self.byte), *register[8:]]
        # The step is linear: each bit of the next register is the parity of some bits of this one.
        effects = [_step(1 << bit) for bit in range(32)]
        after = [reduce(xor, [mixed[i] for i in range(32) if effects[i] >> bit & 1]) for bit in range(32)]
        with m.If(self.start):
            m.d.sync += register.eq(0xFFFFFFFF)
        with m.Elif(self.valid):
            m.d.sync += register.eq(Cat(after))
        m.d.comb += [self.o.eq(~register), self.matches.eq(register == RESIDUE)]
        return m
