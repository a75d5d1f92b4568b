"""CRC-32 in hardware against the standard's, and the form it is specified in."""

import cocotb
import numpy as np
import pytest
from cocotb.triggers import RisingEdge

from golden.serial import checksum
from hw.serial.crc import Crc32
from tb.lib.harness import SIMULATORS, reset, simulate, start_clock


async def feed(dut, content, pauses):
    for byte, pause in zip(content, pauses):
        dut.valid.value = 0
        dut.byte.value = 0x5A
        for _ in range(pause):
            await RisingEdge(dut.clk)
        dut.byte.value = byte
        dut.valid.value = 1
        await RisingEdge(dut.clk)
    dut.valid.value = 0
    await RisingEdge(dut.clk)


async def begin(dut, valid=0):
    dut.start.value, dut.valid.value, dut.byte.value = 1, valid, 0xFF
    await RisingEdge(dut.clk)
    dut.start.value, dut.valid.value = 0, 0


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def equals_the_standard_and_knows_its_own(dut, stall):
    rng = np.random.default_rng(1)
    await start_clock(dut)
    for size in (1, 2, 8, 9, 40, 300):
        content = rng.bytes(size)
        await begin(dut, valid=int(rng.integers(2)))
        whole = content + checksum(content)
        pauses = (rng.geometric(1 - stall, len(whole)) - 1).tolist()
        await feed(dut, content, pauses)
        assert int(dut.o.value) == int.from_bytes(checksum(content), "little")
        assert not dut.matches.value
        await feed(dut, whole[size:], pauses[size:])
        assert dut.matches.value
    # Each bit of the checksum by itself, and some of the content.
    for place in [*rng.integers(0, 8 * 20, 10), *range(8 * 20, 8 * 24)]:
        damaged = bytearray(content[:20] + checksum(content[:20]))
        damaged[place // 8] ^= 1 << place % 8
        await begin(dut)
        await feed(dut, damaged, [0] * len(damaged))
        assert not dut.matches.value


@cocotb.test()
async def forgets_at_reset(dut):
    await start_clock(dut)
    dut.start.value = 0
    await feed(dut, b"abc", [0] * 3)
    await reset(dut)
    await feed(dut, b"123456789", [0] * 9)
    assert int(dut.o.value) == 0xCBF43926  # the check value that the standard's catalogues give


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_serial_crc(simulator):
    simulate(Crc32(), __name__, simulator)
