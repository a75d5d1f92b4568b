"""Port buffer against random pauses on both sides: parts put together, bursts cut short, a full buffer, and its latency."""

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from hw.axi.axi import read_data_layout
from hw.axi.port_buffer import PortBuffer, wide_beat_layout
from tb.lib.harness import SIMULATORS, StreamSink, StreamSource, parameters, reset, simulate, start_clock
from tb.lib.words import naming

SIZES = [(64, 2, 4), (128, 4, 32)]  # axi_bits, ports, depth


class Bench:
    def __init__(self, dut, stall_in, stall_out, seed):
        self.dut = dut
        self.axi_bits, self.ports, self.depth = parameters()["size"]
        self.rng = np.random.default_rng(seed)
        narrow = read_data_layout(self.axi_bits // self.ports)
        self.source = StreamSource(dut, "i", narrow, stall_in, self.rng)
        self.sink = StreamSink(dut, "o", wide_beat_layout(self.axi_bits), stall_out, self.rng)

    def bursts(self, count, cut=False):
        """Random narrow beats of whole bursts, and the wide ones that they make; ``cut``: parts may lack at their ends."""
        width = self.axi_bits // self.ports
        data, lasts, errors, expected = [], [], [], []
        for _ in range(count):
            beats = int(self.rng.integers(1, 5)) * self.ports - (int(self.rng.integers(self.ports)) if cut else 0)
            parts = [int.from_bytes(self.rng.bytes(width // 8), "little") for _ in range(beats)]
            bad = self.rng.random(beats) < 0.1
            data, lasts, errors = data + parts, lasts + [0] * (beats - 1) + [1], errors + bad.astype(int).tolist()
            for first in range(0, beats, self.ports):
                some = parts[first : first + self.ports]
                word = sum(part << width * place for place, part in enumerate(some))
                mask = (1 << width * len(some)) - 1
                expected.append((word, mask, int(first + self.ports >= beats), int(bad[first : first + self.ports].any())))
        beats = {"data": np.array(data, object), "tag": np.zeros(len(data), int), "last": lasts, "error": errors}
        return {name: np.asarray(values) for name, values in beats.items()}, expected

    async def check(self, count, cut=False):
        sent, expected = self.bursts(count, cut)
        self.source.send(sent)
        got = await self.sink.receive(len(expected))
        for data, last, error, (word, mask, its_last, its_error) in zip(
            got["data"].tolist(), got["last"].tolist(), got["error"].tolist(), expected, strict=True
        ):
            assert (data & mask, last, error) == (word, its_last, its_error)


@cocotb.test()
@cocotb.parametrize(stalls=[(0.0, 0.0), (0.5, 0.0), (0.0, 0.8), (0.3, 0.3)], cut=[False, True])
async def puts_beats_together_and_keeps_bursts_apart(dut, stalls, cut):
    stall_in, stall_out = stalls
    bench = Bench(dut, stall_in, stall_out, 1)
    await start_clock(dut)
    await bench.check(60, cut)
    await bench.sink.expect_nothing()


@cocotb.test()
async def holds_as_many_as_it_says_and_no_more(dut):
    bench = Bench(dut, 0.0, 0.0, 2)
    await start_clock(dut)
    beats = (bench.depth + 3) * bench.ports
    words = np.array([int.from_bytes(bench.rng.bytes(2), "little") for _ in range(beats)], object)
    flags = {"tag": np.zeros(beats, int), "last": np.zeros(beats, int), "error": np.zeros(beats, int)}
    taken = 0
    bench.source.send({"data": words} | flags)
    for _ in range(beats + 20):
        await RisingEdge(dut.clk)
        taken += int(dut.i__valid.value and dut.i__ready.value)
    assert taken == bench.depth * bench.ports
    assert dut.o__valid.value


@cocotb.test()
async def gives_a_beat_a_cycle_after_its_last_part(dut):
    bench = Bench(dut, 0.0, 0.0, 3)
    await start_clock(dut)
    dut.o__ready.value = 0
    one = {"data": np.arange(bench.ports).astype(object), "tag": np.zeros(bench.ports, int)}
    zeros = {"last": np.zeros(bench.ports, int), "error": np.zeros(bench.ports, int)}
    await bench.source.send(one | zeros)
    assert not dut.o__valid.value  # the edge that takes the last part
    await ClockCycles(dut.clk, PortBuffer.latency)
    assert dut.o__valid.value


@cocotb.test()
async def works_after_reset_in_the_middle(dut):
    bench = Bench(dut, 0.3, 0.3, 4)
    await start_clock(dut)
    for _ in range(3):
        bench.source.send(bench.bursts(20)[0])
        await ClockCycles(dut.clk, int(bench.rng.integers(10, 40)))
        await reset(dut, bench.source, bench.sink)
        await bench.check(5)


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}/{size[1]}")
def test_port_buffer(size, simulator):
    simulate(PortBuffer(*size), __name__, simulator, parameters={"size": size})


@pytest.mark.parametrize(("name", "value"), [("ports", 1), ("ports", 3), ("depth", 1), ("depth", 12)])
def test_rejects_sizes_that_do_not_divide(name, value):
    with pytest.raises(ValueError, match=naming(name, "power of two", value)):
        PortBuffer(**{"axi_bits": 96, "ports": 2, "depth": 4} | {name: value})
