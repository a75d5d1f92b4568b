"""Row statistics against the reference's formulas in Python integers: widths, extremes, gaps, reset in the middle."""

import cocotb
import numpy as np
import pytest
from cocotb.triggers import RisingEdge

from golden.layernorm import width_reciprocal
from golden.reciprocal import reciprocal_sqrt
from hw.vector.norm_statistics import NORM_WIDTH, NormStatistics
from tb.lib.harness import SIMULATORS, reset, simulate, start_clock
from tb.lib.payload import pack


def statistics(total, squares, width, epsilon, rms):
    """Factor, offset and window of a row: the row's part of `golden.layernorm.normalise`."""
    total = 0 if rms else total
    spread = width * squares - total * total + epsilon
    mean = (total * width_reciprocal(width) + (1 << 25)) >> 26
    y, k = (int(part) for part in reciprocal_sqrt(spread))
    lift = 12 - width.bit_length()
    gain, shift = y * (width << lift) >> 12, k + lift
    window = shift // 10
    more = 10 * window + 9 - shift
    return gain << more, ((1 << shift + more - 1) - (mean * gain << more)) >> 6, window


def rows(rng, width, count):
    """Sums over random rows of every magnitude, and over the extreme ones."""
    sums = []
    for magnitude in rng.choice([1, 2, 30, 1000, 2**15], count):
        x = rng.integers(-magnitude, magnitude, width)
        sums.append((int(x.sum()), int((x * x).sum())))
    low, high = -(2**15), 2**15 - 1
    return [*sums, (0, 0), (low * width, low**2 * width), (high * width, high**2 * width), (0, low**2 * width)]


async def run(dut, sums, width, epsilon, rms, stall, rng):
    lift = 12 - width.bit_length()
    fields = {
        "width": width, "mantissa": width << lift, "lift": lift, "width_reciprocal": width_reciprocal(width),
        "epsilon": epsilon, "rms": rms,
    }  # fmt: skip
    word = pack(NORM_WIDTH, {name: [value] for name, value in fields.items()})[0]
    latency = NormStatistics().latency
    waiting, due, results, cycle = list(sums), [], [], 0
    while len(results) < len(sums):
        send = bool(waiting) and rng.random() >= stall
        dut.i_valid.value = send
        # It is a row's own: between rows it is another.
        dut.i_width.value = word if send else ~word & (1 << NORM_WIDTH.size) - 1
        if send:
            total, squares = waiting.pop(0)
            dut.i_total.value, dut.i_squares.value = total, squares
            due.append(cycle + latency)
        await RisingEdge(dut.clk)
        valid = int(dut.o_valid.value)
        assert valid == (bool(due) and due[0] == cycle), f"cycle {cycle}, expected {due[:1]}"
        if valid:
            due.pop(0)
            results.append((int(dut.o_factor.value), dut.o_offset.value.to_signed(), int(dut.o_window.value)))
        cycle += 1
    dut.i_valid.value = 0
    assert results == [statistics(total, squares, width, epsilon, rms) for total, squares in sums]


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def rows_of_every_width_match(dut, stall):
    rng = np.random.default_rng(1)
    await start_clock(dut)
    for width in [2, 3, 4, 7, 64, 128, 768, 1000, 4095]:
        for epsilon in (1, 77, 2**32 - 1):
            for rms in (0, 1):
                await run(dut, rows(rng, width, 6), width, epsilon, rms, stall, rng)


@cocotb.test()
async def forgets_what_a_reset_interrupts(dut):
    rng = np.random.default_rng(2)
    await start_clock(dut)
    dut.i_valid.value = 1
    for _ in range(5):
        await RisingEdge(dut.clk)
    dut.i_valid.value = 0
    await reset(dut)
    await run(dut, rows(rng, 96, 5), 96, 5, 0, 0.5, rng)


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_norm_statistics(simulator):
    simulate(NormStatistics(), __name__, simulator)
