"""The link's CRC-32 against the reference's, on any content; it knows a content by its checksum, and damage."""

import numpy as np
from amaranth.lib.crc import Processor
from amaranth.sim import Simulator

from golden.serial import checksum
from hw.serial.link import CHECKSUM


def shown_after(contents):
    """(checksum, match) that the processor shows after each of ``contents``, fed a byte a cycle."""
    processor, shown = Processor(CHECKSUM), []

    async def feed(ctx):
        for content in contents:
            ctx.set(processor.start, 1)
            await ctx.tick()
            ctx.set(processor.start, 0)
            ctx.set(processor.valid, 1)
            for byte in content:
                ctx.set(processor.data, byte)
                await ctx.tick()
            ctx.set(processor.valid, 0)
            await ctx.tick().repeat(2)
            shown.append((ctx.get(processor.crc), ctx.get(processor.match_detected)))

    simulator = Simulator(processor)
    simulator.add_clock(1e-6)
    simulator.add_testbench(feed)
    simulator.run()
    return shown


def test_it_equals_the_standard():
    rng = np.random.default_rng(1)
    contents = [b"123456789", *(rng.bytes(size) for size in (1, 2, 8, 9, 40, 300))]
    shown = shown_after(contents)
    assert shown[0] == (0xCBF43926, 0)  # the check value that the standard's catalogues give
    assert shown == [(int.from_bytes(checksum(content), "little"), 0) for content in contents]


def test_it_knows_a_content_with_its_checksum():
    rng = np.random.default_rng(2)
    contents = [rng.bytes(size) for size in (1, 2, 8, 9, 40, 300)]
    assert [match for _, match in shown_after([content + checksum(content) for content in contents])] == [1] * 6


def test_it_knows_any_damaged_bit():
    rng = np.random.default_rng(3)
    content = rng.bytes(20)
    whole = content + checksum(content)
    damaged = []
    # Each bit of the checksum by itself, and some of the content.
    for place in [*rng.integers(0, 8 * 20, 10), *range(8 * 20, 8 * 24)]:
        damaged.append(bytearray(whole))
        damaged[-1][place // 8] ^= 1 << place % 8
    assert [match for _, match in shown_after(damaged)] == [0] * len(damaged)
