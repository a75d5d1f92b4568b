"""Resolve: every instruction comes out as `isa.resolve` has it, whatever the lengths, after the cycles that it promises."""

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from hw.frontend.fetch import FETCHED
from hw.frontend.resolve import RESOLVED, Resolve
from isa.instruction import INSTRUCTION_BYTES, SAMPLES, Opcode, decode, encode, operation
from isa.latency import RESOLVE
from isa.presets import preset
from isa.resolve import limit_units, resolve
from tb.lib.harness import SIMULATORS, StreamSink, StreamSource, parameters, reset, simulate, start_clock
from tb.lib.payload import pack


class Bench:
    def __init__(self, dut, stalls, seed):
        self.dut, self.config, self.rng = dut, preset(parameters()["preset"]), np.random.default_rng(seed)
        self.source = StreamSource(dut, "i", FETCHED, stalls[0], self.rng)
        self.sink = StreamSink(dut, "o", RESOLVED, stalls[1], self.rng)
        self.change_lengths()

    def change_lengths(self):
        """Small ones, so that they often limit something, and now and then any, or none."""
        most = self.rng.choice([1, 200, 1 << 16], SAMPLES, p=[0.1, 0.7, 0.2])
        self.lengths = self.rng.integers(0, most)
        self.dut.i_lengths.value = pack(Resolve({"": 1}).i_lengths.shape(), self.lengths[None])[0]

    def random_words(self, count):
        """Instructions of random bits; sizes are small, so that it depends on the length which are limited."""
        words = []
        for opcode in self.rng.choice(list(Opcode), count):
            its = operation(Opcode(opcode))
            word, start = int.from_bytes(self.rng.bytes(INSTRUCTION_BYTES), "little"), 0
            for field in its.layout:
                mask = (1 << field.bits) - 1 << start
                if field.name == "opcode":
                    word = word & ~mask | int(opcode)
                elif field.name in its.limits or field.name == "first_token":
                    word = word & ~mask | int(self.rng.integers(0, 1 << min(field.bits, 8))) << start
                elif field.name == "index_shift" and self.rng.random() < 0.3:
                    word &= ~mask
                start += field.bits
            words.append(word)
        return words

    def resolved(self, word):
        instruction = decode(word.to_bytes(INSTRUCTION_BYTES, "little"))
        left = resolve(instruction, self.lengths.tolist(), self.config)
        if left is None:
            return None
        whole = operation(instruction.opcode).bits
        return word >> whole << whole | int.from_bytes(encode(left), "little")

    async def check(self, count):
        words, index = self.random_words(count), self.rng.integers(0, 1 << 16, count)
        error = self.rng.integers(0, 2, count)
        self.source.send({"bits": np.array(words, object), "index": index, "error": error})
        got = await self.sink.receive(count)
        assert got["index"].tolist() == index.tolist()
        assert got["error"].tolist() == error.tolist()
        for word, bits, nothing in zip(words, got["bits"].tolist(), got["nothing"].tolist(), strict=True):
            result = None if nothing else bits
            assert result == self.resolved(word), decode(word.to_bytes(INSTRUCTION_BYTES, "little"))


@cocotb.test()
@cocotb.parametrize(stalls=[(0.0, 0.0), (0.7, 0.0), (0.0, 0.7), (0.5, 0.5)])
async def leaves_of_each_instruction_what_its_length_allows(dut, stalls):
    bench = Bench(dut, stalls, 1)
    await start_clock(dut)
    for _ in range(8):
        bench.change_lengths()
        await bench.check(60)


@cocotb.test()
async def an_instruction_stays_at_the_input_for_the_cycles_promised(dut):
    bench = Bench(dut, (0.0, 0.0), 2)
    await start_clock(dut)
    bench.source.send({"bits": np.array(bench.random_words(1), object), "index": [7], "error": [0]})
    cycles = 0
    while not dut.i__valid.value:
        await RisingEdge(dut.clk)
    while not dut.i__ready.value:
        cycles += 1
        await RisingEdge(dut.clk)
    assert cycles == RESOLVE


@cocotb.test()
async def reset_forgets_what_is_under_way(dut):
    bench = Bench(dut, (0.0, 0.9), 3)
    await start_clock(dut)
    for cycles in range(2, 10):
        bench.source.send({"bits": np.array(bench.random_words(3), object), "index": [1, 2, 3], "error": [0, 0, 0]})
        await ClockCycles(dut.clk, cycles)
        await reset(dut, bench.source, bench.sink)
        assert not dut.o__valid.value
    await bench.check(5)


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("preset_name", ["tiny", "zcu102"])
def test_resolve(preset_name, simulator):
    simulate(Resolve(limit_units(preset(preset_name))), __name__, simulator, parameters={"preset": preset_name})
